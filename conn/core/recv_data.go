package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// smallDataSize is the length below which the data of a DATA frame counts as small: it is shorter
// than the frame's header, which no honest sender has reason to do often.
const smallDataSize = frame.HeaderLen

// recvData handles DATA (RFC 9113 §6.1). It takes every octet of the payload, padding included,
// from the connection's window first, and returns it on every path: at once where the data is
// dropped, and by retain and Consume otherwise.
func (c *Conn) recvData(h frame.Header, p []byte) error {
	f, err := frame.ParseData(h, p)
	if err != nil {
		return err
	}
	if !c.recv.window.Receive(h.Length) {
		return errConnWindow()
	}
	s, ok := c.streams.Get(f.StreamID)
	if !ok {
		c.returnCredit(h.Length)
		return c.recvOnClosed(f.StreamID, stream.RecvData)
	}
	ok, err = c.acceptData(s, &f, h.Length)
	if !ok {
		c.returnCredit(h.Length)
		return err
	}
	unwanted := h.Length - uint32(len(f.Data)) // padding, and what exceeds content-length
	if unwanted > 0 {
		c.returnCredit(unwanted)
	}
	c.counts.DataIn += uint64(len(f.Data))
	c.streams.lastData = s
	if c.cfg.WindowGrowth > 0 {
		c.measureBDP(s)
	}
	c.retain(s, len(f.Data))
	if err == nil && f.EndStream {
		err = c.recvEnd(s)
	} else if err == nil {
		if inc := s.recv.window.Release(unwanted); inc > 0 {
			c.appendWindowUpdate(s.ID, inc)
		}
	}
	// Where the content has another length than declared, the caller gets what has arrived of it,
	// and EventReset behind that.
	e := c.queueEvent(EventData, s)
	e.Data, e.End = f.Data, f.EndStream && err == nil
	if err != nil {
		return err
	}
	if s.state.Closed() {
		c.closeStream(s)
	}
	return nil
}

// errConnWindow returns the error for DATA beyond the connection's window.
func errConnWindow() error {
	return frame.NewConnError(frame.FlowControlError, "RFC 9113 §6.9", "DATA exceeds the connection's window")
}

// acceptData decides what becomes of DATA on s, and takes length octets from the stream's window:
//
//	true, nil:   f is accepted
//	false, nil:  f is ignored
//	false, err:  f is dropped
//	true, err:   f.Data is cut to the declared length and accepted, and the stream is reset after it
func (c *Conn) acceptData(s *Stream, f *frame.Data, length uint32) (ok bool, err error) {
	if ok, err := c.transition(s, stream.RecvData); !ok {
		return false, err
	}
	if !s.headRecv {
		return false, frame.NewStreamError(s.ID, frame.ProtocolError,
			"RFC 9113 §8.1", "DATA before the response's HEADERS")
	}
	if !s.recv.window.Receive(length) {
		return false, frame.NewStreamError(s.ID, frame.FlowControlError,
			"RFC 9113 §6.9", "DATA exceeds the stream's window")
	}
	s.recvBody += int64(len(f.Data))
	if s.noBody && s.recvBody > 0 {
		return false, frame.NewStreamError(s.ID, frame.ProtocolError,
			"RFC 9110 §6.4.1", "content in a response that has none")
	}
	if s.Head.ContentLength >= 0 && !s.noBody && s.recvBody > s.Head.ContentLength {
		f.Data = f.Data[:max(int64(len(f.Data))-(s.recvBody-s.Head.ContentLength), 0)]
		return len(f.Data) > 0, badLength(s.ID)
	}
	if len(f.Data) == 0 && !f.EndStream {
		return c.acceptEmpty(s)
	}
	c.limit.receivedData()
	if len(f.Data) < smallDataSize && s.recv.unread > 0 {
		s.recv.smallData++
		c.limit.smallData++
		if over(int(c.limit.smallData), c.limit.MaxSmallData) {
			return false, enhanceYourCalm("too_many_data_frames")
		}
	}
	return true, nil
}

// acceptEmpty charges DATA that has neither content nor END_STREAM to Limits.EmptyBurst.
func (c *Conn) acceptEmpty(s *Stream) (ok bool, err error) {
	const reason = "too_many_data_frames: empty"
	switch {
	case c.limit.empty(c.now):
		return true, nil
	case c.cfg.Role == Client:
		return false, frame.NewStreamError(s.ID, frame.EnhanceYourCalm, "RFC 9113 §10.5", reason)
	}
	return false, enhanceYourCalm(reason)
}
