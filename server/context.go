package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errHandlerReturned is the cause of a request context that ended because there was nothing left to
// do.
var errHandlerReturned = errors.New("server: handler has returned")

// requestContext is the context of one request: a view of its exchange. It costs nothing until
// somebody waits for it: then it becomes a cancelCtx of package context, so that contexts derived
// from it are its children there and need no goroutine.
type requestContext exchange

// connContext is the context of a connection, as memory of its own: a request that is kept keeps
// it, and not the connection.
type connContext struct{ context.Context }

// contextState is what has become of a context.
type contextState struct {
	context.Context
	cancel context.CancelCauseFunc

	watch  sync.Once // has the stream tell of its end
	notify sync.Once
	closed chan bool // what CloseNotify returns
}

// Deadline is that of the connection's context.
func (c *requestContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done is closed when the stream is reset, the connection is lost or the handler returns.
func (c *requestContext) Done() <-chan struct{} { return c.get().Done() }

// Err returns context.Canceled when the context is done; context.Cause says more.
func (c *requestContext) Err() error { return c.get().Err() }

// Value returns what the connection's context has for key. (A context of package context answers a
// key of its own with itself. That is how it finds its children's parent.)
func (c *requestContext) Value(key any) any {
	if st := c.ctxState.Load(); st != nil {
		return st.Value(key)
	}
	return c.parent.Value(key)
}

// String names the context in what fmt prints of its children.
func (c *requestContext) String() string { return "server.requestContext" }

// get returns the context in its costly form.
func (c *requestContext) get() *contextState {
	st := c.ctxState.Load()
	if st == nil {
		st = new(contextState)
		st.Context, st.cancel = context.WithCancelCause(c.parent.Context)
		if !c.ctxState.CompareAndSwap(nil, st) {
			st.cancel(nil)
			st = c.ctxState.Load() // somebody was faster
		}
	}
	st.watch.Do(func() { // another goroutine waits until that is done
		x := (*exchange)(c)
		if x.enter() {
			x.s.OnEnd(st.cancel) // as long as nobody waits, nobody need know
			x.leave()
		} else {
			st.cancel(errHandlerReturned)
		}
	})
	return st
}

// end makes the context done. exchange.uses is closed before: either end finds what get has made,
// or get finds that.
func (c *requestContext) end(cause error) {
	if st := c.ctxState.Load(); st != nil {
		st.cancel(cause)
	}
}

// closeNotify returns a channel that gets a value when the context ends before the handler has
// returned.
func (st *contextState) closeNotify() <-chan bool {
	st.notify.Do(func() {
		closed := make(chan bool, 1)
		st.closed = closed
		context.AfterFunc(st, func() {
			if context.Cause(st) != errHandlerReturned { //nolint:errorlint // it is this one or another
				closed <- true
			}
		})
	})
	return st.closed
}
