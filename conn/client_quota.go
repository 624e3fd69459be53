package conn

import (
	"math"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/stream"
)

// How many streams a client may open.
//
//  1. The server's SETTINGS_MAX_CONCURRENT_STREAMS is the quota. Before it has come, streamsAtFirst
//     stands for it.
//  2. A stream uses one from Reserve, or from OpenRequest, until it is closed. One that we have
//     reset uses it until its RST_STREAM is written: the server cannot know before, and one that
//     does not read would get ever more streams.
//  3. The function of OnQuota is called when a place may have become free.

const (
	// streamsAtFirst is how many streams a client opens before it knows the server's limit. A
	// server that allows fewer refuses some, which costs a round trip each.
	streamsAtFirst = 100
	// streamsUnlimited stands for no limit: more streams go to another connection.
	streamsUnlimited = 1000
)

// quotaLocked returns how many streams may be open at once.
func (c *Client) quotaLocked() int {
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

// quotaUsedLocked returns how many streams the quota is used for.
func (c *Client) quotaUsedLocked() int {
	return c.core.LocalStreams() + c.reserved + c.mu.out.resetsQueued + c.mu.out.resetsInFlight
}

// quotaErrLocked returns why a stream that was not reserved may not be opened: nil,
// core.ErrNoStream or core.ErrNoMoreStreams.
func (c *Client) quotaErrLocked() error { return c.quotaErrFirstLocked(streamsAtFirst) }

// quotaErrFirstLocked is quotaErrLocked with a quota of first while the server's SETTINGS have not
// come.
func (c *Client) quotaErrFirstLocked(first int) error {
	switch {
	case c.mu.phase != phaseOpen, c.mu.out.err != nil,
		c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	case c.quotaUsedLocked() >= c.quotaLocked(), !c.mu.settingsReceived && c.quotaUsedLocked() >= first:
		return core.ErrNoStream
	}
	return nil
}

// Reserve takes one stream of the quota, for OpenRequest or Unreserve to use up. The error is
// core.ErrNoStream while the quota is used, and core.ErrNoMoreStreams when another connection is
// needed.
func (c *Client) Reserve() error { return c.ReserveFirst(streamsAtFirst) }

// ReserveFirst is Reserve for a caller that has its own guess of the server's limit: as long as the
// server's SETTINGS have not come, the quota is first, 100 if that is less. A stream beyond the
// server's limit is refused by it (RFC 9113 §5.1.2), and not every request can be sent again.
func (c *Client) ReserveFirst(first int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.quotaErrFirstLocked(first)
	if err == nil {
		c.reserved++
	}
	return err
}

// Unreserve gives back what Reserve has taken.
func (c *Client) Unreserve() {
	c.mu.Lock()
	if c.reserved == 0 {
		c.mu.Unlock()
		panic("BUG: more streams given back than were reserved")
	}
	c.reserved--
	c.quotaChanged = true
	c.unlockAndNotify()
}

// Quota returns how many streams the quota is used for, and how many more it allows: none on a
// connection that takes no more streams.
func (c *Client) Quota() (taken, free int) { return c.QuotaFirst(streamsAtFirst) }

// QuotaFirst is Quota for a caller of ReserveFirst.
func (c *Client) QuotaFirst(first int) (taken, free int) {
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

// OnQuota sets a function that is called whenever the quota may allow another stream, the peer has
// changed its limit, or the connection takes no more streams. It is called outside the connection's
// lock by the goroutine that found out, at times by two goroutines at once, and must not block.
// It is set before Serve.
func (c *Client) OnQuota(f func()) { c.onQuota = f }

// noteStreamClosedLocked counts a stream that is closed.
func (c *Client) noteStreamClosedLocked(st *Stream) {
	if st.cs.State() == stream.ClosedResetLocal && st.cs.ID%2 == 1 {
		c.mu.out.resetsQueued++ // RST_STREAM is in the output
	}
	c.quotaChanged = true
}

// ShutdownUnreserved is Shutdown, unless a stream is reserved that has not been opened, or, with
// idle, a stream of this side is open; it reports whether it was done. So a stream that was
// reserved is never refused because of it.
func (c *Client) ShutdownUnreserved(idle bool) bool {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.reserved > 0 || idle && c.quotaUsedLocked() > 0 {
		return false
	}
	if !c.shutDown { // otherwise OnQuota's function, which may have called this, would be called for nothing
		c.shutDown = true
		c.shutdownLocked()
	}
	return true
}
