package core

import "time"

// Windows of streams begin with Config.StreamWindow, that of the connection with Config.ConnWindow.
// Where a reader consumes DATA as fast as it arrives and the window is smaller than the
// bandwidth-delay product, the window grows. Config.WindowGrowth bounds by how much: the windows of
// all streams together, which share it as streamHeadroom says, and that of the connection. A window
// in use does not shrink, since credit that was given cannot be taken back; what a stream's window
// has grown by is free again when the peer has ended the stream and all of it is read.

// measureBDP is called for DATA on s: it begins a new sample period where the last is over, and
// measures the round-trip time with a PING if a window may grow. Before each such PING the peer has
// sent DATA since it acknowledged the last one, so a peer that bounds PINGs without DATA between
// them does not object.
func (c *Conn) measureBDP(s *Stream) {
	if c.recv.bdp.DataReceived(&c.recv.sample, c.cfg.StreamWindow/4, c.now) && !c.pings.keepalive &&
		(c.streamHeadroom(s) > 0 || c.connHeadroom() > 0) {
		c.appendPing(rttPing)
		c.pings.rtt = true
		c.recv.bdp.PingSent(c.now)
	}
}

// streamHeadroom returns how much the window of s may grow. Streams that are read at the same time
// have equal shares. An eighth of what the other streams have left always stays, for streams that
// are opened later, since what a window has grown by cannot be taken from it.
func (c *Conn) streamHeadroom(s *Stream) uint32 {
	readers := max(c.recv.bdp.ActiveWindows(), 2) - 1 // one active window is the connection's own
	left := c.cfg.WindowGrowth - c.recv.growth + s.recv.growth
	share := min(c.cfg.WindowGrowth/readers, left-left/8)
	return share - min(share, s.recv.growth)
}

// connHeadroom returns how much the connection's window may grow.
func (c *Conn) connHeadroom() uint32 {
	return c.cfg.ConnWindow + c.cfg.WindowGrowth - c.recv.window.Size()
}

// sampleConsumed counts n octets that were consumed of s, and reports whether a window may be too
// small, so that Tune is worth a call.
func (c *Conn) sampleConsumed(s *Stream, n uint32) (tune bool) {
	tune = c.recv.bdp.Consumed(&c.recv.sample, &c.recv.window, n) && c.connHeadroom() > 0
	if s.state.CanReceive() && c.recv.bdp.Consumed(&s.recv.sample, &s.recv.window, n) && c.streamHeadroom(s) > 0 {
		tune = true
	}
	return tune
}

// Tune makes the windows of s and of the connection larger where they are smaller than the
// bandwidth-delay product. It is to be called where Consume has returned true.
func (d Driver) Tune(s *Stream, now time.Time) {
	if d.connErr != nil {
		return
	}
	d.advance(now)
	now = d.now
	r := &d.recv
	if s.state.CanReceive() {
		growth, inc := r.bdp.Grow(&s.recv.sample, &s.recv.window, d.streamHeadroom(s), now)
		r.growth += growth
		s.recv.growth += growth
		if inc > 0 {
			d.appendWindowUpdate(s.ID, inc)
		}
	}
	_, inc := r.bdp.Grow(&r.sample, &r.window, d.connHeadroom(), now)
	// A window of a stream that is larger than that of the connection is of no use.
	if missing := int64(s.recv.window.Size()) - int64(r.window.Size()); s.recv.growth > 0 && missing > 0 {
		inc += r.window.Resize(r.window.Size() + min(uint32(missing), d.connHeadroom()))
	}
	if inc > 0 {
		d.appendWindowUpdate(0, inc)
	}
}

// reclaimGrowth frees what the window of s has grown by, once the peer can send nothing more on s
// and all that it has sent is consumed.
func (c *Conn) reclaimGrowth(s *Stream) {
	if s.recv.unread == 0 && !s.state.CanReceive() {
		c.recv.growth -= s.recv.growth
		c.recv.initial.restored -= s.recv.restored
		s.recv.growth, s.recv.restored = 0, 0
	}
}
