package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errHandlerReturned is the cause of a request context that ended because there was nothing left to do.
var errHandlerReturned = errors.New("server: handler has returned")

// requestContext is the context of one request. It is part of the exchange and costs nothing until somebody
// waits for it: then it becomes a cancelCtx of package context, so that contexts derived from it are its children
// there and need no goroutine.
type requestContext struct {
	x     *exchange
	state atomic.Pointer[contextState] // nil at first
}

// contextState is what has become of a context.
type contextState struct {
	std    context.Context // nil if nobody had needed it when the request ended
	cancel context.CancelCauseFunc
	ended  error // with std nil: why the context is done
}

// handlerReturned is the state of nearly all contexts in the end.
var handlerReturned = &contextState{ended: errHandlerReturned}

// parent is the context of the connection.
func (c *requestContext) parent() context.Context { return c.x.sc.ctx }

// Deadline is that of the connection's context.
func (c *requestContext) Deadline() (time.Time, bool) { return c.parent().Deadline() }

// Done is closed when the stream is reset, the connection is lost or the handler returns.
func (c *requestContext) Done() <-chan struct{} { return c.get().Done() }

// Err returns context.Canceled when the context is done; context.Cause says more.
func (c *requestContext) Err() error { return c.get().Err() }

// Value returns what the connection's context has for key. (A context of package context answers a key of its own
// with itself. That is how it finds its children's parent.)
func (c *requestContext) Value(key any) any {
	if st := c.state.Load(); st != nil && st.std != nil {
		return st.std.Value(key)
	}
	return c.parent().Value(key)
}

// String names the context in what fmt prints of its children.
func (c *requestContext) String() string { return "server.requestContext" }

// get returns the context in its costly form.
func (c *requestContext) get() context.Context {
	st := c.state.Load()
	if st != nil && st.std != nil {
		return st.std
	}
	next := new(contextState)
	next.std, next.cancel = context.WithCancelCause(c.parent())
	if st != nil {
		next.cancel(st.ended)
	}
	if !c.state.CompareAndSwap(st, next) {
		next.cancel(nil)
		return c.get() // somebody was faster
	}
	if st == nil {
		c.x.watch()
	}
	return next.std
}

// end makes the context done.
func (c *requestContext) end(cause error) {
	st := c.state.Load()
	if st == nil {
		next := handlerReturned
		if cause != errHandlerReturned { //nolint:errorlint // it is this one or another
			next = &contextState{ended: cause}
		}
		if c.state.CompareAndSwap(nil, next) {
			return
		}
		st = c.state.Load() // it becomes something once
	}
	if st.std != nil {
		st.cancel(cause)
	}
}
