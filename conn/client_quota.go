package conn

import (
	"math"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// clientState is what only the client's side of a connection has. It is guarded by Conn.mu.
type clientState struct {
	reserved       int // slots that Reserve has given out
	resetsQueued   int // slots of streams whose RST_STREAM is in the output
	resetsInFlight int // slots of streams whose RST_STREAM is being written

	shutDown bool // ShutdownUnreserved has shut the connection down

	onQuota      func()
	quotaChanged bool // the hook has something to be told
	socketLost   bool // the socket is gone: what is in the output will never be sent

	goAway   *frame.ConnError // what the peer's last GOAWAY said
	writeErr error            // the socket takes nothing more, and is only read to its end
	flushes  uint64           // how often the output was taken to be written

	settingsReady chan struct{} // closed when the peer's SETTINGS have come, or never will; nil while nobody waits

	onOrigin func(*Conn, []string)
	onAltSvc func(*Conn, AltSvc)

	pings    map[[8]byte]func(error) // calls of Ping that wait, by payload
	lastPing uint64

	lease     *readLease // nil on a server
	wakeQueue []*Stream  // their readers are to be woken when everything that one read brought is handled
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
	case !c.settingsReceived:
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
	return c.core.LocalStreams() + c.client.reserved + c.client.resetsQueued + c.client.resetsInFlight
}

// quotaErrLocked tells whether a stream may be opened with a slot that is not reserved: nil,
// core.ErrNoStream or core.ErrNoMoreStreams.
func (c *Conn) quotaErrLocked() error { return c.quotaErrFirstLocked(streamsAtFirst) }

// quotaErrFirstLocked is quotaErrLocked for a caller that wants at most first slots taken while the
// server's SETTINGS have not come.
func (c *Conn) quotaErrFirstLocked(first int) error {
	switch {
	case c.phase != phaseOpen, c.client.writeErr != nil,
		c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	case c.quotaUsedLocked() >= c.quotaLocked(), !c.settingsReceived && c.quotaUsedLocked() >= first:
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
	c.client.quotaChanged = true
	c.unlockAndNotify()
}

// Quota tells how many slots are taken and how many are free. None is free on a connection that
// takes no more streams. Client only.
func (c *Conn) Quota() (taken, free int) { return c.QuotaFirst(streamsAtFirst) }

// QuotaFirst is Slots for a caller of ReserveFirst. Client only.
func (c *Conn) QuotaFirst(first int) (taken, free int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return 0, 0
	}
	taken = c.quotaUsedLocked()
	if c.quotaErrFirstLocked(first) == nil {
		free = c.quotaLocked() - taken
		if !c.settingsReceived {
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
	return c.core.PeerSettings(), c.settingsReceived
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
	case c.err != nil:
		return c.err
	case c.client.goAway != nil:
		return c.client.goAway
	case c.client.writeErr != nil:
		return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.client.writeErr}
	case c.phase != phaseOpen || c.core.Draining():
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
	return c.client.goAway
}

// Probe asks with a PING at once whether the peer is still there, if nothing was received since st
// was opened, within the budget of Config.PingBudget and only where keepalive is on. Client only.
func (st *Stream) Probe() {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.phase == phaseOpen && c.stats.reads == st.client.readsAtOpen {
		c.ensureOutputLocked()
		c.core.Probe(time.Now())
		c.armLocked()
		if c.core.OutputLen() > 0 {
			c.flushSoonLocked()
		}
		c.dropOutputLocked()
	}
}

// wakeReadersLocked wakes the readers of streams for which one read of the socket has brought
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

// wakeReaderLocked wakes who reads st: a client's reader only when all that one read of the socket
// brought is handled, since it would only wait for the lock.
func (st *Stream) wakeReaderLocked() {
	s := &st.c.client
	switch {
	case st.c.role != core.Client:
		st.canRead.Broadcast()
	case !st.client.wakeQueued:
		st.client.wakeQueued = true
		s.wakeQueue = append(s.wakeQueue, st)
	}
}

// noteQuotaLocked notes that a stream is closed.
func (c *Conn) noteQuotaLocked(st *Stream) {
	if st.cs.State() == stream.ClosedResetLocal && st.cs.ID%2 == 1 {
		c.client.resetsQueued++ // RST_STREAM is in the output
	}
	c.client.quotaChanged = true
}
