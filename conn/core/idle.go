package core

import "time"

// idleState says since when no stream is open.
type idleState struct {
	since time.Time // when the last stream ended, or the connection began
	stale bool      // since is an earlier time: the caller has not said when the last stream ended
}

// idleDeadline returns when a connection without streams will have been idle for too long.
func (c *Conn) idleDeadline() time.Time {
	if c.goAway.drain != running {
		return time.Time{}
	}
	return after(c.idle.since, c.cfg.IdleTimeout)
}

// IdleSince returns since when no stream is open, the zero time while one is.
func (d Driver) IdleSince() time.Time {
	if d.streams.Len() > 0 {
		return time.Time{}
	}
	return d.idle.since.Add(-d.offset) // as the caller's clock shows it
}
