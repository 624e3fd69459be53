package core

import "github.com/sluice-go/sluice/frame"

// refusal is what Refuse has been told about the frame, or header block, that was decoded.
type refusal struct {
	refused bool
	code    frame.Code // code with which the stream is reset; with NoError the frame is dropped
}

// Frame returns the frame that the last Decode has cut; ok is false where that was a piece of the
// client preface. The payload is a view into what Decode was given. Frame belongs to the reader, as
// Decode does.
func (d Driver) Frame() (h frame.Header, payload []byte, ok bool) {
	return d.dec.header, d.dec.payload, d.dec.isFrame
}

// Refuse says that the frame which the last Decode has cut is to have no effect at the next Apply.
// With a code other than NoError, Apply resets the stream of the frame, if it has one. What the two
// sides must agree on stays in order:
//
//   - HEADERS, PUSH_PROMISE, CONTINUATION: the header block is decoded.
//   - DATA: the octets are returned to the peer as credit.
//   - A message of which a frame of these types was refused is not complete, so its stream is
//     always reset, with REFUSED_STREAM if the code is NoError.
//   - SETTINGS, GOAWAY, RST_STREAM, WINDOW_UPDATE and the acknowledgement of a PING take effect all
//     the same. The code resets the stream of a WINDOW_UPDATE after that.
//   - PING is not answered.
//   - A frame that is an error is that error.
//
// Limits does not count a refusal, which is no fault of the peer. Refuse belongs to the reader, as
// Decode does.
func (d Driver) Refuse(code frame.Code) {
	if !d.dec.refusal.refused || d.dec.refusal.code == frame.NoError {
		d.dec.refusal = refusal{refused: true, code: code}
	}
}

// applyRefused is apply for a frame that was refused, or for the last frame of a header block of
// which one was refused.
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
		if err := c.apply(h, p); err != nil || code == frame.NoError {
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
