package core

import "github.com/sluice-go/sluice/frame"

// Credit of the connection that is held back for DATA which nobody reads keeps the streams waiting
// that are read: the peer spends what is left on whichever stream it likes, and an application that
// reads its streams one after another would wait for ever. So credit is held back only until the
// windows of the streams bound what can lie unread. They do once the peer has acknowledged a small
// SETTINGS_INITIAL_WINDOW_SIZE, which takes credit back from every open stream (RFC 9113 §6.9.2):
// one with more unread than that gets none until it is read. From then on the connection's credit
// comes back at once, and no stream waits for another. When little is left unread, the windows are
// as large as before again.

// initialWindow is the SETTINGS_INITIAL_WINDOW_SIZE in force, and what becomes of it.
type initialWindow struct {
	size     uint32 // as the peer was told last
	since    uint32 // when, in seconds
	restored uint32 // octets by which single streams have larger windows than that again
}

// Bounds of the small initial window.
const (
	minSmallWindow = 16 << 10
	maxSmallWindow = frame.DefaultWindow

	// smallWindowFor is how long windows stay small at least, in seconds: peers may count SETTINGS.
	smallWindowFor = 10
)

// smallWindow returns the initial window with which as many streams as usual together hold no more
// than MaxUnread.
func (cfg *Config) smallWindow() uint32 {
	small := uint32(min(max(cfg.MaxUnread/256, minSmallWindow), maxSmallWindow))
	return min(small, cfg.StreamWindow)
}

// windowsSmall reports whether the windows of streams bound what can lie unread, so that no credit
// need be held back.
func (c *Conn) windowsSmall() bool {
	return c.window.size <= c.cfg.smallWindow() && !c.life.windowAsked && c.life.settingsAcked
}

// sendInitialWindow tells the peer another SETTINGS_INITIAL_WINDOW_SIZE.
func (c *Conn) sendInitialWindow(size uint32) {
	w := &c.window
	w.size, w.since, c.life.windowAsked = size, uint32(c.now.Unix()), true
	c.out = frame.AppendSettings(c.out, frame.Setting{ID: frame.SettingInitialWindowSize, Value: size})
	c.counts.FramesOut++
	c.life.settingsBy = after(c.now, c.cfg.SettingsTimeout)
}

// shrinkWindows makes the windows of streams small because credit is held back. It waits for what
// the peer has still to acknowledge.
func (c *Conn) shrinkWindows() {
	small := c.cfg.smallWindow()
	if c.life.settingsAcked && !c.life.windowAsked && small < c.window.size && c.fatal == nil {
		c.sendInitialWindow(small)
	}
}

// growWindows makes windows that are small as large as they were, when little is unread. The peer
// may use that before its acknowledgement arrives, so it holds at once.
func (c *Conn) growWindows() {
	w := &c.window
	if c.life.windowAsked || w.size == c.cfg.StreamWindow || !c.life.settingsAcked || c.unread > c.cfg.MaxUnread/4 ||
		uint32(c.now.Unix())-w.since < smallWindowFor || c.fatal != nil {
		return
	}
	delta := int64(c.cfg.StreamWindow) - int64(w.size)
	for _, s := range c.streams.All() {
		if int64(s.recv.Size())+delta > frame.MaxWindow {
			return // restored before; it will end
		}
	}
	c.sendInitialWindow(c.cfg.StreamWindow)
	c.shiftRecvWindows(int32(delta))
}

// recvWindowAck is called when the peer has acknowledged what sendInitialWindow said.
func (c *Conn) recvWindowAck() {
	c.life.windowAsked = false
	if c.window.size < c.cfg.StreamWindow {
		c.shiftRecvWindows(int32(int64(c.window.size) - int64(c.cfg.StreamWindow)))
	}
	c.boundUnread()
}

// boundUnread is called when the peer has acknowledged a window.
func (c *Conn) boundUnread() {
	if c.windowsSmall() {
		c.giveBackOwed()
	} else if c.owed > 0 {
		c.shrinkWindows()
	}
}

// shiftRecvWindows changes the windows of all streams as the peer does (RFC 9113 §6.9.2).
func (c *Conn) shiftRecvWindows(delta int32) {
	for _, s := range c.streams.All() {
		inc, _ := s.recv.Shift(delta)
		if inc > 0 && s.state.CanReceive() {
			c.appendWindowUpdate(s.ID, inc)
		}
	}
}

// giveBackOwed gives back the credit that was held back.
func (c *Conn) giveBackOwed() {
	if n := c.owed; n > 0 {
		c.owed = 0
		c.giveBack(uint32(n))
	}
}

// restoreWindow makes the small window of s as large as that of streams is otherwise, now that all
// of it is read and while the connection has room for as much.
func (c *Conn) restoreWindow(s *Stream) {
	missing := c.cfg.StreamWindow - c.window.size
	if s.unread > 0 || s.restored > 0 || !s.state.CanReceive() || !c.windowsSmall() || c.fatal != nil ||
		c.unread+int64(c.window.restored)+int64(missing) > c.cfg.MaxUnread {
		return
	}
	s.restored = missing
	c.window.restored += missing
	if inc := s.recv.Resize(s.recv.Size() + missing); inc > 0 {
		c.appendWindowUpdate(s.ID, inc)
	}
}

// shiftWindows changes the send window of every stream by as much as SETTINGS_INITIAL_WINDOW_SIZE
// has changed; windows may go below zero (RFC 9113 §6.9.2).
func (c *Conn) shiftWindows(size uint32) error {
	delta := int32(int64(size) - int64(c.peer.InitialWindowSize))
	c.peer.InitialWindowSize = size
	for _, s := range c.streams.All() {
		if !s.send.Shift(delta) {
			return frame.NewConnError(frame.FlowControlError, "RFC 9113 §6.9.2", "stream window above 2^31-1")
		}
		if s.send.Available() <= 0 {
			c.setTurn(s, noTurn)
		}
		c.wake(s)
	}
	return nil
}
