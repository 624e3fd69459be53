package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// appendHeaders appends a header block as HEADERS and as many CONTINUATION frames as the peer's
// maximum frame size asks for (RFC 9113 §4.3). The block is encoded straight into the output.
func (c *Conn) appendHeaders(id uint32, fields []Field, end bool) {
	flags := frame.FlagEndHeaders
	if end {
		flags |= frame.FlagEndStream
	}
	c.appendBlock(frame.Header{Type: frame.TypeHeaders, Flags: flags, StreamID: id}, nil, fields)
}

// appendPrioritized is appendHeaders with a place in the tree (RFC 7540 §6.2).
func (c *Conn) appendPrioritized(id uint32, fields []Field, end bool, p frame.PriorityParam) {
	flags := frame.FlagEndHeaders | frame.FlagPriority
	if end {
		flags |= frame.FlagEndStream
	}
	var b [16]byte
	prefix := frame.Priority{StreamID: id, PriorityParam: p}.Append(b[:0])[frame.HeaderLen:]
	c.appendBlock(frame.Header{Type: frame.TypeHeaders, Flags: flags, StreamID: id}, prefix, fields)
}

// appendBlock appends the frame h, whose payload is prefix and then a header block.
func (c *Conn) appendBlock(h frame.Header, prefix []byte, fields []Field) {
	at := len(c.out)
	c.out = h.Append(c.out) // the length is not known yet
	c.out = append(c.out, prefix...)
	c.out = c.enc.append(c.out, fields)
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

// Ping appends a PING; its answer comes as EventPingAck. After Fail it does nothing. The data must
// not be one of the three that the connection uses for itself, which no random data will be.
func (c *Conn) Ping(data [8]byte) {
	if c.fatal != nil {
		return
	}
	c.out = frame.Ping{Data: data}.Append(c.out)
	c.life.pingsOut++
	c.counts.FramesOut++
	c.counts.PingsOut++
}

// Reset ends s with RST_STREAM. What waits to be sent is dropped. It does nothing when s is closed
// already, and so never answers RST_STREAM with RST_STREAM (RFC 9113 §5.4.2); nor after Fail.
func (c *Conn) Reset(s *Stream, code frame.Code) {
	c.ResetFor(s, code, "reset by this side", nil)
}

// ResetFor is Reset with a reason and a cause for the error of EventReset. The peer hears the code
// only.
func (c *Conn) ResetFor(s *Stream, code frame.Code, reason string, cause error) {
	if c.fatal != nil || s.state.Closed() || s.state == stream.Idle {
		return
	}
	c.resetStream(s, &frame.StreamError{StreamID: s.ID, Code: code, Reason: reason, Cause: cause})
}

// StopRecv says that nobody wants what the peer still sends on s. Once our half has ended, the peer
// is told so: a server with RST_STREAM(NO_ERROR), as RFC 9113 §8.1 allows after a complete
// response, and a client with RST_STREAM(CANCEL).
func (c *Conn) StopRecv(s *Stream) {
	switch {
	case !s.state.CanReceive():
	case s.state == stream.HalfClosedLocal:
		c.Reset(s, c.stopCode())
	default:
		s.out.stopRecv = true
	}
}

// stopCode is the code that tells the peer that the rest of its message is not wanted.
func (c *Conn) stopCode() frame.Code {
	if c.cfg.Role == Client {
		return frame.Cancel
	}
	return frame.NoError
}

// resetStream ends s with RST_STREAM and the events for it.
func (c *Conn) resetStream(s *Stream, se *frame.StreamError) {
	if !s.state.Closed() {
		c.local(s, stream.SendReset)
	}
	s.state = stream.ClosedResetLocal
	c.appendRSTStream(s.ID, se.Code)
	c.emit(Event{Kind: EventReset, Stream: s, Err: se})
	c.closeStream(s)
}
