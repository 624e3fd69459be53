package core

import "github.com/sluice-go/sluice/flow"

// Every octet of DATA is taken from the receive windows of its stream and of the connection, and
// returned once:
//
//  1. recvData takes it from both windows. What is dropped, and padding, is returned at once.
//  2. retain returns the connection's credit for the rest, or withholds it (see initialWindow).
//  3. Consume returns the stream's credit, and connection credit that was withheld.

// recvFlow is what the connection has received and may receive (RFC 9113 §5.2, §6.9).
type recvFlow struct {
	window   flow.RecvWindow // of the connection
	unread   int64           // octets of DATA that were received and not consumed
	withheld int64           // connection credit that is not returned yet, because unread is above Config.MaxUnread
	bdp      flow.BDPEstimator
	sample   flow.BDPSample // of the connection's window
	growth   uint32         // octets by which the windows of all streams have grown beyond Config.StreamWindow
	initial  initialWindow
}

// streamRecv is what a stream has received and may receive.
type streamRecv struct {
	window    flow.RecvWindow
	sample    flow.BDPSample // of window
	growth    uint32         // octets by which Tune has made window larger
	restored  uint32         // octets by which restoreWindow has made window larger
	unread    int64          // octets of DATA that were received and not consumed
	smallData int            // small DATA frames that were received and not consumed
}

// returnCredit returns n octets of connection credit to the peer.
func (c *Conn) returnCredit(n uint32) {
	if inc := c.recv.window.ReleaseShared(n); inc > 0 && c.connErr == nil {
		c.appendWindowUpdate(0, inc)
	}
}

// retain counts n octets of s that wait for Consume. Their connection credit is returned at once,
// so that a stream whose data is not read closes its own window and not that of the connection. If
// more than MaxUnread octets are unread on the connection, the credit is withheld until something
// has been consumed, or until the windows of streams are so small that they bound the memory: see
// initialWindow.
func (c *Conn) retain(s *Stream, n int) {
	s.recv.unread += int64(n)
	c.recv.unread += int64(n)
	if c.recv.unread <= c.cfg.MaxUnread || c.windowsSmall() {
		c.returnCredit(uint32(n))
	} else {
		c.recv.withheld += int64(n)
		c.shrinkWindows()
	}
}

// returnWithheld returns the credit that was withheld.
func (c *Conn) returnWithheld() {
	if n := c.recv.withheld; n > 0 {
		c.recv.withheld = 0
		c.returnCredit(uint32(n))
	}
}

// Consume says that n octets of EventData were read or dropped, and need no memory any more. The
// peer gets as much credit. True means that the windows may be too small for the path: if the
// octets were read, Driver.Tune is to be called.
func (c *Conn) Consume(s *Stream, n int) (tune bool) {
	if n == 0 {
		return false
	}
	c.countRead(s, n)
	if c.recv.withheld > 0 {
		// Only what exceeds MaxUnread stays withheld.
		if back := c.recv.withheld - max(c.recv.unread-c.cfg.MaxUnread, 0); back > 0 {
			c.recv.withheld -= back
			c.returnCredit(uint32(back))
		}
	}
	if inc := s.recv.window.Release(uint32(n)); inc > 0 && s.state.CanReceive() && c.connErr == nil {
		c.appendWindowUpdate(s.ID, inc)
	}
	if c.recv.initial.size != c.cfg.StreamWindow {
		c.restoreWindow(s)
		c.enlargeWindows()
	}
	c.reclaimGrowth(s)
	if c.cfg.WindowGrowth == 0 {
		return false
	}
	return c.sampleConsumed(s, uint32(n))
}

// countRead takes n octets of s out of what is unread, and small DATA frames in proportion: so a
// reader that never quite catches up is not charged for what it has read.
func (c *Conn) countRead(s *Stream, n int) {
	before := s.recv.unread
	s.recv.unread -= int64(n)
	c.recv.unread -= int64(n)
	if s.recv.unread < 0 {
		panic("BUG: consumed more DATA than was received")
	}
	if s.recv.smallData > 0 {
		gone := int((int64(s.recv.smallData)*int64(n) + before - 1) / before)
		s.recv.smallData -= gone
		c.limit.smallData -= int32(gone)
	}
}
