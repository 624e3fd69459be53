package conn

import (
	"fmt"
	"runtime/debug"

	"github.com/sluice-go/sluice/frame"
)

// A panic must not take the program down that serves other connections, too. Wherever a connection
// runs by itself, one that is raised there, by a fault of ours or by the application's own code
// (Tracer, FramePolicy, Scheduler, Padding, CountError, a method of Handler, the net.Conn), ends
// the connection and nothing else, as net/http has it: its streams fail, and Serve returns why.
// Nothing more is sent, since nobody knows what state the connection is in.
//
// The same holds for runtime.Goexit, which nothing can recover: the goroutine ends, with all that
// it has deferred.
//
// So the function that runs it defers one of the functions below, which get to know by a flag
// whether it has come to its end: once for a read of the socket, a write, a ring of the timer and a
// round of calls to the application. They know whether mu is held at that moment. Whatever else
// holds mu while the application may be called, by a Scheduler or a Padding, defers
// Conn.unlockAndNotify, and the call itself is guarded (see Conn.poisonLocked); there a panic goes
// on, into the application's call of a method of Stream.

// PanicError is the cause of a connection's end by a panic, behind a *frame.ConnError with
// INTERNAL_ERROR.
type PanicError struct {
	Value any    // what the panic was called with; an error that says so for runtime.Goexit
	Stack []byte // of the goroutine, as of runtime/debug.Stack
}

// Error has the value, without the stack.
func (e *PanicError) Error() string {
	if e.Value == errGoexit || e.Value == errUnwound { //nolint:errorlint // not an error of somebody
		return fmt.Sprint(e.Value)
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicErr is why a connection ends whose code was left by a panic with this value.
func panicErr(value any) error {
	return &frame.ConnError{
		Code: frame.InternalError, Reason: "the connection is in an unknown state", Cause: &PanicError{value, debug.Stack()},
	}
}

// failPanicLocked ends the connection for a panic. It is called by the function that was deferred,
// with mu held.
func (c *Conn) failPanicLocked(value any) {
	// The stack that wreck has seen says more.
	if !c.timer.poisoned || value != errGoexit { //nolint:errorlint // what recover returned
		c.err = panicErr(value)
	}
	c.timer.poisoned = false
	c.deliverLastEventsLocked()
	c.closeLocked(c.err)
}

// deliverLastEventsLocked has streams hear what core had to say of them: they may be gone from its
// table already.
func (c *Conn) deliverLastEventsLocked() {
	defer func() { _ = recover() }() // there has been one panic, which is what is told
	c.handleEventsLocked()
}

// recoverRead is deferred by who reads. The panic may have come while in.locked was set.
func (c *Conn) recoverRead(ok *bool) {
	if v, is := unwound(recover(), *ok); is {
		if !c.in.locked {
			c.mu.Lock()
		}
		c.in.locked = false
		c.failPanicLocked(v)
		c.unlockAndNotify()
	}
}

// recoverWriteLocked is deferred by who flushes. It leaves mu locked.
func (c *Conn) recoverWriteLocked(ok *bool) {
	if v, is := unwound(recover(), *ok); is {
		if c.writing {
			c.writing = false
			c.mu.Lock()
		}
		c.failPanicLocked(v)
		c.flushing = false
	}
}

// recoverLocked is deferred where mu is held all the time. It leaves mu locked.
func (c *Conn) recoverLocked(ok *bool) {
	if v, is := unwound(recover(), *ok); is {
		c.failPanicLocked(v)
	}
}

// runIsolated calls f, which is the application's and concerns one request or none, on a goroutine
// of its own, and waits for it: the goroutine that has something to tell may be that of another
// request, which runtime.Goexit must not end.
func (c *Conn) runIsolated(f func()) {
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		ok := false
		defer func() {
			if v, is := unwound(recover(), ok); is {
				c.mu.Lock()
				c.failPanicLocked(v)
				c.unlockAndNotify()
			}
		}()
		f()
		ok = true
	}()
	<-done
}
