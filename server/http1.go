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

	"github.com/sluice-go/sluice/internal/netconn"
)

// newInner makes the http.Server that answers HTTP/1.1. Its HTTP/2 is off: what comes to it is
// HTTP/1.1.
func (s *Server) newInner() *http.Server {
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
		ConnState:                    s.innerState,
		ErrorLog:                     s.ErrorLog,
		BaseContext:                  func(l net.Listener) context.Context { return l.(*oneListener).ctx },
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
	hs.Handler = showHijacked(s.http1Handler(s.handler(), &s.Config))
	return hs
}

// upgrades reports whether clients of HTTP/1.1 may switch to HTTP/2.
func (s *Server) upgrades(cfg *Config) bool {
	all := s.protocols()
	return cfg.AllowH2CUpgrade && all.UnencryptedHTTP2()
}

// http1Handler is h for HTTP/1.1, behind what cfg asks for.
func (s *Server) http1Handler(h http.Handler, cfg *Config) http.Handler {
	h = cfg.EarlyData.guard(s.withOptions(h))
	if s.upgrades(cfg) {
		h = upgradable(h)
	}
	return h
}

// serveHTTP1 hands the connection over to the http.Server inside, which runs it in a goroutine of
// its own. read is what was read from it.
func (a *arrival) serveHTTP1(read []byte, state *tls.ConnectionState) {
	s, c := a.s, a.nc
	listens := a.over != nil || state == nil && s.upgrades(a.cfg) // for the end of what the http.Server inside has
	switch {
	case len(read) > 0 || listens && !reflect.ValueOf(c).Comparable():
		c = newPrefixConn(a, read, state)
	case listens:
		s.mu.Lock()
		s.onHTTP1[c] = a
		s.mu.Unlock()
	}
	err := s.inner.Serve(&oneListener{ctx: context.WithValue(a.ctx, arrivalKey{}, a), c: c})
	if !errors.Is(err, errOneConn) { // the server is closed
		_ = s.ofHTTP1(c)
		drain(a.nc)
		a.ended(http.ErrServerClosed)
		return
	}
	a.arrived()
}

// ofHTTP1 returns the arrival of a connection that the http.Server inside has no longer, nil where
// nothing needs to hear of its end.
func (s *Server) ofHTTP1(c net.Conn) *arrival {
	if p, ok := c.(prefixed); ok {
		return p.base().arrival
	}
	if !reflect.ValueOf(c).Comparable() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.onHTTP1[c]
	delete(s.onHTTP1, c)
	return a
}

// arrivalKey finds the *arrival in the context of an HTTP/1.1 request.
type arrivalKey struct{}

// innerState hears of the connections that the http.Server inside has.
func (s *Server) innerState(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		return // was told when it was
	}
	var a *arrival
	if state == http.StateHijacked || state == http.StateClosed {
		a = s.ofHTTP1(c)
	}
	if a != nil && a.switched.Load() {
		return // it goes on as HTTP/2
	}
	if p, ok := c.(prefixed); ok {
		c = p.base().Conn
	}
	if s.ConnState != nil {
		s.ConnState(c, state)
	}
	if a != nil {
		a.finish()
	}
}

// errOneConn is what a oneListener returns after its connection.
var errOneConn = errors.New("server: no more connections")

// oneListener gives one connection to an http.Server, and brings the context along.
type oneListener struct {
	ctx context.Context
	c   net.Conn // nil when it is accepted
}

// Accept returns the connection, then an error.
func (l *oneListener) Accept() (net.Conn, error) {
	if l.c == nil {
		return nil, errOneConn
	}
	c := l.c
	l.c = nil
	return c, nil
}

// Close does nothing: the connection belongs to who accepted it, or to who made the listener.
func (l *oneListener) Close() error { return nil }

// Addr is of no use, as there is no address to listen on.
func (l *oneListener) Addr() net.Addr { return nil }

// prefixConn is a connection of which something was read already.
type prefixConn struct {
	netconn.Prefixed
	arrival *arrival

	// The http.Server sets a deadline for the header of the first request twice, when it takes the
	// connection and when it begins to read. What has passed since we began to read counts.
	headerCalls int
	sniffed     time.Time
}

// tlsPrefixConn is one whose TLS net/http is to see.
type tlsPrefixConn struct {
	*prefixConn
	state tls.ConnectionState
}

// prefixed is what both have in common.
type prefixed interface{ base() *prefixConn }

func newPrefixConn(a *arrival, read []byte, state *tls.ConnectionState) net.Conn {
	c := &prefixConn{Prefixed: netconn.Prefixed{Conn: a.nc, Prefix: read}, arrival: a, sniffed: a.sniffed}
	a.prefix = c
	if !a.sniffed.IsZero() {
		c.headerCalls = 2
	}
	if state != nil {
		return &tlsPrefixConn{c, *state}
	}
	return c
}

func (c *prefixConn) base() *prefixConn { return c }

// ConnectionState is how net/http knows TLS connections that are not of crypto/tls.
func (c *tlsPrefixConn) ConnectionState() tls.ConnectionState { return c.state }

// SetReadDeadline has the deadline of the first request's header count from when we began to read
// it.
func (c *prefixConn) SetReadDeadline(t time.Time) error {
	if c.headerCalls > 0 {
		c.headerCalls--
		if !t.IsZero() {
			t = t.Add(-time.Since(c.sniffed))
		}
	}
	return c.Conn.SetReadDeadline(t)
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

// NetConn returns the connection itself, as that of crypto/tls does.
func (c *prefixConn) NetConn() net.Conn { return c.Conn }
