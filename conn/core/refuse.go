package core

import "github.com/sluice-go/sluice/frame"

// refusal is what the caller wants to become of the frame that was decoded.
type refusal struct {
	refused bool
	code    frame.Code // with which the stream is reset, NoError where the frame is dropped
}

// Frame returns the frame that the last Decode took off; ok is false where that was a piece of the
// client's preface. The payload is a view into what Decode was given.
func (d Driver) Frame() (h frame.Header, payload []byte, ok bool) {
	return d.dec.header, d.dec.payload, d.dec.isFrame
}

// Refuse says that the frame which the last Decode took off shall have no effect at the next Apply.
// With a code other than NoError the stream that it is on is reset, if it is on one.
//
// The connection stays in order. The header block of HEADERS, PUSH_PROMISE and CONTINUATION is
// decoded, and the octets of DATA are given back to the peer; since the rest of such a message
// would have a hole, a refused piece always resets its stream, with REFUSED_STREAM where no code is
// given. SETTINGS, GOAWAY, RST_STREAM, WINDOW_UPDATE and the answer to a PING, without which the
// two sides would no longer agree, take effect all the same, as does every frame before an error of
// its own; a code resets the stream of a WINDOW_UPDATE behind that. A PING of the peer that is
// refused is not answered.
//
// A refusal is this side's own: it is no fault of the peer, and Limits does not count it.
//
// Refuse belongs to the reader, as Decode does.
func (d Driver) Refuse(code frame.Code) {
	if !d.dec.refusal.refused || d.dec.refusal.code == frame.NoError {
		d.dec.refusal = refusal{refused: true, code: code}
	}
}

// applyRefused is apply for a frame that was refused, or of whose header block a frame was.
func (c *Conn) applyRefused(h frame.Header, p []byte, code frame.Code) error {
	id := h.StreamID
	switch h.Type {
	case frame.TypeSettings, frame.TypeGoAway, frame.TypeRSTStream:
		return c.apply(h, p)
	case frame.TypePing:
		if h.Flags.Has(frame.FlagAck) {
			return c.apply(h, p)
		}
		return nil
	case frame.TypeWindowUpdate:
		if err := c.handleStreamError(c.apply(h, p)); err != nil || code == frame.NoError {
			return err
		}
	case frame.TypeData:
		if _, err := frame.ParseData(h, p); err != nil {
			return err
		}
		if !c.recv.window.Receive(h.Length) {
			return errConnWindow()
		}
		c.returnCredit(h.Length)
	case frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation:
		b := &c.dec.block
		opens := b.promisedID
		if id = b.streamID; opens == 0 && c.cfg.Role == Server && c.streams.ids.Idle(id) {
			opens = id
		}
		if opens != 0 {
			id = opens
			if err := c.streams.ids.Accept(id); err != nil || c.afterGoAway(id) {
				return err
			}
			return c.refuseStream(id, code)
		}
	default:
		if code == frame.NoError {
			return nil
		}
	}
	if s, ok := c.streams.Get(id); ok {
		return c.refuseStream(s.ID, code)
	}
	return nil
}

// refuseStream resets stream id, which need not be open.
func (c *Conn) refuseStream(id uint32, code frame.Code) error {
	if code == frame.NoError {
		code = frame.RefusedStream
	}
	c.endStream(&frame.StreamError{StreamID: id, Code: code, Reason: "refused by the frame policy"})
	return c.limit.queuedAnswer()
}
