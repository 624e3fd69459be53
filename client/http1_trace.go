package client

import (
	"context"
	"net/http"
	"net/http/httptrace"
)

// dialTraced is the context of a request that net/http sends over a connection that is dialled
// here. It hides hooks from net/http that were called already, or that the dial here calls.
type dialTraced struct {
	context.Context
	all, forNetHTTP *httptrace.ClientTrace // the user's hooks, and those that net/http is to call
}

// dialTraceKey is the key under which a dialTraced is its own value.
type dialTraceKey struct{}

// withDialTrace returns a copy of req for net/http, without hooks for TLS, where weDial is set, and
// without GetConn, where that was called.
func withDialTrace(req *http.Request, getConnCalled, weDial bool) *http.Request {
	trace := httptrace.ContextClientTrace(req.Context())
	if trace == nil {
		out := *req
		return &out
	}
	forNetHTTP := *trace
	if weDial {
		forNetHTTP.TLSHandshakeStart, forNetHTTP.TLSHandshakeDone = nil, nil
	}
	if getConnCalled {
		forNetHTTP.GetConn = nil
	}
	return req.WithContext(&dialTraced{req.Context(), trace, &forNetHTTP})
}

// Value gives net/http the hooks that are left to it.
func (c *dialTraced) Value(key any) any {
	if key == (dialTraceKey{}) {
		return c
	}
	v := c.Context.Value(key)
	if v == any(c.all) {
		return c.forNetHTTP
	}
	return v
}

// traceOfDial returns ctx, which derives from that of a request, with all of the user's hooks.
func traceOfDial(ctx context.Context) context.Context {
	if c, ok := ctx.Value(dialTraceKey{}).(*dialTraced); ok {
		return &dialTraced{ctx, c.forNetHTTP, c.all}
	}
	return ctx
}
