package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Withheld connection credit makes streams that are read wait for streams that are not: the peer
// spends what is left of the connection's window on any stream, and an application that reads its
// streams one after another would wait forever. So connection credit is withheld only until the
// windows of the streams bound what can lie unread:
//
//  1. More than Config.MaxUnread octets are unread: retain withholds credit, and shrinkWindows
//     tells the peer a small SETTINGS_INITIAL_WINDOW_SIZE. That takes credit back from every open
//     stream (RFC 9113 §6.9.2): one with more unread than that gets none until it is read.
//  2. The peer acknowledges it: initialWindowAcked returns all that was withheld. From now on
//     connection credit is returned at once, and no stream waits for another.
//  3. All that has arrived on a stream with a small window is read: restoreWindow gives it a large
//     one again, while the connection has room for that.
//  4. Little is unread: enlargeWindows makes the initial window as large as before.

// initialWindow is the state of our SETTINGS_INITIAL_WINDOW_SIZE.
type initialWindow struct {
	size      uint32 // the value that the peer was told last
	changedAt uint32 // when the peer was told size, in Unix seconds
	restored  uint32 // octets by which restoreWindow has made windows of streams larger than size
}

// Bounds of the small initial window.
const (
	minSmallWindow = 16 << 10
	maxSmallWindow = frame.DefaultWindow

	// smallWindowFor is how long windows stay small at least, in seconds: peers may bound the
	// number of SETTINGS.
	smallWindowFor = 10
)

// smallWindow returns the initial window with which as many streams as usual together hold no more
// than MaxUnread.
func (cfg *Config) smallWindow() uint32 {
	small := uint32(min(max(cfg.MaxUnread/256, minSmallWindow), maxSmallWindow))
	return min(small, cfg.StreamWindow)
}

// windowsSmall reports whether the windows of streams bound what can lie unread, so that no credit
// need be withheld.
func (c *Conn) windowsSmall() bool {
	return c.recv.initial.size <= c.cfg.smallWindow() && !c.settings.windowUnacked && c.settings.acked
}

// sendInitialWindow tells the peer another SETTINGS_INITIAL_WINDOW_SIZE.
func (c *Conn) sendInitialWindow(size uint32) {
	c.recv.initial.size, c.recv.initial.changedAt = size, uint32(c.now.Unix())
	c.out = frame.AppendSettings(c.out, frame.Setting{ID: frame.SettingInitialWindowSize, Value: size})
	c.counts.FramesOut++
	c.settings.windowUnacked = true
	c.settings.ackDeadline, c.settings.ackStale = time.Time{}, true
	if c.haveNow {
		c.startAckTimer()
	}
}

// startAckTimer says that the peer has from now on SettingsTimeout for its acknowledgement. After a
// call without a time, such as Consume, now is when something has come last, which may be longer
// ago than that; so it waits for the next call that has the time.
func (c *Conn) startAckTimer() {
	c.settings.ackDeadline, c.settings.ackStale = after(c.now, c.cfg.SettingsTimeout), false
}

// shrinkWindows makes the windows of streams small because credit is withheld. While the peer has
// still SETTINGS to acknowledge it does nothing: initialWindowAcked calls it again.
func (c *Conn) shrinkWindows() {
	small := c.cfg.smallWindow()
	if c.settings.acked && !c.settings.windowUnacked && small < c.recv.initial.size && c.connErr == nil {
		c.sendInitialWindow(small)
	}
}

// enlargeWindows makes windows that are small as large as they were, when little is unread. The
// peer may use that before its acknowledgement arrives, so it holds at once.
func (c *Conn) enlargeWindows() {
	w := &c.recv.initial
	if w.size == c.cfg.StreamWindow || c.settings.windowUnacked || !c.settings.acked || c.connErr != nil ||
		c.recv.unread > c.cfg.MaxUnread/4 || uint32(c.now.Unix())-w.changedAt < smallWindowFor {
		return
	}
	delta := int64(c.cfg.StreamWindow) - int64(w.size)
	for _, s := range c.streams.All() {
		if int64(s.recv.window.Size())+delta > frame.MaxWindow {
			return // restoreWindow has made it larger; try again when the stream has ended
		}
	}
	c.sendInitialWindow(c.cfg.StreamWindow)
	c.shiftRecvWindows(int32(delta))
}

// restoreWindow makes the small window of s as large as StreamWindow, when all of s is read and
// while the connection has room for as much.
func (c *Conn) restoreWindow(s *Stream) {
	missing := c.cfg.StreamWindow - c.recv.initial.size
	if s.recv.unread > 0 || s.recv.restored > 0 || !s.state.CanReceive() || !c.windowsSmall() || c.connErr != nil ||
		c.recv.unread+int64(c.recv.initial.restored)+int64(missing) > c.cfg.MaxUnread {
		return
	}
	s.recv.restored = missing
	c.recv.initial.restored += missing
	if inc := s.recv.window.Resize(s.recv.window.Size() + missing); inc > 0 {
		c.appendWindowUpdate(s.ID, inc)
	}
}

// initialWindowAcked is called when what sendInitialWindow has sent was acknowledged.
func (c *Conn) initialWindowAcked() {
	c.settings.windowUnacked = false
	if c.recv.initial.size < c.cfg.StreamWindow {
		c.shiftRecvWindows(int32(int64(c.recv.initial.size) - int64(c.cfg.StreamWindow)))
	}
	c.boundUnread()
}

// boundUnread is called when SETTINGS of ours were acknowledged: it returns withheld credit if the
// windows of streams are small now, and makes them small otherwise.
func (c *Conn) boundUnread() {
	if c.windowsSmall() {
		c.returnWithheld()
	} else if c.recv.withheld > 0 {
		c.shrinkWindows()
	}
}

// shiftRecvWindows changes the receive windows of all streams as the peer changes its view of them
// (RFC 9113 §6.9.2).
func (c *Conn) shiftRecvWindows(delta int32) {
	for _, s := range c.streams.All() {
		inc, _ := s.recv.window.Shift(delta)
		if inc > 0 && s.state.CanReceive() {
			c.appendWindowUpdate(s.ID, inc)
		}
	}
}

// shiftSendWindows changes the send window of every stream by as much as the peer has changed its
// SETTINGS_INITIAL_WINDOW_SIZE; windows may go below zero (RFC 9113 §6.9.2).
func (c *Conn) shiftSendWindows(size uint32) error {
	delta := int32(int64(size) - int64(c.peer.InitialWindowSize))
	c.peer.InitialWindowSize = size
	for _, s := range c.streams.All() {
		if !s.send.Shift(delta) {
			return frame.NewConnError(frame.FlowControlError, "RFC 9113 §6.9.2", "stream window above 2^31-1")
		}
		if s.send.Available() <= 0 {
			c.setReadiness(s, notReady)
		}
		c.readyIfSendable(s)
	}
	return nil
}
