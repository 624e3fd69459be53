package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// recvWindowUpdate handles WINDOW_UPDATE (RFC 9113 §6.9).
func (c *Conn) recvWindowUpdate(h frame.Header, p []byte) error {
	c.counts.WindowUpdatesIn++
	f, err := frame.ParseWindowUpdate(h, p)
	s, open := c.streams.Get(h.StreamID)
	if f.StreamID != 0 && !open { // an increment of 0 is an error on an open stream only
		return c.recvOnClosed(f.StreamID, stream.RecvWindowUpdate)
	}
	if err != nil {
		return err
	}
	if err := c.limit.windowUpdate(c.now); err != nil {
		return err
	}
	if h.StreamID == 0 {
		if !c.sendWindow.Add(f.Increment) {
			return frame.NewConnError(frame.FlowControlError, "RFC 9113 §6.9.1", "connection window above 2^31-1")
		}
		return nil // the streams that waited for this are ready: the next Fill sends
	}
	if _, err := c.transition(s, stream.RecvWindowUpdate); err != nil {
		return err
	}
	// Also where we have nothing left to send: "A sender MUST NOT allow a flow-control window to
	// exceed 2^31-1 octets."
	if !s.send.Add(f.Increment) {
		return frame.NewStreamError(s.ID, frame.FlowControlError, "RFC 9113 §6.9.1", "stream window above 2^31-1")
	}
	c.readyIfSendable(s)
	return nil
}
