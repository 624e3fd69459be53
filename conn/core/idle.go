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
func (d Driver) IdleSince() time.Time {
	if d.streams.Len() > 0 {
		return time.Time{}
	}
	return d.toCaller(d.life.idleSince)
}
