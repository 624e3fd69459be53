package core

import "time"

// Windows of streams begin with Config.StreamWindow, that of the connection with Config.ConnWindow.
// Where a reader takes what comes faster than that lets the peer send, they grow, up to
// Config.WindowGrowth: so much for all streams together, shared as room says, and as much for the
// connection. What a stream has had is free again when the peer has ended it and all of it is read;
// a window that lives does not shrink, since credit that was given cannot be called back.

// measure follows DATA: it begins a new sample period where the last is over, and measures the
// round-trip time with a PING where that may be of use. Each such PING comes after DATA of the peer
// that is newer than the answer to the last, so a peer that counts PINGs without DATA between them
// counts none.
func (c *Conn) measure(s *Stream) {
	if c.bdp.DataReceived(&c.sample, c.cfg.StreamWindow/4, c.now) && !c.life.pingOut &&
		(c.room(s) > 0 || c.connRoom() > 0) {
		c.Ping(tunePing)
		c.life.pingsOut-- // not our user's
		c.life.tunePinged = true
		c.bdp.PingSent(c.now)
	}
}

// room is how much the window of s may grow. Streams that are read at the same time have equal
// shares, and an eighth of what the others have not taken always stays, so that there is something
// for who comes later: what a stream has grown by cannot be taken from it.
func (c *Conn) room(s *Stream) uint32 {
	readers := max(c.bdp.ActiveWindows(), 2) - 1 // one of them is the connection's own
	left := c.cfg.WindowGrowth - c.grown + s.grown
	share := min(c.cfg.WindowGrowth/readers, left-left/8)
	return share - min(share, s.grown)
}

// connRoom is how much the connection's window may grow.
func (c *Conn) connRoom() uint32 { return c.cfg.ConnWindow + c.cfg.WindowGrowth - c.recv.Size() }

// meterData counts n octets that were consumed of s, and tells whether to look at the windows.
func (c *Conn) meterData(s *Stream, n uint32) bool {
	look := c.bdp.Consumed(&c.sample, &c.recv, n) && c.connRoom() > 0
	if s.state.CanReceive() && c.bdp.Consumed(&s.sample, &s.recv, n) && c.room(s) > 0 {
		look = true
	}
	return look
}

// Tune makes the windows of s and of the connection larger where they hold the peer up. It is for
// whoever reads s, after Consume has asked for it.
func (d Driver) Tune(s *Stream, now time.Time) {
	if d.fatal != nil {
		return
	}
	d.tell(now)
	now = d.now
	if s.state.CanReceive() {
		grown, inc := d.bdp.Grow(&s.sample, &s.recv, d.room(s), now)
		d.grown += grown
		s.grown += grown
		if inc > 0 {
			d.appendWindowUpdate(s.ID, inc)
		}
	}
	_, inc := d.bdp.Grow(&d.sample, &d.recv, d.connRoom(), now)
	// The window of a stream is of no use where that of the connection is smaller.
	if missing := int64(s.recv.Size()) - int64(d.recv.Size()); s.grown > 0 && missing > 0 {
		inc += d.recv.Resize(d.recv.Size() + min(uint32(missing), d.connRoom()))
	}
	if inc > 0 {
		d.appendWindowUpdate(0, inc)
	}
}

// settle frees what s has grown by, once the peer can send nothing more on it and nothing is kept
// of what it has sent.
func (c *Conn) settle(s *Stream) {
	if s.grown+s.restored > 0 && s.unread == 0 && !s.state.CanReceive() {
		c.grown -= s.grown
		c.window.restored -= s.restored
		s.grown, s.restored = 0, 0
	}
}
