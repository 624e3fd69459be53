package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/sluice-go/sluice/internal/alpn"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// newHTTP1Server makes the http.Server that answers HTTP/1.1. It gets no connections of HTTP/2,
// which is off.
func (s *Server) newHTTP1Server() *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	hs := &http.Server{
		Addr:                         s.Addr,
		DisableGeneralOptionsHandler: s.DisableGeneralOptionsHandler,
		TLSConfig:                    s.TLSConfig,
		ReadTimeout:                  s.ReadTimeout,
		ReadHeaderTimeout:            s.ReadHeaderTimeout,
		WriteTimeout:                 s.WriteTimeout,
		IdleTimeout:                  s.IdleTimeout,
		MaxHeaderBytes:               s.MaxHeaderBytes,
		TLSNextProto:                 make(map[string]func(*http.Server, *tls.Conn, http.Handler)),
		ConnState:                    s.http1ConnState,
		ErrorLog:                     s.ErrorLog,
		BaseContext:                  func(l net.Listener) context.Context { return l.(*singleListener).ctx },
		HTTP2:                        s.HTTP2,
		Protocols:                    &p,
	}
	for proto, f := range s.TLSNextProto {
		if proto != protoTLS && proto != protoClear {
			hs.TLSNextProto[proto] = f
		}
	}
	if s.upgrades(&s.Config) {
		hs.DisableGeneralOptionsHandler = true // "OPTIONS *" may ask for the upgrade, too
	}
	s.copyNewFields(hs)
	hs.Handler = withHijack(s.http1Handler(s.handler(), &s.Config))
	return hs
}

// upgrades reports whether clients of HTTP/1.1 may switch to HTTP/2.
func (s *Server) upgrades(cfg *Config) bool {
	all := s.protocols()
	return cfg.AllowH2CUpgrade && all.UnencryptedHTTP2()
}

// http1Handler returns a handler for HTTP/1.1 that does what cfg asks for and calls h.
func (s *Server) http1Handler(h http.Handler, cfg *Config) http.Handler {
	h = cfg.EarlyData.refuseHTTP1(s.withOptions(h))
	if s.upgrades(cfg) {
		h = withUpgrade(h)
	}
	return h
}

// serveHTTP1 hands the connection over to Server.http1, which serves it in a goroutine of its own.
// read is what was read from it.
func (pc *pendingConn) serveHTTP1(read []byte, state *tls.ConnectionState) {
	s, c := pc.s, pc.nc
	if tc, ok := c.(*tls.Conn); ok {
		tlsbatch.Remove(tc) // a handler, or a function of TLSNextProto, may ask for its NetConn
	}
	// net/http would close a tls.Conn for which ALPN has chosen what it does not know.
	otherALPN := pc.cfg.IgnoreALPN && state != nil && state.NegotiatedProtocol == alpn.HTTP2
	// To be found by http1ConnState, which does not report what hijacks it to go on here.
	needsEnd := pc.done != nil || s.ConnState != nil || state == nil && s.upgrades(pc.cfg)
	switch {
	case len(read) > 0 || otherALPN || needsEnd && !reflect.ValueOf(c).Comparable():
		c = newPrefixConn(pc, read, state)
	case needsEnd:
		s.mu.Lock()
		s.mu.http1Conns[c] = pc
		s.mu.Unlock()
	}
	l := &singleListener{ctx: context.WithValue(pc.ctx, pendingConnKey{}, pc), c: c}
	_ = s.http1.Serve(l) // which always fails
	if l.c != nil {      // it was closed before it has accepted the connection
		_ = s.takeHTTP1Conn(c)
		drain(pc.nc)
		pc.close(http.ErrServerClosed)
		return
	}
	pc.untrack()
}

// takeHTTP1Conn returns the pendingConn of a connection that Server.http1 has no longer, nil where
// its end need not be known.
func (s *Server) takeHTTP1Conn(c net.Conn) *pendingConn {
	if p, ok := c.(prefixed); ok {
		return p.unwrap().pendingConn
	}
	if !reflect.ValueOf(c).Comparable() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pc := s.mu.http1Conns[c]
	delete(s.mu.http1Conns, c)
	return pc
}

// pendingConnKey finds the *pendingConn in the context of an HTTP/1.1 request.
type pendingConnKey struct{}

