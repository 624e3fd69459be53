package core

import (
	"fmt"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// scheduling decides which stream sends next (RFC 9218 §10).
type scheduling struct {
	priority.Scheduler

	num            [awaited + 1]int32 // number of streams of each readiness
	backpressure   bool               // see Driver.SetBackpressure
	extensible     bool               // one of the two sides has stated a priority of RFC 9218
	pendingUpdates []pendingUpdate    // for streams that are idle, by ascending identifiers
}

// readiness says whether the scheduler has been told that a stream is ready, and why.
type readiness uint8

const (
	notReady readiness = iota // the scheduler takes the stream for one that has nothing to send
	ready                     // the stream is ready and has something to send
	awaited                   // the stream is ready and has nothing to send yet: see Driver.SetBackpressure
)

// setReadiness changes the readiness of s and tells the scheduler.
func (c *Conn) setReadiness(s *Stream, r readiness) {
	if s.readiness == r {
		return
	}
	was := s.readiness
	c.sched.num[was]--
	c.sched.num[r]++
	s.readiness = r
	switch {
	case c.connErr != nil: // the scheduler is not called any more: see Fail and Driver.Abandon
	case r == notReady:
		c.sched.Unready(&s.node)
	case was == notReady:
		c.sched.Ready(&s.node)
	}
}

// readyIfSendable makes s ready if it has something to send that its window lets pass.
func (c *Conn) readyIfSendable(s *Stream) {
	if len(s.out.data) > 0 && s.send.Available() > 0 {
		if s.readiness == awaited {
			s.await = awaitState{} // it was worth waiting for
		}
		c.setReadiness(s, ready)
	}
}

// Fill moves queued data to the output, in the order that the scheduler decides, until the output
// holds limit octets, no stream is ready or the connection's window is used up. With
// Driver.SetBackpressure, Fill ends as well when the scheduler's next stream has nothing to send
// yet.
//
// A scheduler that breaks the contract of priority.Scheduler ends the connection, with
// INTERNAL_ERROR: then Err says what it did.
func (c *Conn) Fill(limit int) {
	for c.connErr == nil && len(c.out)+c.vectored.octets < limit && c.sendWindow.Available() > 0 {
		s := c.next()
		switch {
		case s == nil:
			return
		case s.readiness == ready:
			c.sendChunk(s)
		case c.sched.backpressure:
			return
		default:
			c.setReadiness(s, notReady)
		}
	}
}

// next returns the stream that the scheduler has chosen, nil where there is none, or where the
// scheduler is at fault.
func (c *Conn) next() *Stream {
	n := c.sched.Next()
	if n == nil {
		if sending := c.sched.num[ready] + c.sched.num[awaited]; sending > 0 {
			c.failScheduler("Next has returned nil while %d streams are ready", sending)
		}
		return nil
	}
	// A Node that is not in the table may belong to a stream of another connection by now, so
	// nothing but its identifier may be looked at.
	s, ok := c.streams.Get(n.ID)
	switch {
	case !ok || &s.node != n:
		c.failScheduler("Next has returned a Node that was closed, or is not of this connection")
		return nil
	case s.readiness == notReady:
		c.failScheduler("Next has returned stream %d, which is not ready", s.ID)
		return nil
	}
	return s
}

// failScheduler ends the connection for a fault of the scheduler.
func (c *Conn) failScheduler(format string, args ...any) {
	c.Fail(&frame.ConnError{
		Code:   frame.InternalError,
		Reason: "fault of the Scheduler: " + fmt.Sprintf(format, args...),
		Cause:  priority.ErrContract,
	})
}
