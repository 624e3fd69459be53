package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/alpn"
)

// pendingConn is a connection of a Server of which it is not known yet whether it speaks HTTP/2 or
// HTTP/1.1. Of HTTP/2 only its connEnd goes on to exist then.
type pendingConn struct {
	*connEnd
	accepted net.Conn // the connection below nc where tlsbatch.Remove may change that, nc otherwise

	ctx          context.Context
	cfg          *Config      // the server's, or the connection's own
	handler      http.Handler // of this connection alone; nil: the server's
	http1Handler http.Handler // answers HTTP/1.1 on this connection; nil: the handler of Server.http1

	received []byte        // octets that the caller of ServeConnWith has read from nc
	upgrade  *conn.Upgrade // the request of HTTP/1.1 that the caller of ServeConnWith has upgraded; nil: none

	prefixConn *prefixConn // what HTTP/1.1 is served on, where octets were taken from nc; nil: nc itself
	switched   atomic.Bool // HTTP/1.1 goes on as HTTP/2, by "Upgrade: h2c", or behind RefuseConnect

	// kept says that it waits for its next request, behind RefuseConnect. It is set with Server.mu
	// held, by the goroutine that has it served.
	kept bool

	tracked int // calls of track that were not undone; guarded by Server.mu

	// headerStart is when reading has begun of octets that the http.Server for HTTP/1.1 takes for
	// the first of a request's header. Zero: it reads them from nc itself.
	headerStart time.Time
}

// connEnd reports the end of a connection, to ConnState and to ServeConn.
type connEnd struct {
	s    *Server
	nc   net.Conn      // what the listener's Accept or the caller of ServeConn has given
	done chan struct{} // closed when the connection has ended; nil: nothing waits for that
	err  error         // why the connection has ended; set before done is closed
}

// ServeConn serves one connection and returns when it has ended, or was taken over by a handler of
// HTTP/1.1 (http.Hijacker). On TLS, ALPN says which protocol is spoken; without ALPN, with
// Config.IgnoreALPN, and on cleartext, the client's first octets say it. There is no listener, so
// BaseContext is not called.
func (s *Server) ServeConn(nc net.Conn) {
	_ = s.ServeConnWith(nc, ConnOptions{}) // has logged what net/http would log of the error
}

// newPendingConn begins to track a new connection. The caller serves it.
func (s *Server) newPendingConn(ctx context.Context, nc net.Conn, done chan struct{}) *pendingConn {
	pc := &pendingConn{
		connEnd:  &connEnd{s: s, nc: nc, done: done},
		accepted: acceptedConn(nc), cfg: &s.http2.cfg,
	}
	returned := false
	defer func() {
		if !returned { // a callback has panicked, or ended the goroutine
			_ = nc.Close() // the panic says more than an error of it
			pc.untrack()
		}
	}()
	pc.track()
	if s.ConnContext != nil {
		if ctx = s.ConnContext(ctx, nc); ctx == nil {
			panic("ConnContext returned nil")
		}
	}
	pc.ctx = ctx
	pc.setState(http.StateNew)
	returned = true
	return pc
}

// track adds the connection to those that Shutdown and Close look after as pending.
func (pc *pendingConn) track() {
	s := pc.s
	s.mu.Lock()
	defer s.mu.Unlock()
	pc.tracked++
	s.mu.pending[pc] = struct{}{}
}

// untrack undoes one track, once the connection has ended or what serves it tracks it. A handler
// may have called RefuseConnect, and so track, before serveHTTP1 comes to that.
func (pc *pendingConn) untrack() {
	s := pc.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if pc.tracked--; pc.tracked > 0 {
		return
	}
	pc.tracked = 0 // h2c by Upgrade undoes it once more
	delete(s.mu.pending, pc)
	if len(s.mu.pending) == 0 && s.mu.nonePending != nil {
		close(s.mu.nonePending)
		s.mu.nonePending = nil
	}
}

// close closes the connection and reports its end. err is why it has ended, nil after an end in
// good order.
func (pc *pendingConn) close(err error) { pc.connEnd.closeAnd(err, pc.untrack) }