// http1ConnState is the ConnState hook of Server.http1, and of connections of HTTP/2 where there is
// a Server.ConnState.
func (s *Server) http1ConnState(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		return // newPendingConn has reported it
	}
	var pc *pendingConn
	if state == http.StateHijacked || state == http.StateClosed {
		pc = s.takeHTTP1Conn(c)
	}
	if pc != nil && pc.switched.Load() {
		return // it goes on, as HTTP/2 or behind RefuseConnect
	}
	if p, ok := c.(prefixed); ok {
		c = p.unwrap().Conn
	}
	if s.ConnState != nil {
		s.ConnState(c, state)
	}
	if pc != nil {
		pc.signalDone()
	}
}

// errSingleConn is what a singleListener returns after its connection.
var errSingleConn = errors.New("server: no more connections")

// singleListener gives one connection to an http.Server, and brings the context along.
type singleListener struct {
	ctx context.Context
	c   net.Conn // nil once it was accepted
}

// Accept returns the connection, then an error.
func (l *singleListener) Accept() (net.Conn, error) {
	if l.c == nil {
		return nil, errSingleConn
	}
	c := l.c
	l.c = nil
	return c, nil
}

// Close does nothing: serveHTTP1 closes a connection that was not accepted.
func (l *singleListener) Close() error { return nil }

// Addr returns nil, since nothing listens.
func (l *singleListener) Addr() net.Addr { return nil }

// prefixConn is a connection that is served with HTTP/1.1 and of which something was read already.
type prefixConn struct {
	netconn.Prefixed
	pendingConn *pendingConn

	header   headerDeadline
	patience netconn.Patience // owned by the goroutine that reads
}

// headerDeadline adjusts the deadlines that an http.Server sets for the header of the first
// request, headerDeadlines of them. They are to count from start, when reading has begun.
type headerDeadline struct {
	left      int // how many of them are to come
	start     time.Time
	handshake bool // one for a TLS handshake may come before them, and is taken back after it
}

// of returns the deadline in place of t, which is set now.
func (d *headerDeadline) of(t time.Time) time.Time {
	switch {
	case d.handshake && t.IsZero() && d.left < headerDeadlines:
		d.handshake, d.left = false, headerDeadlines
	case d.left > 0:
		d.left--
		if !t.IsZero() {
			t = t.Add(-time.Since(d.start))
		}
	}
	return t
}

// tlsPrefixConn is a prefixConn whose TLS state net/http is to find.
type tlsPrefixConn struct {
	*prefixConn
	state tls.ConnectionState
}

// prefixed is a prefixConn or tlsPrefixConn.
type prefixed interface{ unwrap() *prefixConn }

// newPrefixConn returns a prefixConn, or a tlsPrefixConn where state is not nil.
func newPrefixConn(pc *pendingConn, read []byte, state *tls.ConnectionState) net.Conn {
	c := &prefixConn{Prefixed: netconn.Prefixed{Conn: pc.nc, Prefix: read}, pendingConn: pc}
	pc.prefixConn = c
	if !pc.headerStart.IsZero() {
		c.header = headerDeadline{headerDeadlines, pc.headerStart, state != nil && timesHandshakes}
	}
	if state != nil {
		return &tlsPrefixConn{c, *state}
	}
	return c
}

func (c *prefixConn) unwrap() *prefixConn { return c }

// ConnectionState is the method by which net/http knows TLS connections that are not of crypto/tls.
func (c *tlsPrefixConn) ConnectionState() tls.ConnectionState { return c.state }

// Read returns octets of Prefix, and then those of the connection. Where the connection returns
// neither an octet nor an error, it reads again: net/http looks out for the client's end by a
// single Read while a handler runs.
func (c *prefixConn) Read(p []byte) (int, error) { return c.patience.Read(&c.Prefixed, p) }

// SetReadDeadline has the deadlines for the first request's header count from when reading has
// begun.
func (c *prefixConn) SetReadDeadline(t time.Time) error {
	return c.Conn.SetReadDeadline(c.header.of(t))
}

// ReadFrom lets net/http use sendfile.
func (c *prefixConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite half-closes, which net/http does to let the client read the last response.
func (c *prefixConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection below, as the method of tls.Conn does.
func (c *prefixConn) NetConn() net.Conn { return c.Conn }
