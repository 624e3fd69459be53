package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errHandlerReturned is the cause of a request context that ended because there was nothing left to do.
var errHandlerReturned = errors.New("server: handler has returned")

// requestContext is the context of one request. It is part of the exchange and costs nothing until somebody
// waits for it: then it becomes a cancelCtx of package context, so that contexts derived from it are its children
// there and need no goroutine.
type requestContext struct {
	x *exchange

	mu     sync.Mutex
	std    context.Context // nil until needed
	cancel context.CancelCauseFunc
	ended  error // why the context is done, before std was needed
}

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
	c.mu.Lock()
	std := c.std
	c.mu.Unlock()
	if std != nil {
		return std.Value(key)
	}
	return c.parent().Value(key)
}

// String names the context in what fmt prints of its children.
func (c *requestContext) String() string { return "server.requestContext" }

// get returns the context in its costly form.
func (c *requestContext) get() context.Context {
	c.mu.Lock()
	if c.std != nil {
		defer c.mu.Unlock()
		return c.std
	}
	c.std, c.cancel = context.WithCancelCause(c.parent())
	if c.ended != nil {
		defer c.mu.Unlock()
		c.cancel(c.ended)
		return c.std
	}
	std := c.std
	c.mu.Unlock()
	c.x.watch()
	return std
}

// end makes the context done.
func (c *requestContext) end(cause error) {
	c.mu.Lock()
	cancel := c.cancel
	if c.ended == nil {
		c.ended = cause
	}
	c.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}
