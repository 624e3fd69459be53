package conn

import (
	"fmt"
	"runtime/debug"

	"github.com/sluice-go/sluice/frame"
)

// A panic must not take the program down that serves other connections, too. Wherever a connection runs by itself, one
// that is raised there, by a fault of ours or by the application's own code (Tracer, FramePolicy, Scheduler, Padding,
// CountError, a method of Handler, the net.Conn), ends the connection and nothing else, as net/http has it: its streams
// fail, and Serve returns why. Nothing more is sent, since nobody knows what state the connection is in.
//
// So who runs it defers one of the functions below: once for a read of the socket, a write, a ring of the timer and a round
// of calls to the application. They know whether mu is held at that moment. Calls of Stream on a goroutine of the
// application are its own matter.

// PanicError is the cause of a connection's end by a panic, behind a *frame.ConnError with INTERNAL_ERROR.
type PanicError struct {
	Value any    // what the panic was called with
	Stack []byte // of the goroutine, as of runtime/debug.Stack
}

// Error has the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// broken ends the connection for a panic. It is called by the function that was deferred, with mu held.
func (c *Conn) broken(value any) {
	c.err = &frame.ConnError{
		Code: frame.InternalError, Reason: "the connection is in an unknown state", Cause: &PanicError{value, debug.Stack()},
	}
	c.lastEvents()
	c.die(c.err)
}

// lastEvents has streams hear what core had to say of them: they may be gone from its table already.
func (c *Conn) lastEvents() {
	defer func() { _ = recover() }() // there has been one panic, which is what is told
	c.handleEvents()
}

// containRead is deferred by who reads. The panic may have come while in.locked was set.
func (c *Conn) containRead() {
	if v := recover(); v != nil {
		if !c.in.locked {
			c.mu.Lock()
		}
		c.in.locked = false
		c.broken(v)
		c.unlock()
	}
}

// containWrite is deferred by who flushes. It leaves mu locked.
func (c *Conn) containWrite() {
	if v := recover(); v != nil {
		if c.writing {
			c.writing = false
			c.mu.Lock()
		}
		c.broken(v)
		c.flushing = false
	}
}

// containLocked is deferred where mu is held all the time. It leaves mu locked.
func (c *Conn) containLocked() {
	if v := recover(); v != nil {
		c.broken(v)
	}
}

// containCall is deferred where mu is free all the time, while others are called.
func (c *Conn) containCall() {
	if v := recover(); v != nil {
		c.mu.Lock()
		c.broken(v)
		c.unlock()
	}
}
