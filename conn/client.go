package conn

import (
	"net"
	"time"

	"github.com/sluice-go/sluice/conn/core"
)

// Client is the client's side of an HTTP/2 connection. Its methods beside those of Conn are for
// what only a client does.
type Client struct {
	Conn
	clientState
}

// NewClient returns the client's side of an HTTP/2 connection on nc, which it closes at its end.
// Serve runs it. h may be nil where the server does not push.
func NewClient(nc net.Conn, cfg Config, h Handler) *Client {
	c := new(Client)
	c.client = c
	c.lease.serveCond.L = &c.mu.Mutex
	c.tunnelCloseTimeout = timeoutOr(cfg.TunnelCloseTimeout, DefaultTunnelCloseTimeout)
	c.onOrigin, c.onAltSvc = cfg.OnOrigin, cfg.OnAltSvc
	c.init(nc, cfg, h, core.Client)
	return c
}

// clientState is what a Client has beside its Conn. It is guarded by Conn.mu, but for the functions
// of the application, which never change.
type clientState struct {
	lease readLease

	reserved     int    // streams of the quota that Reserve has given out
	shutDown     bool   // ShutdownUnreserved has shut the connection down
	onQuota      func() // what OnQuota was given
	quotaChanged bool   // onQuota is to be called

	settingsReady chan struct{} // closed when the peer's SETTINGS have come, or never will; nil until AwaitSettings waits
	wakeQueue     []*Stream     // streams whose readers are woken when all that one read has brought is handled
	promising     []*Stream     // streams on which others were promised that the handler has not got yet

	tunnelCloseTimeout time.Duration // Config.TunnelCloseTimeout; 0: no limit

	onOrigin func(*Client, []string) // Config.OnOrigin
	onAltSvc func(*Client, AltSvc)   // Config.OnAltSvc
}

// unlockingLocked is called by unlockAndNotify. It wakes the readers that wait for the lock to be
// free, and returns the function that is to be called because the quota has changed, nil if none
// is.
func (s *clientState) unlockingLocked() (onQuota func()) {
	if len(s.wakeQueue) > 0 {
		s.wakeReadersLocked()
	}
	if !s.quotaChanged {
		return nil
	}
	s.quotaChanged = false
	return s.onQuota
}

// queueWakeLocked has the reader of st woken when all that one read of the socket has brought is
// handled: before that it would only wait for the lock.
func (s *clientState) queueWakeLocked(st *Stream) {
	if !st.client.wakeQueued {
		st.client.wakeQueued = true
		s.wakeQueue = append(s.wakeQueue, st)
	}
}

// wakeReadersLocked wakes the readers of the streams for which one read of the socket has brought
// something.
func (s *clientState) wakeReadersLocked() {
	for i, st := range s.wakeQueue {
		st.client.wakeQueued = false
		st.canRead.Broadcast()
		st.recycleLocked()
		s.wakeQueue[i] = nil
	}
	s.wakeQueue = s.wakeQueue[:0]
}
