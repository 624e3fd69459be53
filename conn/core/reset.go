package core

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Reset ends s with RST_STREAM, and drops what waits to be sent on it. It does nothing after Fail,
// nor when s is closed already, so it never answers RST_STREAM with RST_STREAM (RFC 9113 §5.4.2).
func (c *Conn) Reset(s *Stream, code frame.Code) {
	c.Driver().ResetFor(s, code, "reset by this side", nil)
}

// ResetFor is Reset with a reason and a cause for the error of EventReset. Only the code is sent to
// the peer.
func (d Driver) ResetFor(s *Stream, code frame.Code, reason string, cause error) {
	if d.connErr != nil || s.state.Closed() || s.state == stream.Idle {
		return
	}
	d.resetStream(s, &frame.StreamError{StreamID: s.ID, Code: code, Reason: reason, Cause: cause})
}

// StopRecv says that what the peer still sends on s is not needed. s is reset once our half has
// ended: a server sends RST_STREAM (NO_ERROR), as RFC 9113 §8.1 allows after a complete response,
// and a client sends RST_STREAM (CANCEL).
func (c *Conn) StopRecv(s *Stream) {
	switch {
	case !s.state.CanReceive():
	case s.state == stream.HalfClosedLocal:
		c.Reset(s, c.stopCode())
	default:
		s.out.resetAfterEnd = true
	}
}

// stopCode returns the code with which this side resets a stream for StopRecv.
func (c *Conn) stopCode() frame.Code {
	if c.cfg.Role == Client {
		return frame.Cancel
	}
	return frame.NoError
}

// resetStream ends s with RST_STREAM, EventReset and EventClosed.
func (c *Conn) resetStream(s *Stream, se *frame.StreamError) {
	if !s.state.Closed() {
		c.mustTransition(s, stream.SendReset)
	}
	s.state = stream.ClosedResetLocal
	c.appendRSTStream(s.ID, se.Code)
	c.emitEvent(Event{Kind: EventReset, Stream: s, Err: se})
	c.closeStream(s)
}

// streamError resets a stream for a fault of the peer (RFC 9113 §5.4.2), and charges the fault to
// Limits.
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

// endStream resets a stream that is in the table, or one that was never put there.
func (c *Conn) endStream(se *frame.StreamError) {
	if s, ok := c.streams.Get(se.StreamID); ok {
		c.resetStream(s, se)
	} else if st, _ := c.streams.closed.State(se.StreamID); st != stream.ClosedResetLocal {
		c.streams.closed.Add(se.StreamID, stream.ClosedResetLocal)
		c.appendRSTStream(se.StreamID, se.Code)
	}
}

// maxEarlyRefusals bounds the streams beyond MaxConcurrentStreams that are refused without a
// charge, while the peer may not know that limit.
const maxEarlyRefusals = 10_000

// faultIsFree reports whether a stream error is not charged: the peer could not know better, or the
// fault costs it a stream that we have opened.
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
	case c.limit.glitchCredit > 0: // a pushed stream: it is paid for by the free glitches, 16 for each stream
		c.limit.glitchCredit--
		return true
	}
	return false
}
