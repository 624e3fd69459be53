package core

import (
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// appendHeaders appends a header block as HEADERS and as many CONTINUATION frames as the peer's
// maximum frame size asks for (RFC 9113 §4.3). The block is encoded straight into the output.
func (c *Conn) appendHeaders(id uint32, fields []header.Field, end bool) {
	flags := frame.FlagEndHeaders
	if end {
		flags |= frame.FlagEndStream
	}
	c.appendBlock(frame.Header{Type: frame.TypeHeaders, Flags: flags, StreamID: id}, nil, fields)
}

// appendPrioritized is appendHeaders with a place in the tree (RFC 7540 §6.2).
func (c *Conn) appendPrioritized(id uint32, fields []header.Field, end bool, p frame.PriorityParam) {
	flags := frame.FlagEndHeaders | frame.FlagPriority
	if end {
		flags |= frame.FlagEndStream
	}
	var b [16]byte
	prefix := frame.Priority{StreamID: id, PriorityParam: p}.Append(b[:0])[frame.HeaderLen:]
	c.appendBlock(frame.Header{Type: frame.TypeHeaders, Flags: flags, StreamID: id}, prefix, fields)
}

// appendBlock appends the frame h, whose payload is prefix and then a header block.
func (c *Conn) appendBlock(h frame.Header, prefix []byte, fields []header.Field) {
	at := len(c.out)
	c.out = h.Append(c.out) // the length is not known yet
	c.out = append(c.out, prefix...)
	c.out = c.enc.Append(c.out, fields)
	c.counts.FramesOut++
	size := len(c.out) - at - frame.HeaderLen
	if size <= int(c.peer.MaxFrameSize) {
		h.Length = uint32(size)
		h.Put(c.out[at:])
		if c.cfg.Padding != nil {
			c.padBlock(at, h)
		}
		return
	}
	c.splitBlock(at, h)
}

// splitBlock cuts the frame that begins at octet at of the output, too long for the peer, into one
// of the same type and CONTINUATION frames.
func (c *Conn) splitBlock(at int, h frame.Header) {
	maxSize := int(c.peer.MaxFrameSize)
	rest := append([]byte(nil), c.out[at+frame.HeaderLen+maxSize:]...)
	c.out = c.out[:at+frame.HeaderLen+maxSize]
	h.Flags &^= frame.FlagEndHeaders
	h.Length = uint32(maxSize)
	h.Put(c.out[at:])
	for len(rest) > 0 {
		n := min(len(rest), maxSize)
		f := frame.Continuation{StreamID: h.StreamID, EndHeaders: n == len(rest), Fragment: rest[:n]}
		c.out = f.Append(c.out)
		c.counts.FramesOut++
		rest = rest[n:]
	}
}

func (c *Conn) appendWindowUpdate(id, inc uint32) {
	c.out = frame.WindowUpdate{StreamID: id, Increment: inc}.Append(c.out)
	c.counts.FramesOut++
	c.counts.WindowUpdatesOut++
}

func (c *Conn) appendRSTStream(id uint32, code frame.Code) {
	c.out = frame.RSTStream{StreamID: id, Code: code}.Append(c.out)
	c.counts.FramesOut++
	c.counts.ResetsOut++
}

func (c *Conn) appendGoAway(last uint32, code frame.Code, debug string) {
	c.out = frame.GoAway{LastStreamID: last, Code: code, DebugData: []byte(debug)}.Append(c.out)
	c.counts.FramesOut++
}
