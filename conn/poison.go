package conn

import (
	"errors"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// errGoexit stands for a panic's value where there was none.
var errGoexit = errors.New("runtime.Goexit was called, as testing.T.FailNow does")

// unwound reports whether a function that has set ok at its end is left before that. recovered is
// what recover has returned in the function that it has deferred; the value is that of the panic.
func unwound(recovered any, ok bool) (value any, is bool) {
	switch {
	case recovered != nil:
		return recovered, true
	case !ok:
		return errGoexit, true
	}
	return nil, false
}

// poisonLocked notes, with mu held, that the application's code has left ours with core in the
// middle of something. Conn.unlockAndNotify, which whoever holds mu has deferred, ends the
// connection.
func (c *Conn) poisonLocked(value any) {
	if !c.timer.poisoned && c.phase != phaseClosed {
		c.timer.poisoned = true
		c.err = panicErr(value)
	}
}

// closePoisonedLocked ends the connection after wreck.
func (c *Conn) closePoisonedLocked() {
	c.timer.poisoned = false
	c.deliverLastEventsLocked()
	c.closeLocked(c.err)
}

// poisonOnUnwindLocked is deferred by what calls the application with mu held. The panic goes on.
func (c *Conn) poisonOnUnwindLocked(ok *bool) {
	if !*ok {
		c.poisonLocked(errUnwound)
	}
}

// errUnwound is what is known of a panic that goes on: who recovers it has its value.
var errUnwound = errors.New("a Scheduler, Padding or Handler has panicked, or has called runtime.Goexit")

// guardPadding has the connection end when f does not return.
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

// guardedScheduler has the connection end when one of the methods of s does not return.
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