// close is the close of a connection that is tracked elsewhere.
func (e *connEnd) close(err error) { e.closeAnd(err, nil) }

// closeAnd closes nc once, since a listener may count that, and calls untrack, which may be nil,
// before the hook.
func (e *connEnd) closeAnd(err error, untrack func()) {
	e.err = err
	defer e.signalDone() // whatever Close and the hook do
	_ = e.nc.Close()     // it may be closed already
	if untrack != nil {
		untrack()
	}
	e.setState(http.StateClosed)
}

// abort ends a connection while serve runs, which closes nc when its read or write fails. It leaves
// nc alone, since serve may be about to change the connection below it.
func (pc *pendingConn) abort() { _ = pc.accepted.Close() }

// signalDone lets ServeConn return.
func (e *connEnd) signalDone() {
	if e.done != nil {
		close(e.done)
	}
}

// setState calls the ConnState hook.
func (e *connEnd) setState(state http.ConnState) {
	if f := e.s.ConnState; f != nil {
		f(e.nc, state)
	}
}

// serve finds out what the client speaks, and serves it.
func (pc *pendingConn) serve() {
	handedOver := false // to Server.http1 or Server.http2
	var err error
	defer func() {
		if reason := recover(); reason != nil && reason != http.ErrAbortHandler { // of a callback in TLSConfig
			buf := make([]byte, 64<<10)
			buf = buf[:runtime.Stack(buf, false)]
			pc.s.logf("http: panic serving %v: %v\n%s", pc.nc.RemoteAddr(), reason, buf)
			err = fmt.Errorf("server: panic: %v", reason)
		}
		if !handedOver {
			pc.close(err)
		}
	}()
	state, err := pc.handshake()
	if err != nil {
		return
	}
	err = errNotServed // unless it is handed over
	p := pc.s.protocols()
	switch {
	case pc.upgrade != nil:
		if handedOver = p.UnencryptedHTTP2(); handedOver {
			pc.serveHTTP2(connTask{tls: state, received: pc.received, upgrade: pc.upgrade})
		}
	case state == nil:
		handedOver, err = pc.sniff(nil, p.HTTP1(), p.UnencryptedHTTP2())
	case pc.cfg.IgnoreALPN && choosesHTTP(state):
		handedOver, err = pc.sniff(state, p.HTTP1(), p.HTTP2())
	case state.NegotiatedProtocol == protoTLS:
		if handedOver = p.HTTP2(); handedOver {
			pc.serveHTTP2(connTask{tls: state, received: pc.received})
		}
	case state.NegotiatedProtocol == "" && pc.done != nil:
		handedOver, err = pc.sniff(state, p.HTTP1(), p.HTTP2())
	case pc.s.TLSNextProto[state.NegotiatedProtocol] != nil && len(pc.received) > 0:
		err = errReceivedElsewhere
	case pc.kept:
		handedOver, err = pc.serveKept(state)
	case p.HTTP1() || pc.s.TLSNextProto[state.NegotiatedProtocol] != nil:
		handedOver = true
		pc.serveHTTP1(pc.received, state)
	}
}

// choosesHTTP reports whether ALPN has chosen HTTP/2 or HTTP/1.1, or nothing.
func choosesHTTP(state *tls.ConnectionState) bool {
	switch state.NegotiatedProtocol {
	case "", alpn.HTTP1, alpn.HTTP2:
		return true
	}
	return false
}

// serveHTTP2 hands the connection over to Server.http2. It returns at once.
func (pc *pendingConn) serveHTTP2(t connTask) {
	t.ctx, t.hs, t.handler, t.cfg, t.onTracked = pc.ctx, pc.s.http1, pc.handler, pc.cfg, pc.untrack
	if pc.s.ConnState != nil {
		t.connState = pc.s.http1.ConnState
	}
	if t.handler == nil {
		t.handler = pc.s.handler()
	}
	t.answerOptions = !pc.s.DisableGeneralOptionsHandler
	pc.s.http2.serve(pc.nc, t, pc.connEnd.close)
}
