package server

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sluice-go/sluice/frame"
)

// http2Server is what Server and Configure have in common: it serves connections of HTTP/2 and
// tracks those that are open.
type http2Server struct {
	cfg          Config
	handlerTime  handlerTime
	date         dateClock
	headerSizes  headerSizes
	panics       atomic.Uint64 // of handlers
	noKeepAlives atomic.Bool   // SetKeepAlivesEnabled(false)

	mu struct {
		sync.Mutex
		conns       map[*serverConn]struct{} // that are open, or have a handler that has not returned
		draining    bool                     // shutdown was called
		drained     chan struct{}            // closed when conns is empty; nil unless waitDrained waits
		closedStats Stats                    // of connections that have ended
	}
}

func newHTTP2Server(cfg Config) *http2Server {
	h2 := &http2Server{cfg: cfg}
	h2.mu.conns = make(map[*serverConn]struct{})
	h2.handlerTime.procs = runtime.GOMAXPROCS(0)
	return h2
}

// serve begins to serve one connection, and has onEnd called when it has ended, with the reason,
// nil after an end in good order.
func (h2 *http2Server) serve(nc net.Conn, t connTask, onEnd func(error)) {
	ctx, cancel := context.WithCancelCause(context.WithValue(t.ctx, http.LocalAddrContextKey, nc.LocalAddr()))
	t.ctx = ctx
	if t.cfg == nil {
		t.cfg = &h2.cfg
	}
	cfg := t.cfg.withHTTP2Config(t.hs.HTTP2)
	t.webSocketAlone = !cfg.EnableConnectProtocol && (takesWebSocket(t.handler) || takesWebSocket(t.hs.Handler))
	cfg.EnableConnectProtocol = cfg.EnableConnectProtocol || t.webSocketAlone
	sc := h2.newServerConn(nc, t, &cfg)
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
	h2.track(sc)
	if t.onTracked != nil {
		t.onTracked()
	}
	sc.c.Start(func(err error) {
		defer onEnd(err) // also where the ConnState hook that sc.ended calls does not return
		sc.ended(cancel, err)
	})
}

// track adds a connection to those that are open.
func (h2 *http2Server) track(sc *serverConn) {
	h2.mu.Lock()
	h2.mu.conns[sc] = struct{}{}
	draining := h2.mu.draining
	h2.mu.Unlock()
	if draining {
		sc.c.Shutdown()
	}
}

// untrack removes a connection that has ended, and of which no handler is left.
func (h2 *http2Server) untrack(sc *serverConn) {
	stats := sc.stats()
	h2.mu.Lock()
	defer h2.mu.Unlock()
	delete(h2.mu.conns, sc)
	h2.mu.closedStats.add(stats)
	if h2.mu.drained != nil && len(h2.mu.conns) == 0 {
		close(h2.mu.drained)
		h2.mu.drained = nil
	}
}

// tracked returns the connections that are open now, and those that have a handler left.
func (h2 *http2Server) tracked() []*serverConn {
	h2.mu.Lock()
	defer h2.mu.Unlock()
	list := make([]*serverConn, 0, len(h2.mu.conns))
	for sc := range h2.mu.conns {
		list = append(list, sc)
	}
	return list
}

// shutdown drains all connections, also those that come later, and ends the contexts of tunnels,
// which might go on for ever. It does not wait.
func (h2 *http2Server) shutdown() {
	h2.mu.Lock()
	h2.mu.draining = true
	h2.mu.Unlock()
	for _, sc := range h2.tracked() {
		sc.c.Shutdown()
		for _, x := range sc.d.tunnels() {
			x.cancelable().cancel(http.ErrServerClosed)
		}
	}
}

// isDraining reports whether shutdown was called.
func (h2 *http2Server) isDraining() bool {
	h2.mu.Lock()
	defer h2.mu.Unlock()
	return h2.mu.draining
}

// waitDrained waits until no connection is left, and no handler. It is called after shutdown.
func (h2 *http2Server) waitDrained(ctx context.Context) error {
	h2.mu.Lock()
	if len(h2.mu.conns) == 0 {
		h2.mu.Unlock()
		return nil
	}
	if h2.mu.drained == nil {
		h2.mu.drained = make(chan struct{})
	}
	drained := h2.mu.drained
	h2.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close closes all connections.
func (h2 *http2Server) close() {
	for _, sc := range h2.tracked() {
		_ = sc.c.Close() // never fails
	}
}

// setKeepAlives sets whether connections stay open when they have no request.
func (h2 *http2Server) setKeepAlives(on bool) {
	h2.noKeepAlives.Store(!on)
	if on {
		return
	}
	for _, sc := range h2.tracked() {
		if sc.c.Stats().Streams == 0 && sc.d.hasServed() {
			sc.c.Shutdown()
		}
	}
}
