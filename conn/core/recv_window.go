package core

// giveBack returns n octets of connection credit to the peer.
func (c *Conn) giveBack(n uint32) {
	if inc := c.recv.ReleaseShared(n); inc > 0 && c.fatal == nil {
		c.appendWindowUpdate(0, inc)
	}
}

// hold accounts for n octets that wait to be consumed. Their connection credit goes back to the
// peer at once, so that a stream which nobody reads does not take the window from the others; only
// its own window closes. Beyond MaxUnread octets on the connection the credit is held back until
// something has been consumed, or until the windows of streams are so small that they bound the
// memory: see initialWindow.
func (c *Conn) hold(s *Stream, n int) {
	s.unread += int64(n)
	c.unread += int64(n)
	if c.unread <= c.cfg.MaxUnread || c.windowsSmall() {
		c.giveBack(uint32(n))
	} else {
		c.owed += int64(n)
		c.shrinkWindows()
	}
}

// Consume says that n octets of EventData are in the hands of whoever wanted them, or dropped. The
// peer gets credit for as many. Where they were wanted, true asks for a call of Tune.
func (c *Conn) Consume(s *Stream, n int) (tune bool) {
	if n == 0 {
		return false
	}
	s.unread -= int64(n)
	c.unread -= int64(n)
	if s.unread < 0 {
		panic("BUG: consumed more DATA than was received")
	}
	if s.smallData > 0 {
		// As large a part of the small frames is gone as of the octets, so a reader that never
		// quite catches up is not charged for what it has read.
		had := s.unread + int64(n)
		gone := int((int64(s.smallData)*int64(n) + had - 1) / had)
		s.smallData -= gone
		c.limit.smallData -= int32(gone)
	}
	if c.owed > 0 {
		// owed is what exceeds MaxUnread, no more.
		if back := c.owed - max(c.unread-c.cfg.MaxUnread, 0); back > 0 {
			c.owed -= back
			c.giveBack(uint32(back))
		}
	}
	if inc := s.recv.Release(uint32(n)); inc > 0 && s.state.CanReceive() && c.fatal == nil {
		c.appendWindowUpdate(s.ID, inc)
	}
	if c.window.size != c.cfg.StreamWindow {
		c.restoreWindow(s)
		c.growWindows()
	}
	c.settle(s)
	if c.cfg.WindowGrowth == 0 {
		return false
	}
	return c.meterData(s, uint32(n))
}
