package conn

import (
	"math"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// clientState is what only the client's side of a connection has. It is guarded by Conn.mu, but for
// the functions of the application, which never change.
type clientState struct {
	lease readLease

	reserved     int    // streams of the quota that Reserve has given out
	shutDown     bool   // ShutdownUnreserved has shut the connection down
	onQuota      func() // what OnQuota was given
	quotaChanged bool   // onQuota is to be called

	settingsReady chan struct{} // closed when the peer's SETTINGS have come, or never will; nil until AwaitSettings waits
	wakeQueue     []*Stream     // streams whose readers are woken when all that one read has brought is handled

	tunnelCloseTimeout time.Duration // Config.TunnelCloseTimeout; 0: no limit

	onOrigin func(*Conn, []string) // Config.OnOrigin
	onAltSvc func(*Conn, AltSvc)   // Config.OnAltSvc
}

func newClientState(c *Conn, cfg *Config) *clientState {
	s := &clientState{
		tunnelCloseTimeout: timeoutOr(cfg.TunnelCloseTimeout, DefaultTunnelCloseTimeout),
		onOrigin:           cfg.OnOrigin,
		onAltSvc:           cfg.OnAltSvc,
	}
	s.lease.serveCond.L = &c.mu.Mutex
	return s
}

const (
	// streamsAtFirst is how many streams a client opens before it knows the server's limit. A
	// server that allows fewer refuses some, which costs a round trip each.
	streamsAtFirst = 100
	// streamsUnlimited stands for no limit: more streams go to another connection.
	streamsUnlimited = 1000
)

// quotaLocked returns how many streams may be open at once.
func (c *Conn) quotaLocked() int {
	limit := c.core.PeerSettings().MaxConcurrentStreams
	switch {
	case !c.mu.settingsReceived:
		return streamsAtFirst
	case limit == math.MaxUint32:
		return streamsUnlimited
	default:
		return int(min(limit, math.MaxInt32))
	}
}

// quotaUsedLocked is how many slots are taken. A stream that we have reset takes one until its
// RST_STREAM is written: the peer cannot know before, and one that does not read would get ever
// more streams.
func (c *Conn) quotaUsedLocked() int {
	return c.core.LocalStreams() + c.client.reserved + c.mu.out.resetsQueued + c.mu.out.resetsInFlight
}

// quotaErrLocked tells whether a stream may be opened with a slot that is not reserved: nil,
// core.ErrNoStream or core.ErrNoMoreStreams.
func (c *Conn) quotaErrLocked() error { return c.quotaErrFirstLocked(streamsAtFirst) }

// quotaErrFirstLocked is quotaErrLocked for a caller that wants at most first slots taken while the
// server's SETTINGS have not come.
func (c *Conn) quotaErrFirstLocked(first int) error {
	switch {
	case c.mu.phase != phaseOpen, c.mu.out.err != nil,
		c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	case c.quotaUsedLocked() >= c.quotaLocked(), !c.mu.settingsReceived && c.quotaUsedLocked() >= first:
		return core.ErrNoStream
	}
	return nil
}

// Reserve takes a slot for one stream, for OpenRequest or Unreserve to use up. The error is
// core.ErrNoStream while all slots are taken, and core.ErrNoMoreStreams when another connection is
// needed. Client only.
func (c *Conn) Reserve() error { return c.ReserveFirst(streamsAtFirst) }

// ReserveFirst is Reserve for a caller that has its own guess of what the server allows: as long as
// the server's SETTINGS have not come, at most first slots are taken, 100 if that is less. A stream
// beyond the server's limit is refused by it (RFC 9113 §5.1.2), and not every request can be sent
// again. Client only.
func (c *Conn) ReserveFirst(first int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.quotaErrFirstLocked(first)
	if err == nil {
		c.client.reserved++
	}
	return err
}

// Unreserve gives a slot back that Reserve has given.
func (c *Conn) Unreserve() {
	c.mu.Lock()
	c.client.reserved--
	if c.client.reserved < 0 {
		c.mu.Unlock()
		panic("BUG: more slots given back than were reserved")
	}
	c.noteQuotaChangedLocked()
	c.unlockAndNotify()
}

// Quota tells how many slots are taken and how many are free. None is free on a connection that
// takes no more streams. Client only.
func (c *Conn) Quota() (taken, free int) { return c.QuotaFirst(streamsAtFirst) }

// QuotaFirst is Slots for a caller of ReserveFirst. Client only.
func (c *Conn) QuotaFirst(first int) (taken, free int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.phase != phaseOpen {
		return 0, 0
	}
	taken = c.quotaUsedLocked()
	if c.quotaErrFirstLocked(first) == nil {
		free = c.quotaLocked() - taken
		if !c.mu.settingsReceived {
			free = min(free, first-taken)
		}
	}
	return taken, free
}

// KnownSettings returns the peer's settings in force, and false as long as its SETTINGS, the first
// frame of a connection (RFC 9113 §3.4), have not come. Client only.
func (c *Conn) KnownSettings() (core.Settings, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.PeerSettings(), c.mu.settingsReceived
}

// OnQuota sets a function that is called whenever a slot may have become free, the peer has
// changed its limit, or the connection takes no more streams. It is called outside the connection's
// lock by whoever found out, at times by two goroutines at once, and must not block. Client only,
// before Serve.
func (c *Conn) OnQuota(f func()) { c.client.onQuota = f }

// IdleSince returns since when no stream is open, the zero time while one is.
func (c *Conn) IdleSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.IdleSince()
}

// Err tells why the connection takes no more streams, nil while it does.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.err != nil:
		return c.mu.err
	case c.mu.goAway != nil:
		return c.mu.goAway
	case c.mu.out.err != nil:
		return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.mu.out.err}
	case c.mu.phase != phaseOpen || c.core.Draining():
		return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
	case c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	}
	return nil
}

// GoAway returns what the peer has said with GOAWAY, nil if there was none: the last stream of the
// last, and of all the first code other than NO_ERROR and the first debug data.
func (c *Conn) GoAway() *frame.ConnError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.goAway
}

// Probe asks with a PING at once whether the peer is still there, if nothing was received since st
// was opened, within the budget of Config.PingBudget and only where keepalive is on. Client only.
func (st *Stream) Probe() {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase == phaseOpen && c.mu.stats.reads == st.client.readsAtOpen {
		c.ensureOutputLocked()
		c.core.Probe(time.Now())
		c.armLocked()
		if c.core.OutputLen() > 0 {
			c.flushSoonLocked()
		}
		c.dropOutputLocked()
	}
}

// unlockingLocked is called by unlockAndNotify. It wakes the readers that wait for the lock to be
// free, and returns the function that is to be called because the quota has changed, nil if none is.
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

// queueWakeLocked has the reader of st woken when all that one read of the socket has brought is
// handled: before that it would only wait for the lock.
func (s *clientState) queueWakeLocked(st *Stream) {
	if !st.client.wakeQueued {
		st.client.wakeQueued = true
		s.wakeQueue = append(s.wakeQueue, st)
	}
}

// noteStreamClosedLocked counts a stream that is closed.
func (c *Conn) noteStreamClosedLocked(st *Stream) {
	if st.cs.State() == stream.ClosedResetLocal && st.cs.ID%2 == 1 {
		c.mu.out.resetsQueued++ // RST_STREAM is in the output
	}
	c.client.quotaChanged = true
}
