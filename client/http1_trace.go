package client

import (
	"context"
	"net/http"
	"net/http/httptrace"
)

// dialTraced is the context of a request that net/http sends over a connection that is dialled
// here: net/http would call hooks that were called, or will be.
type dialTraced struct {
	context.Context
	all, forNetHTTP *httptrace.ClientTrace // the user's hooks, and those that are left to net/http
}

// dialTraceKey finds the dialTraced.
type dialTraceKey struct{}

// withDialTrace returns a copy of req for net/http that has no hooks for TLS, where dials is set,
// since our dial calls them, nor, where told is set, for the beginning of the search for a
// connection.
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
