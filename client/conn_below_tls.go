package client

import (
	"context"
	"net"
	"net/http/httptrace"

	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// Package tlsbatch lies between crypto/tls and the socket of an HTTP/2 connection, and halves the
// cost of a download. tls.Conn.NetConn returns its Conn then, where a program expects what the dial
// function gave. A program sees a client's tls.Conn in one way only, in httptrace.GotConnInfo. So
// package tlsbatch is not used for a request with a GotConn hook, nor after the first of these, and
// a connection that has it takes no request with such a hook.

// connBelowTLS returns what TLS is to lie on, for a connection that is dialled for the request of
// ctx.
func (t *Transport) connBelowTLS(ctx context.Context, nc net.Conn) net.Conn {
	switch {
	case !tlsbatch.Removable, socket.Of(nc) == nil:
		return nc
	case t.Pool != nil || t.MaxConnsPerHost > 0: // another connection for a request with a hook may not be allowed
		return nc
	case t.gotConnHookSeen.Load() || asksForConn(httptrace.ContextClientTrace(ctx)):
		return nc
	}
	return tlsbatch.New(nc)
}

// asksForConn reports whether a request's hooks are given its connection.
func asksForConn(trace *httptrace.ClientTrace) bool { return trace != nil && trace.GotConn != nil }

// hidesConn reports whether package tlsbatch lies below the TLS of nc.
func hidesConn(nc net.Conn) bool { return tlsbatch.Of(nc) != nil }
