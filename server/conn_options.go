package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/sluice-go/sluice/conn"
)

// ConnOptions is what one connection has of its own: see [Server.ServeConnWith]. The zero value
// changes nothing.
type ConnOptions struct {
	// Context is the base context of the connection's requests, in place of what BaseContext
	// returns: ConnContext, where it is set, derives from it, and handlers find its values, its
	// deadline and its end. When it is done, so are the contexts of the requests, those that come
	// later included; that ends neither a request nor the connection, as with net/http, but a TLS
	// handshake that has not ended fails. Default context.Background.
	Context context.Context

	// Handler answers the requests of the connection, of HTTP/2 and of HTTP/1.1. Default: the
	// Server's.
	Handler http.Handler

	// Config takes the place of the Server's Config as a whole. What is zero in it is filled from
	// the Server's HTTP2 field, from MaxHeaderValueCount and from DisableClientPriority, as for the
	// Server's. It is copied. Default: the Server's.
	Config *Config

	// Received are octets that were read from the connection already, over TLS from the tls.Conn: a
	// part of the client's first flight or all of it, or more, of HTTP/2 or of HTTP/1.1. Where the
	// client's preface and no more was read, to see what it speaks, that is
	// []byte(frame.Preface). They are copied. A function of TLSNextProto takes over only a
	// connection without any.
	Received []byte

	// UpgradeRequest is a request of HTTP/1.1 with "Upgrade: h2c" and HTTP2-Settings (RFC 7540
	// §3.2) that the caller has answered with 101 (Switching Protocols). It becomes stream 1, and
	// what follows on the connection, and in Received, is HTTP/2. It must have no body. Default:
	// none.
	UpgradeRequest *http.Request
}

// Errors of ServeConnWith.
var (
	errNotServed         = errors.New("server: the client speaks no protocol that is served on this connection")
	errReceivedElsewhere = errors.New(
		"server: ConnOptions.Received cannot be handed on to a function of TLSNextProto")
	errBadUpgrade = errors.New("server: ConnOptions.UpgradeRequest is no request of HTTP/1.1 without a body that asks " +
		"for h2c and has one valid HTTP2-Settings field")
)

// ServeConnWith is [Server.ServeConn] for a connection that has a context, a handler or settings of
// its own, or of which something was read already. It closes nc, unless a handler of HTTP/1.1 has
// taken it over (http.Hijacker).
//
// It returns why the connection has ended: nil for one that has ended in good order, that has
// spoken HTTP/1.1 or was taken over; http.ErrServerClosed where the server was shut down before;
// the error of a TLS handshake; a *frame.ConnError for HTTP/2 that has ended otherwise, lost
// connections among it, whose Cause is the error of the socket then. Handlers may still run. Errors
// that ServeConn logs are logged here, too.
//
// x/net's http2.Server.ServeConn differs: Protocols of the Server hold here, so that a client may
// speak HTTP/1.1 unless they leave it out, and in place of a BaseConfig, the fields of the Server
// hold.
func (s *Server) ServeConnWith(nc net.Conn, o ConnOptions) error {
	s.init()
	if s.inShutdown.Load() {
		_ = nc.Close() // ErrServerClosed says enough
		return http.ErrServerClosed
	}
	var upgrade *conn.Upgrade
	if r := o.UpgradeRequest; r != nil {
		settings, ok := upgradeSettings(r)
		if !ok {
			_ = nc.Close() // errBadUpgrade says enough
			return errBadUpgrade
		}
		upgrade = &conn.Upgrade{Settings: settings, Request: upgradeRequest(r)}
	}
	ctx := o.Context
	if ctx == nil {
		ctx = context.Background()
	}
	ctx = context.WithValue(ctx, http.ServerContextKey, s.http1)
	done := make(chan struct{})
	pc := s.newPendingConn(ctx, nc, done)
	pc.received, pc.upgrade = slices.Clone(o.Received), upgrade
	pc.applyOptions(o)
	pc.serve()
	<-done
	return pc.err
}

// applyOptions gives the connection the handler and settings of its own.
func (pc *pendingConn) applyOptions(o ConnOptions) {
	if o.Handler == nil && o.Config == nil {
		return
	}
	if o.Config != nil {
		cfg := pc.s.complete(*o.Config)
		pc.cfg = &cfg
	}
	if pc.handler = o.Handler; pc.handler == nil {
		pc.handler = pc.s.handler()
	}
	pc.http1Handler = pc.s.http1Handler(pc.handler, pc.cfg)
}
