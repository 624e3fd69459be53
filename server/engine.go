package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// engine serves HTTP/2 connections: what Server and Configure have in common. It keeps the books of
// those that are open.
type engine struct {
	cfg          Config
	pace         pace
	date         dateClock
	headers      headerSizes
	panics       atomic.Uint64
	noKeepAlives atomic.Bool

	mu       sync.Mutex
	conns    map[*serverConn]struct{} // that are open, or have a handler that has not returned
	draining bool
	quiet    chan struct{} // closed when draining and conns is empty; made by wait
	past     Stats         // of connections that have ended
}

func newEngine(cfg Config) *engine {
	e := &engine{cfg: cfg, conns: make(map[*serverConn]struct{})}
	e.pace.procs = runtime.GOMAXPROCS(0)
	return e
}

// serve begins to serve one connection, and has ended called when it is over, with the reason, nil
// after an end in good order.
func (e *engine) serve(nc net.Conn, t connTask, ended func(error)) {
	ctx, cancel := context.WithCancelCause(context.WithValue(t.ctx, http.LocalAddrContextKey, nc.LocalAddr()))
	t.ctx = ctx
	if t.cfg == nil {
		t.cfg = &e.cfg
	}
	cfg := t.cfg.withHTTP2Config(t.hs.HTTP2)
	sc := e.newServerConn(nc, t, &cfg)
	if reason := inadequateTLS(t.tls, cfg.PermitProhibitedCipherSuites); reason != "" {
		sc.c.CloseWithError(frame.InadequateSecurity, reason)
	}
	if t.tls != nil {
		for origin, value := range cfg.AltServices {
			if err := sc.c.SendAltSvc(origin, value); err != nil {
				sc.logf("%v: %q", err, origin)
			}
		}
	}
	e.add(sc)
	if t.tracked != nil {
		t.tracked()
	}
	sc.c.Start(func(err error) {
		defer ended(err) // whatever the hook does that sc.ended calls
		sc.ended(cancel, err)
	})
}

// ended is called when the connection has ended, for err.
func (sc *serverConn) ended(cancel context.CancelCauseFunc, err error) {
	if err == nil {
		err = net.ErrClosed
	}
	cancel(err)
	defer sc.leave(err)
	sc.lastState()
}

// leave is the end of ended.
func (sc *serverConn) leave(err error) {
	if sc.d.stop() {
		sc.finished()
	}
	var pe *conn.PanicError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &pe):
		sc.logf("http2: panic serving %v: %v\n%s", sc.remoteAddr, pe.Value, pe.Stack)
	case errors.As(err, &ce) && ce.Initiator == frame.Local && ce.Code != frame.NoError:
		sc.logf("http2: server connection error from %v: %v", sc.remoteAddr, err)
	}
}

// finished takes the connection out of the books: it has ended, and all its handlers have returned.
func (sc *serverConn) finished() {
	sc.eng.remove(sc)
	if sc.done != nil {
		sc.done()
	}
}

func (e *engine) add(sc *serverConn) {
	e.mu.Lock()
	e.conns[sc] = struct{}{}
	draining := e.draining
	e.mu.Unlock()
	if draining {
		sc.c.Shutdown()
	}
}

func (e *engine) remove(sc *serverConn) {
	stats := sc.stats()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, sc)
	e.past.add(stats)
	if e.quiet != nil && len(e.conns) == 0 {
		close(e.quiet)
		e.quiet = nil
	}
}

// open returns the connections that are open now, and those that have a handler left.
func (e *engine) open() []*serverConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*serverConn, 0, len(e.conns))
	for sc := range e.conns {
		list = append(list, sc)
	}
	return list
}

// shutdown drains all connections, also those that come later, and tells handlers of tunnels, which
// might go on for ever. It does not wait.
func (e *engine) shutdown() {
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	for _, sc := range e.open() {
		sc.c.Shutdown()
		for _, x := range sc.d.accepted() {
			x.ctx().get().cancel(http.ErrServerClosed)
		}
	}
}

// isDraining reports whether shutdown was called.
func (e *engine) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// wait waits until no connection is left, and no handler. Call it after shutdown.
func (e *engine) wait(ctx context.Context) error {
	e.mu.Lock()
	if len(e.conns) == 0 {
		e.mu.Unlock()
		return nil
	}
	if e.quiet == nil {
		e.quiet = make(chan struct{})
	}
	quiet := e.quiet
	e.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close closes all connections.
func (e *engine) close() {
	for _, sc := range e.open() {
		_ = sc.c.Close() // never fails
	}
}

// setKeepAlives tells whether connections stay open when they have no request.
func (e *engine) setKeepAlives(on bool) {
	e.noKeepAlives.Store(!on)
	if on {
		return
	}
	for _, sc := range e.open() {
		if sc.c.Stats().Streams == 0 && sc.d.served() {
			sc.c.Shutdown()
		}
	}
}

func logf(l *log.Logger, format string, args ...any) {
	if l == nil {
		l = log.Default()
	}
	l.Printf(format, args...)
}

// connectionState returns the TLS state of nc if it has one.
func connectionState(nc net.Conn) *tls.ConnectionState {
	s, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := s.ConnectionState()
	return &state
}
