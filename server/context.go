package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errHandlerReturned is the cause of a request context that has ended because the handler has
// returned.
var errHandlerReturned = errors.New("server: handler has returned")

// requestContext is the context of one request: another type for its exchange. It costs nothing
// until Done or Err is called, which make a cancelCtx of package context: contexts derived from it
// are children of that and need no goroutine.
type requestContext exchange

// connContext is the context of a connection. It is apart from the serverConn, so that a request
// which the application keeps does not keep the connection in memory.
type connContext struct{ context.Context }

// cancelableContext is what a requestContext becomes once something waits for it.
type cancelableContext struct {
	context.Context
	cancel context.CancelCauseFunc

	watch  sync.Once // has the end of the stream cancel the context
	notify sync.Once // makes closed
	closed chan bool // what CloseNotify returns; nil until it is called
}

// Deadline is that of the connection's context.
func (c *requestContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done is closed when the stream is reset, the connection is lost or the handler returns.
func (c *requestContext) Done() <-chan struct{} { return (*exchange)(c).cancelable().Done() }

// Err returns context.Canceled when the context is done; context.Cause says more.
func (c *requestContext) Err() error { return (*exchange)(c).cancelable().Err() }

// Value returns what the connection's context has for key. (For a key of package context it returns
// the cancelCtx, by which derived contexts find their parent.)
func (c *requestContext) Value(key any) any {
	if st := c.ctxState.Load(); st != nil {
		return st.Value(key)
	}
	return c.parent.Value(key)
}

// String returns the name of the context, which is part of the String of contexts derived from it.
func (c *requestContext) String() string { return "server.requestContext" }

// cancelable returns the cancelableContext of the request, which it makes where there is none.
func (x *exchange) cancelable() *cancelableContext {
	st := x.ctxState.Load()
	if st == nil {
		st = new(cancelableContext)
		st.Context, st.cancel = context.WithCancelCause(x.parent.Context)
		if !x.ctxState.CompareAndSwap(nil, st) {
			st.cancel(nil)
			st = x.ctxState.Load() // another goroutine has made one
		}
	}
	st.watch.Do(func() { // calls at the same time wait until this one has returned
		if x.enter() {
			x.s.OnEnd(st.cancel)
			x.leave()
		} else {
			st.cancel(errHandlerReturned)
		}
	})
	return st
}

// closeNotify returns a channel that receives a value when the context ends before the handler has
// returned.
func (st *cancelableContext) closeNotify() <-chan bool {
	st.notify.Do(func() {
		closed := make(chan bool, 1)
		st.closed = closed
		context.AfterFunc(st, func() {
			if context.Cause(st) != errHandlerReturned { //nolint:errorlint // it is this very value or another one
				closed <- true
			}
		})
	})
	return st.closed
}
