package core

import "github.com/sluice-go/sluice/frame"

// PaddingFunc chooses the padding of a frame that is about to be sent: it returns how many octets,
// 0 to 255, are appended to the frame h, whose Length is that of the payload without padding. With
// 0 the frame is not padded. Padding hides how long a message is, and has risks of its own (RFC
// 9113 §10.7); in DATA it takes as many octets of both flow-control windows, and one more for its
// length.
//
// It is called for DATA that is not empty, and for HEADERS and PUSH_PROMISE that no CONTINUATION
// follows. The padding is shorter than the result where the frame or the windows allow no more.
type PaddingFunc func(h frame.Header) int

// maxPadding is what Pad Length and the longest padding take (RFC 9113 §6.1).
const maxPadding = 1 + 255

// padData returns how many of the n octets that may be sent on s the next DATA frame takes, and its
// padding.
func (c *Conn) padData(s *Stream, n int) (data, pad int) {
	limit := min(int(s.send.Available()), int(c.sendWindow.Available()), int(c.peer.MaxFrameSize))
	n = min(n, max(limit-maxPadding, (limit+1)/2))
	want := c.cfg.Padding(frame.Header{Length: uint32(n), Type: frame.TypeData, StreamID: s.ID})
	return n, max(min(want, limit-n-1, 255), 0)
}

// padBlock pads the last frame of the output, which begins at octet at, if the peer's maximum frame
// size allows that.
func (c *Conn) padBlock(at int, h frame.Header) {
	h.Length = uint32(len(c.out) - at - frame.HeaderLen)
	pad := min(c.cfg.Padding(h), int(c.peer.MaxFrameSize)-int(h.Length)-1, 255)
	if pad <= 0 {
		return
	}
	begin := at + frame.HeaderLen
	c.out = append(c.out, 0)
	copy(c.out[begin+1:], c.out[begin:])
	c.out[begin] = byte(pad)
	c.out = append(c.out, make([]byte, pad)...)
	h.Flags |= frame.FlagPadded
	h.Length += uint32(pad) + 1
	h.Put(c.out[at:])
}
