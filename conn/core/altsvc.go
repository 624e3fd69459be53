package core

import "github.com/sluice-go/sluice/frame"

// recvAltSvc handles ALTSVC, which says where else an origin is served (RFC 7838 §4).
func (c *Conn) recvAltSvc(h frame.Header, p []byte) error {
	if err := c.limit.glitch(c.now); err != nil {
		return err
	}
	if c.cfg.Role == Server {
		return nil
	}
	f, err := frame.ParseAltSvc(h, p)
	if err != nil {
		return unlessIgnored(err)
	}
	var s *Stream
	if f.StreamID != 0 {
		var ok bool
		if s, ok = c.streams.Get(f.StreamID); !ok {
			return nil // the stream is closed: we may have reset it after ALTSVC was sent
		}
	}
	c.emitEvent(Event{Kind: EventAltSvc, Stream: s, Data: p})
	return nil
}

// SendAltSvc appends an ALTSVC frame (RFC 7838 §4): for an origin, or with s for the origin of the
// request on s. value is as in an Alt-Svc field. It returns false where the frame is too long for
// the peer's SETTINGS_MAX_FRAME_SIZE, and after Fail. Server only.
func (c *Conn) SendAltSvc(s *Stream, origin, value string) bool {
	f := frame.AltSvc{Value: []byte(value)}
	if s != nil {
		f.StreamID = s.ID
	} else {
		f.Origin = []byte(origin)
	}
	if c.connErr != nil || 2+len(f.Origin)+len(f.Value) > int(c.peer.MaxFrameSize) {
		return false
	}
	c.out = f.Append(c.out)
	c.counts.FramesOut++
	return true
}
