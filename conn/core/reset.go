package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Reset ends s with RST_STREAM. What waits to be sent is dropped. It does nothing when s is closed
// already, and so never answers RST_STREAM with RST_STREAM (RFC 9113 §5.4.2); nor after Fail.
func (c *Conn) Reset(s *Stream, code frame.Code) {
	c.Driver().ResetFor(s, code, "reset by this side", nil)
}

// ResetFor is Reset with a reason and a cause for the error of EventReset. The peer hears the code
// only.
func (d Driver) ResetFor(s *Stream, code frame.Code, reason string, cause error) {
	if d.connErr != nil || s.state.Closed() || s.state == stream.Idle {
		return
	}
	d.resetStream(s, &frame.StreamError{StreamID: s.ID, Code: code, Reason: reason, Cause: cause})
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
		s.out.resetAfterEnd = true
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
		c.mustTransition(s, stream.SendReset)
	}
	s.state = stream.ClosedResetLocal
	c.appendRSTStream(s.ID, se.Code)
	c.emitEvent(Event{Kind: EventReset, Stream: s, Err: se})
	c.closeStream(s)
}

// streamError ends a stream for a fault of the peer (RFC 9113 §5.4.2).
func (c *Conn) streamError(se *frame.StreamError) error {
	free := c.faultIsFree(se)
	if !free {
		if err := c.limit.fault(c.now); err != nil {
			return err
		}
	}
	c.emitEvent(Event{Kind: EventFault, Err: se})
	if _, open := c.streams.Get(se.StreamID); !open && c.streams.ids.Idle(se.StreamID) {
		// RST_STREAM must not be sent for an idle stream (RFC 9113 §6.4).
		return frame.NewConnError(se.Code, se.Section, se.Reason+", on an idle stream")
	}
	c.endStream(se)
	if free {
		return nil
	}
	return c.limit.queuedAnswer()
}

// endStream sends RST_STREAM for a stream of the table, or for one that was never put there.
func (c *Conn) endStream(se *frame.StreamError) {
	if s, ok := c.streams.Get(se.StreamID); ok {
		c.resetStream(s, se)
	} else if st, _ := c.streams.closed.State(se.StreamID); st != stream.ClosedResetLocal {
		c.streams.closed.Add(se.StreamID, stream.ClosedResetLocal)
		c.appendRSTStream(se.StreamID, se.Code)
	}
}

// maxEarlyRefusals bounds the streams beyond our limit that are refused for nothing while the peer
// may not know it.
const maxEarlyRefusals = 10_000

// faultIsFree reports whether a stream error says nothing against the peer, or costs it a stream
// that was opened by us.
func (c *Conn) faultIsFree(se *frame.StreamError) bool {
	switch {
	case se.Code == frame.RefusedStream && !c.settings.acked:
		if c.limit.earlyRefusals == maxEarlyRefusals {
			return false
		}
		c.limit.earlyRefusals++
		return true
	case c.cfg.Role == Server:
		return false
	case c.streams.ids.IsLocal(se.StreamID):
		_, open := c.streams.Get(se.StreamID)
		return open
	case c.limit.glitchCredit > 0: // as many pushes as a page may have
		c.limit.glitchCredit--
		return true
	}
	return false
}
