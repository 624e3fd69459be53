package core

import (
	"math/bits"

	"github.com/sluice-go/sluice/frame"
)

// recvSettings applies the peer's SETTINGS (RFC 9113 §6.5), all of them in order before anything
// else is handled, and acknowledges them (RFC 9113 §6.5.3).
func (c *Conn) recvSettings(h frame.Header, p []byte) error {
	f, err := frame.ParseSettings(h, p)
	if err != nil {
		return err
	}
	if f.Ack {
		return c.recvSettingsAck()
	}
	if c.settings.received {
		if err := c.limit.glitch(c.now); err != nil {
			return err
		}
	}
	if err := c.applySettings(&f); err != nil {
		return err
	}
	c.settings.received = true
	c.counts.SettingsIn++
	c.out = frame.AppendSettingsAck(c.out)
	c.counts.FramesOut++
	if c.cfg.Grease != 0 && c.counts.SettingsIn == 1 {
		c.appendGrease(bits.RotateLeft64(c.cfg.Grease, 23))
	}
	c.emitEvent(Event{Kind: EventSettings})
	return c.limit.queuedAnswer()
}

func (c *Conn) applySettings(f *frame.Settings) error {
	if over(f.Len(), c.limit.MaxSettings) {
		return enhanceYourCalm("too_many_settings")
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
		c.enc.SetPeerTableSize(set.Value)
	case frame.SettingEnablePush:
		if c.cfg.Role == Client && set.Value != 0 {
			return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.5.2", "SETTINGS_ENABLE_PUSH from a server")
		}
		p.EnablePush = set.Value == 1
	case frame.SettingMaxConcurrentStreams:
		p.MaxConcurrentStreams = set.Value
	case frame.SettingInitialWindowSize:
		return c.shiftSendWindows(set.Value)
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
		if c.settings.received && p.NoRFC7540Priorities != (set.Value == 1) {
			return frame.NewConnError(frame.ProtocolError, "RFC 9218 §2.1", "SETTINGS_NO_RFC7540_PRIORITIES changed")
		}
		p.NoRFC7540Priorities = set.Value == 1
	}
	return nil
}

func (c *Conn) recvSettingsAck() error {
	if c.settings.acked && c.settings.windowUnacked {
		c.initialWindowAcked()
		return nil
	}
	if c.settings.acked {
		return c.limit.glitch(c.now)
	}
	c.settings.acked = true
	c.recv.bdp.PingAcked(c.now)
	c.dec.hpack.SetTableSize(c.cfg.DecoderTableSize)
	if c.cfg.StreamWindow < frame.DefaultWindow {
		// From now on the peer counts with the smaller window on all streams (RFC 9113 §6.9.2).
		c.shiftRecvWindows(int32(c.cfg.StreamWindow) - frame.DefaultWindow)
	}
	c.boundUnread()
	return nil
}
