package server

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// serverConn is one HTTP/2 connection. It is the conn.Handler of its conn.Server.
type serverConn struct {
	srv *http2Server
	c   *conn.Server
	d   dispatcher

	preloads preloads

	hs         *http.Server
	connState  func(net.Conn, http.ConnState) // the ConnState hook; may be nil
	handler    http.Handler
	ctx        *connContext // done when the connection has ended
	tls        *tls.ConnectionState
	remoteAddr string

	// reported is the http.ConnState that the ConnState hook was called with last. With StateClosed
	// it is not called from here any more.
	reported atomic.Int32

	onUntracked func() // called when the connection has ended and all handlers have returned; may be nil

	answerOptions  bool // "OPTIONS *" is answered without the handler
	webSocketAlone bool // extended CONNECT is offered for WebSocket alone
	early          EarlyData
}

// HandleStreams takes requests from the goroutine that reads the socket.
func (sc *serverConn) HandleStreams(batch []*conn.Stream) {
	if sc.d.add(batch) {
		return
	}
	sc.c.CloseWithError(frame.EnhanceYourCalm, "too_many_requests_waiting")
}

// StreamBlocked is called before a call of a handler waits for the client.
func (sc *serverConn) StreamBlocked(s *conn.Stream) {
	if x, ok := s.Owner().(*exchange); ok {
		sc.d.streamBlocked(x)
	}
}

// ConnState is called when the connection gets its first stream or has lost its last one, and calls
// the ConnState hook. A connection becomes idle for the first time when its preface has
// come; net/http's rule is that it is active in between.
func (sc *serverConn) ConnState(idle bool) {
	if f := sc.connState; f != nil {
		before := http.ConnState(sc.reported.Load())
		if before == http.StateNew || before == http.StateIdle && !idle {
			f(sc.c.NetConn(), http.StateActive)
			sc.reported.CompareAndSwap(int32(before), int32(http.StateActive))
		}
		if idle && sc.reported.CompareAndSwap(int32(http.StateActive), int32(http.StateIdle)) {
			f(sc.c.NetConn(), http.StateIdle)
		}
	}
	if idle && (sc.srv.noKeepAlives.Load() || keepAlivesDisabled(sc.hs)) && sc.d.hasServed() {
		sc.c.Shutdown()
	}
}

// ended is called when the connection has ended, with the reason, nil after an end in good order.
func (sc *serverConn) ended(cancel context.CancelCauseFunc, err error) {
	if err == nil {
		err = net.ErrClosed
	}
	cancel(err)
	defer func() { // also where the ConnState hook does not return
		if sc.d.connEnded() {
			sc.allDone()
		}
		sc.logEnd(err)
	}()
	sc.reportLastIdle()
}

// reportLastIdle reports StateIdle for a connection that has ended while it had streams: as with
// net/http, it has none before it is reported to be closed.
func (sc *serverConn) reportLastIdle() {
	if f := sc.connState; sc.reported.Swap(int32(http.StateClosed)) == int32(http.StateActive) && f != nil {
		f(sc.c.NetConn(), http.StateIdle)
	}
}

// logEnd logs that a connection has ended with a panic, or with an error of the client.
func (sc *serverConn) logEnd(err error) {
	var pe *conn.PanicError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &pe):
		sc.logf("http2: panic serving %v: %v\n%s", sc.remoteAddr, pe.Value, pe.Stack)
	case errors.As(err, &ce) && ce.Initiator == frame.Local && ce.Code != frame.NoError:
		sc.logf("http2: server connection error from %v: %v", sc.remoteAddr, err)
	}
}

// allDone is called once, when the connection has ended and all its handlers have returned.
func (sc *serverConn) allDone() {
	sc.srv.untrack(sc)
	if sc.onUntracked != nil {
		sc.onUntracked()
	}
}

func (sc *serverConn) logf(format string, args ...any) { logf(sc.hs.ErrorLog, format, args...) }

// connTask is a connection that is to be served, and what is known of it.
type connTask struct {
	hs            *http.Server
	connState     func(net.Conn, http.ConnState) // the ConnState hook; may be nil
	ctx           context.Context
	handler       http.Handler
	cfg           *Config              // nil: that of the http2Server
	tls           *tls.ConnectionState // nil on cleartext
	received      []byte               // octets that were read from the socket before
	upgrade       *conn.Upgrade        // the request of HTTP/1.1 that becomes stream 1; nil: none
	answerOptions bool                 // "OPTIONS *" is answered without the handler

	webSocketAlone bool // extended CONNECT is offered for WebSocket alone

	onTracked   func() // called when the http2Server tracks the connection; may be nil
	onUntracked func() // called when the connection has ended and all its handlers have returned; may be nil
}

// newServerConn makes the connection, which lives from now on. cfg has no field left to fill in.
func (h2 *http2Server) newServerConn(nc net.Conn, t connTask, cfg *Config) *serverConn {
	sc := &serverConn{
		srv: h2, hs: t.hs, connState: t.connState, handler: t.handler, answerOptions: t.answerOptions, tls: t.tls,
		ctx: &connContext{t.ctx}, onUntracked: t.onUntracked, early: cfg.EarlyData, webSocketAlone: t.webSocketAlone,
	}
	if a := nc.RemoteAddr(); a != nil {
		sc.remoteAddr = a.String()
	}
	limit := cfg.maxHandlers()
	sc.d = dispatcher{
		sc: sc, handlerTime: &h2.handlerTime,
		limit: limit, queueLimit: queueFactor * int32(min(limit, math.MaxInt32/queueFactor)),
		perRequest: cfg.Dispatch == DispatchGoroutine, labels: goroutine.CurrentLabels(),
	}
	cc := cfg.connConfig(t.hs)
	cc.Received, cc.Upgrade = t.received, t.upgrade
	if t.tls != nil {
		cc.Origins = cfg.Origins // without TLS a client has no reason to believe it (RFC 8336 §2)
	}
	sc.c = conn.NewServer(nc, cc, sc)
	return sc
}
