package core

import (
	"math/bits"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// recvSettings applies the peer's SETTINGS, all of them in order before anything else is handled,
// and acknowledges them (RFC 9113 §6.5.3).
func (c *Conn) recvSettings(h frame.Header, p []byte) error {
	f, err := frame.ParseSettings(h, p)
	if err != nil {
		return err
	}
	if f.Ack {
		return c.recvSettingsAck()
	}
	if c.life.settingsRecv {
		if err := c.limit.glitch(c.now); err != nil {
			return err
		}
	}
	if err := c.applySettings(&f); err != nil {
		return err
	}
	c.life.settingsRecv = true
	c.counts.SettingsIn++
	c.out = frame.AppendSettingsAck(c.out)
	c.counts.FramesOut++
	if c.cfg.Grease != 0 && c.counts.SettingsIn == 1 {
		c.appendGrease(bits.RotateLeft64(c.cfg.Grease, 23))
	}
	c.emit(Event{Kind: EventSettings})
	return c.limit.control()
}

func (c *Conn) applySettings(f *frame.Settings) error {
	if over(f.Len(), c.limit.MaxSettings) {
		return calm("too_many_settings")
	}
	for i := range f.Len() {
		set := f.At(i)
		if err := set.Check(); err != nil {
			return err
		}
		if err := c.applySetting(set); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) applySetting(set frame.Setting) error {
	p := &c.peer
	switch set.ID {
	case frame.SettingHeaderTableSize:
		p.HeaderTableSize = set.Value
		c.enc.setPeerTableSize(set.Value)
	case frame.SettingEnablePush:
		if c.cfg.Role == Client && set.Value != 0 {
			return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.5.2", "SETTINGS_ENABLE_PUSH from a server")
		}
		p.EnablePush = set.Value == 1
	case frame.SettingMaxConcurrentStreams:
		p.MaxConcurrentStreams = set.Value
	case frame.SettingInitialWindowSize:
		return c.shiftWindows(set.Value)
	case frame.SettingMaxFrameSize:
		p.MaxFrameSize = set.Value
	case frame.SettingMaxHeaderListSize:
		p.MaxHeaderListSize = set.Value
	case frame.SettingEnableConnectProtocol:
		if p.EnableConnectProtocol && set.Value == 0 {
			return frame.NewConnError(frame.ProtocolError, "RFC 8441 §3", "SETTINGS_ENABLE_CONNECT_PROTOCOL taken back")
		}
		p.EnableConnectProtocol = set.Value == 1
	case frame.SettingNoRFC7540Priorities:
		if c.life.settingsRecv && p.NoRFC7540Priorities != (set.Value == 1) {
			return frame.NewConnError(frame.ProtocolError, "RFC 9218 §2.1", "SETTINGS_NO_RFC7540_PRIORITIES changed")
		}
		p.NoRFC7540Priorities = set.Value == 1
	}
	return nil
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

func (c *Conn) recvSettingsAck() error {
	if c.life.settingsAcked && c.life.windowAsked {
		c.recvWindowAck()
		return nil
	}
	if c.life.settingsAcked {
		return c.limit.glitch(c.now)
	}
	c.life.settingsAcked = true
	c.bdp.PingAcked(c.now)
	c.in.block.setTableSize(c.cfg.DecoderTableSize)
	if c.cfg.StreamWindow < frame.DefaultWindow {
		// From now on the peer counts with the smaller window on all streams (RFC 9113 §6.9.2).
		c.shiftRecvWindows(int32(c.cfg.StreamWindow) - frame.DefaultWindow)
	}
	c.boundUnread()
	return nil
}

func (c *Conn) recvPing(h frame.Header, p []byte) error {
	f, err := frame.ParsePing(h, p)
	if err != nil {
		return err
	}
	if f.Ack {
		return c.recvPingAck(f.Data)
	}
	c.counts.PingsIn++
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.out = frame.Ping{Ack: true, Data: f.Data}.Append(c.out)
	c.counts.FramesOut++
	return c.limit.control()
}

func (c *Conn) recvPingAck(data [8]byte) error {
	switch {
	case data == drainPing && c.shutdown.step == drainAnnounced:
		c.finishDrain()
	case data == keepalivePing && c.life.pingOut:
		c.life.pingOut = false
	case data == tunePing && c.life.tunePinged:
		c.life.tunePinged = false
		c.bdp.PingAcked(c.now)
	default:
		c.emit(Event{Kind: EventPingAck, Ping: data})
		if c.life.pingsOut == 0 {
			return c.limit.glitch(c.now)
		}
		c.life.pingsOut--
	}
	return nil
}

// recvGoAway handles GOAWAY (RFC 9113 §6.8): streams of ours above the last that the peer will
// process are over, and may be tried again elsewhere.
func (c *Conn) recvGoAway(h frame.Header, p []byte) error {
	f, err := frame.ParseGoAway(h, p)
	if err != nil {
		return err
	}
	if c.shutdown.peerGone && f.LastStreamID > c.shutdown.peerLast {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.8", "last stream identifier of GOAWAY increased")
	}
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	c.shutdown.peerGone, c.shutdown.peerLast = true, f.LastStreamID
	c.emit(Event{Kind: EventGoAway, Err: &frame.ConnError{
		Code: f.Code, Initiator: frame.Remote, LastStreamID: f.LastStreamID,
		Debug: string(f.DebugData),
	}})
	var refused []*Stream
	for id, s := range c.streams.All() {
		if c.ids.IsLocal(id) && id > f.LastStreamID {
			refused = append(refused, s)
		}
	}
	for _, s := range refused {
		s.state = stream.ClosedResetRemote
		c.emit(Event{Kind: EventReset, Stream: s, Err: &frame.StreamError{
			StreamID: s.ID, Code: frame.RefusedStream, Initiator: frame.Remote, Section: "RFC 9113 §6.8",
			Reason: "not processed: the peer sent GOAWAY with a lower last stream",
		}})
		c.closeStream(s)
	}
	c.followGoAway()
	return nil
}

// followGoAway drains a server's connection whose client has sent GOAWAY, once no stream is open:
// nothing more is to be expected on it.
func (c *Conn) followGoAway() {
	if c.cfg.Role == Server && c.shutdown.peerGone && c.streams.Len() == 0 {
		guess := !c.timed && c.shutdown.step == running
		c.beginDrain()
		c.shutdown.guess = guess
	}
}
