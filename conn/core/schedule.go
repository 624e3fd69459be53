package core

import (
	"fmt"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// turn is what the scheduler has been told of a stream.
type turn uint8

const (
	noTurn  turn = iota // it is not ready
	sends               // it is ready and has something to send
	awaited             // it is ready and has nothing to send yet: see SetPatient
)

// order counts the streams that are ready, by their turn.
type order struct {
	sends, awaited int
}

// any reports whether a stream is ready.
func (o *order) any() bool { return o.sends > 0 || o.awaited > 0 }

// setTurn changes the turn of s and tells the scheduler.
func (c *Conn) setTurn(s *Stream, t turn) {
	if s.turn == t {
		return
	}
	c.order.count(s.turn, -1)
	c.order.count(t, 1)
	was := s.turn
	s.turn = t
	switch {
	case c.fatal != nil: // see Abandon
	case t == noTurn:
		c.sched.Unready(&s.node)
	case was == noTurn:
		c.sched.Ready(&s.node)
	}
}

// leave takes s, which is closed, out of the scheduler.
func (c *Conn) leave(s *Stream) {
	c.order.count(s.turn, -1)
	s.turn = noTurn
	c.sched.Close(&s.node)
}

func (o *order) count(t turn, by int) {
	switch t {
	case sends:
		o.sends += by
	case awaited:
		o.awaited += by
	}
}

// wake tells the scheduler that s can send, if it can.
func (c *Conn) wake(s *Stream) {
	if s.out.waiting() && s.send.Available() > 0 {
		if s.turn == awaited {
			s.late, s.skip = 0, 0 // it was worth waiting for
		}
		c.setTurn(s, sends)
	}
}

// Fill moves queued data to the output, in the order that the scheduler decides, until the output
// holds limit octets, no stream is ready, the connection's window is used up or, where the socket
// is slow, until the stream whose turn it is has nothing to send yet (see SetPatient).
//
// A scheduler that breaks the contract of priority.Scheduler ends the connection, with
// INTERNAL_ERROR: then Err says what it did.
func (c *Conn) Fill(limit int) {
	for c.fatal == nil && len(c.out)+c.lent < limit && c.send.Available() > 0 {
		s := c.next()
		switch {
		case s == nil:
			return
		case s.turn == sends:
			c.sendChunk(s)
		case c.patient:
			return
		default:
			c.setTurn(s, noTurn)
		}
	}
}

// next returns the stream whose turn it is, nil where there is none, or where the scheduler is at
// fault.
func (c *Conn) next() *Stream {
	n := c.sched.Next()
	if n == nil {
		if c.order.any() {
			c.blameScheduler("Next has returned nil while %d streams are ready", c.order.sends+c.order.awaited)
		}
		return nil
	}
	// A Node that is not in the table may belong to a stream of another connection by now, so
	// nothing but its identifier may be looked at.
	s, ok := c.streams.Get(n.ID)
	switch {
	case !ok || &s.node != n:
		c.blameScheduler("Next has returned a Node that was closed, or is not of this connection")
		return nil
	case s.turn == noTurn:
		c.blameScheduler("Next has returned stream %d, which is not ready", s.ID)
		return nil
	}
	return s
}

func (c *Conn) blameScheduler(format string, args ...any) {
	c.Fail(&frame.ConnError{
		Code:   frame.InternalError,
		Reason: "fault of the Scheduler: " + fmt.Sprintf(format, args...),
		Cause:  priority.ErrContract,
	})
}
