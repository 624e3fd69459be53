package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// serverConn is one HTTP/2 connection. It is the conn.Handler of its conn.Conn.
type serverConn struct {
	eng *engine
	c   *conn.Conn
	d   dispatcher

	preloads preloads

	hs         *http.Server
	handler    http.Handler
	ctx        *connContext // done when the connection has ended
	tls        *tls.ConnectionState
	remoteAddr string
	told       atomic.Int32 // the http.ConnState that the hook heard last; StateClosed: it hears no more from here

	done func() // called when it has ended and all handlers have returned; may be nil

	answerOptions bool // "OPTIONS *" is not for the handler
	early         EarlyData
}

// HandleStreams takes requests from the goroutine that reads the socket.
func (sc *serverConn) HandleStreams(batch []*conn.Stream) {
	if sc.d.add(batch) {
		return
	}
	sc.c.CloseWithError(frame.EnhanceYourCalm, "too_many_requests_waiting")
}

// StreamBlocked is told of a handler that is about to wait for the client.
func (sc *serverConn) StreamBlocked(s *conn.Stream) {
	if x, ok := s.Owner().(*exchange); ok {
		sc.d.streamBlocked(x)
	}
}

// ConnState passes on whether there are requests. A connection becomes idle for the first time when
// its preface has come; net/http's rule is that it is active in between.
func (sc *serverConn) ConnState(idle bool) {
	if f := sc.hs.ConnState; f != nil {
		before := http.ConnState(sc.told.Load())
		if before == http.StateNew || before == http.StateIdle && !idle {
			f(sc.c.NetConn(), http.StateActive)
			sc.told.CompareAndSwap(int32(before), int32(http.StateActive))
		}
		if idle && sc.told.CompareAndSwap(int32(http.StateActive), int32(http.StateIdle)) {
			f(sc.c.NetConn(), http.StateIdle)
		}
	}
	if idle && (sc.eng.noKeepAlives.Load() || keepAlivesDisabled(sc.hs)) && sc.d.served() {
		sc.c.Shutdown()
	}
}

// lastState tells that a connection which has ended is without requests, before it is told that it
// is closed. net/http does so, too.
func (sc *serverConn) lastState() {
	if f := sc.hs.ConnState; sc.told.Swap(int32(http.StateClosed)) == int32(http.StateActive) && f != nil {
		f(sc.c.NetConn(), http.StateIdle)
	}
}

func (sc *serverConn) logf(format string, args ...any) { logf(sc.hs.ErrorLog, format, args...) }

// connTask is a connection that is to be served, and what is known of it.
type connTask struct {
	hs       *http.Server
	ctx      context.Context
	handler  http.Handler
	cfg      *Config              // nil: the engine's
	tls      *tls.ConnectionState // nil on cleartext
	received []byte               // what was read from the socket
	upgrade  *conn.Upgrade
	tracked  func() // called when the engine has the connection in its books; may be nil
	done     func() // called when it has ended and all its handlers have returned; may be nil

	answerOptions bool // "OPTIONS *" is answered without the handler
}

// newServerConn makes the connection, which lives from now on. cfg is whole.
func (e *engine) newServerConn(nc net.Conn, t connTask, cfg *Config) *serverConn {
	sc := &serverConn{
		eng: e, hs: t.hs, handler: t.handler, answerOptions: t.answerOptions, tls: t.tls,
		ctx: &connContext{t.ctx}, done: t.done, early: cfg.EarlyData,
	}
	if a := nc.RemoteAddr(); a != nil {
		sc.remoteAddr = a.String()
	}
	sc.d = dispatcher{
		sc: sc, pace: &e.pace, limit: cfg.maxHandlers(), each: cfg.Dispatch == DispatchGoroutine,
		labels: goroutine.CurrentLabels(),
	}
	cc := cfg.connConfig(t.hs)
	cc.Received, cc.Upgrade = t.received, t.upgrade
	if t.tls != nil {
		cc.Origins = cfg.Origins // without TLS a client has no reason to believe it (RFC 8336 §2)
	}
	sc.c = conn.NewServer(nc, cc, sc)
	return sc
}
