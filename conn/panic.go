package conn

import (
	"fmt"
	"runtime/debug"

	"github.com/sluice-go/sluice/frame"
)

// A panic must not end the program, which serves other connections, too. Wherever a connection runs
// on its own, a panic there, by a fault of ours or of the application's code (Tracer, FramePolicy,
// Scheduler, Padding, CountError, a method of Handler, the net.Conn), ends the connection and
// nothing else, as in net/http: its streams fail, and Serve returns the reason. Nothing more is
// sent, since the state of the connection is not known. runtime.Goexit, which recover does not
// return, is treated alike.
//
//  1. A function that may meet a panic defers a recover… function of this file, which finds by a
//     flag whether the function has come to its end. There is one for a read of the socket
//     (recoverRead), for the flusher (recoverWriteLocked), for the timer (recoverLocked) and for
//     the callbacks of one unlockAndNotify. Each knows whether the lock is held at that moment.
//  2. Every other function that holds the lock while a Scheduler or a Padding may be called defers
//     Conn.unlockAndNotify, and the call itself is guarded (poison.go): it marks the connection as
//     poisoned, and unlockAndNotify closes it. That panic goes on, into the application's call of a
//     method of Stream.

// PanicError is the cause, behind a *frame.ConnError with INTERNAL_ERROR, of a connection's end by
// a panic.
type PanicError struct {
	Value any    // what the panic was called with; an error that says so for runtime.Goexit
	Stack []byte // of the goroutine, as of runtime/debug.Stack
}

// Error has the value, without the stack.
func (e *PanicError) Error() string {
	if e.Value == errGoexit || e.Value == errUnwound { //nolint:errorlint // these very values
		return fmt.Sprint(e.Value)
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicErr returns the error of a connection that a panic with this value has ended.
func panicErr(value any) error {
	return &frame.ConnError{
		Code: frame.InternalError, Reason: "the connection is in an unknown state", Cause: &PanicError{value, debug.Stack()},
	}
}

// failPanicLocked ends the connection for a panic. It is called by the function that was deferred.
func (c *Conn) failPanicLocked(value any) {
	// The error that poisonLocked has set says more: its stack leads to the application's code.
	if !c.mu.poisoned || value != errGoexit { //nolint:errorlint // what recover returned
		c.mu.err = panicErr(value)
	}
	c.mu.poisoned = false
	c.deliverLastEventsLocked()
	c.closeLocked(c.mu.err)
}

// deliverLastEventsLocked handles the events that core had ready: their streams may be gone from
// its table already, and so are not failed with the others.
func (c *Conn) deliverLastEventsLocked() {
	defer func() { _ = recover() }() // the panic that came first is reported
	c.handleEventsLocked()
}

// recoverRead is deferred by the goroutine that reads. The panic may have come with the lock held,
// which reader.lockHeld says.
func (c *Conn) recoverRead(ok *bool) {
	if *ok {
		return
	}
	v := unwoundBy(recover())
	if !c.reader.lockHeld {
		c.mu.Lock()
	}
	c.reader.lockHeld = false
	c.failPanicLocked(v)
	c.unlockAndNotify()
}

// recoverWriteLocked is deferred by the flusher. It returns with the lock held, which the flusher
// may have released.
func (c *Conn) recoverWriteLocked(ok *bool) {
	if *ok {
		return
	}
	v := unwoundBy(recover())
	if c.writer.unlocked {
		c.writer.unlocked = false
		c.mu.Lock()
	}
	c.failPanicLocked(v)
	c.mu.out.flushing = false
	c.mu.out.taken.Broadcast() // for traceEnd
}

// recoverLocked is deferred by a function that holds the lock all the time, which stays held.
func (c *Conn) recoverLocked(ok *bool) {
	if !*ok {
		c.failPanicLocked(unwoundBy(recover()))
	}
}

// runIsolated calls f, which is the application's and concerns one request or none, on a goroutine
// of its own, and waits for it: the goroutine that has found the event may be that of another
// request, which runtime.Goexit in f must not end.
func (c *Conn) runIsolated(f func()) {
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		ok := false
		defer func() {
			if !ok {
				v := unwoundBy(recover())
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
