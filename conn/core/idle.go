package core

import "time"

// idleAt returns when the connection will have been idle for too long.
func (c *Conn) idleAt() time.Time {
	if c.streams.Len() > 0 || c.shutdown.step != running {
		return time.Time{}
	}
	return after(c.life.idleSince, c.cfg.IdleTimeout)
}

// IdleSince returns since when no stream is open, the zero time while one is.
func (c *Conn) IdleSince() time.Time {
	if c.streams.Len() > 0 {
		return time.Time{}
	}
	return c.toCaller(c.life.idleSince)
}
