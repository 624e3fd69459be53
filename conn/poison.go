package conn

import (
	"errors"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// errGoexit stands for the value of a panic where runtime.Goexit was called.
var errGoexit = errors.New("runtime.Goexit was called, as testing.T.FailNow does")

// unwoundBy returns why a function was left before its end: the value of the panic, which recover
// has returned, or errGoexit.
func unwoundBy(recovered any) any {
	if recovered == nil {
		return errGoexit
	}
	return recovered
}

// poisonLocked notes that the application's code has unwound the stack while core was in the middle
// of a change. Conn.unlockAndNotify, which the caller of the method has deferred, ends the
// connection.
func (c *Conn) poisonLocked(value any) {
	if !c.mu.poisoned && c.mu.phase != phaseClosed {
		c.mu.poisoned = true
		c.mu.err = panicErr(value)
	}
}

// closePoisonedLocked ends a poisoned connection.
func (c *Conn) closePoisonedLocked() {
	c.mu.poisoned = false
	c.deliverLastEventsLocked()
	c.closeLocked(c.mu.err)
}

// poisonOnUnwindLocked is deferred by a function that calls the application with the lock held. The
// panic goes on.
func (c *Conn) poisonOnUnwindLocked(ok *bool) {
	if !*ok {
		c.poisonLocked(errUnwound)
	}
}

// errUnwound stands for the value of a panic that goes on: the function that recovers it gets the
// value.
var errUnwound = errors.New("a Scheduler, Padding or Handler has panicked, or has called runtime.Goexit")

// guardPadding returns f, with the connection poisoned when it does not return.
func (c *Conn) guardPadding(f core.PaddingFunc) core.PaddingFunc {
	if f == nil {
		return nil
	}
	return func(h frame.Header) int {
		ok := false
		defer c.poisonOnUnwindLocked(&ok)
		n := f(h)
		ok = true
		return n
	}
}

// guardedScheduler is s, with the connection poisoned when one of its methods does not return.
type guardedScheduler struct {
	c *Conn
	s priority.Scheduler
}

func (g *guardedScheduler) call(f func()) {
	ok := false
	defer g.c.poisonOnUnwindLocked(&ok)
	f()
	ok = true
}

func (g *guardedScheduler) Open(n *priority.Node, p priority.Params) {
	g.call(func() { g.s.Open(n, p) })
}

func (g *guardedScheduler) Close(n *priority.Node) { g.call(func() { g.s.Close(n) }) }

func (g *guardedScheduler) Ready(n *priority.Node) { g.call(func() { g.s.Ready(n) }) }

func (g *guardedScheduler) Unready(n *priority.Node) { g.call(func() { g.s.Unready(n) }) }

func (g *guardedScheduler) Sent(n *priority.Node, octets int) { g.call(func() { g.s.Sent(n, octets) }) }

func (g *guardedScheduler) Adjust(id uint32, p priority.Params) { g.call(func() { g.s.Adjust(id, p) }) }

func (g *guardedScheduler) Decide(id uint32, p priority.Params) {
	g.call(func() { priority.Decide(g.s, id, p) })
}

func (g *guardedScheduler) Next() (n *priority.Node) {
	g.call(func() { n = g.s.Next() })
	return n
}

// IgnoresTree is asked before there is a connection.
func (g *guardedScheduler) IgnoresTree() bool { return priority.IgnoresTree(g.s) }
