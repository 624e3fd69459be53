package conn

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// FramePolicy judges a frame that the peer has sent, before it takes effect. An application can
// count frames with it, and bound what the Limits do not know of: frames of a kind per second, say.
//
//   - nil lets the frame pass.
//   - ErrDropFrame drops it. What cannot be left out of a message without a hole (HEADERS,
//     PUSH_PROMISE, CONTINUATION, DATA) resets its stream with REFUSED_STREAM instead, and so keeps
//     a request from being handled. SETTINGS, GOAWAY, RST_STREAM, WINDOW_UPDATE and the answers to
//     our PINGs take effect all the same, so that the two sides agree.
//   - A *frame.StreamError resets the frame's stream with its code; a frame that is on no stream is
//     dropped. Neither counts as a fault of the peer: Limits and CountError leave it out.
//   - Any other error ends the connection, with the code of a *frame.ConnError if it is one and
//     ENHANCE_YOUR_CALM otherwise. The peer is not told its text.
//
// It is called by the goroutine that reads the connection, never twice at a time for one
// connection, outside any lock, and must not block. The payload is valid during the call; that of a
// header block is HPACK, and what is compressed cannot be judged one frame at a time: count, or see
// the request in the handler.
type FramePolicy func(c *Conn, h frame.Header, payload []byte) error

// ErrDropFrame is what a FramePolicy returns to drop a frame.
var ErrDropFrame = errors.New("http2: frame dropped")

// applyPolicy asks the policy about the frame that Decode has taken off. The error ends the
// connection.
func (c *Conn) applyPolicy() error {
	h, payload, ok := c.core.Frame()
	if !ok {
		return nil // a piece of the client's preface
	}
	err := c.opts.FramePolicy(c, h, payload)
	var se *frame.StreamError
	var ce *frame.ConnError
	switch {
	case err == nil:
	case errors.Is(err, ErrDropFrame):
		c.core.Refuse(frame.NoError)
	case errors.As(err, &se):
		c.core.Refuse(se.Code)
	case errors.As(err, &ce):
		return err
	default:
		return &frame.ConnError{
			Code: frame.EnhanceYourCalm, Section: "RFC 9113 §10.5", Reason: "refused by the frame policy", Cause: err,
		}
	}
	return nil
}
