package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/stream/priority"
)

// Server serves HTTP/2, over TLS and on cleartext, and HTTP/1.1 on the same port. It takes the
// place of an http.Server and has its fields, with their meanings; those of HTTP/2 are in Config.
// The zero value is ready to use. Fields must not be changed once the server serves.
type Server struct {
	// Addr is the TCP address to listen on, "host:port". Default ":http", with TLS ":https".
	Addr string

	// Handler answers the requests. Default http.DefaultServeMux.
	Handler http.Handler

	// DisableGeneralOptionsHandler passes "OPTIONS *" to Handler; otherwise the answer is 200.
	DisableGeneralOptionsHandler bool

	// TLSConfig is the base of the configuration of ServeTLS and ListenAndServeTLS, which clone it.
	TLSConfig *tls.Config

	// ReadTimeout is how long reading a request's body may take after its header; on HTTP/1.1
	// header and body. Zero or negative: no limit.
	ReadTimeout time.Duration

	// ReadHeaderTimeout is how long a request's header may take from its first octet to its last.
	// Zero: ReadTimeout, or else, with HTTP/2, Config.HeaderTimeout, 1 minute. Negative: no limit.
	ReadHeaderTimeout time.Duration

	// WriteTimeout is how long a response may take from the request's header on. On HTTP/2 writes
	// fail after it, and a response that is not complete is reset. Zero or negative: no limit.
	WriteTimeout time.Duration

	// IdleTimeout is how long a connection without requests is kept. Zero: ReadTimeout; zero too or
	// negative: no limit.
	IdleTimeout time.Duration

	// MaxHeaderBytes bounds the header of a request; on HTTP/2 counted as RFC 9113 §6.5.2 says. A
	// larger one is answered with 431. Default http.DefaultMaxHeaderBytes, 1 MiB.
	MaxHeaderBytes int

	// MaxHeaderValueCount is Config.MaxHeaderFields under the name that http.Server has since Go
	// 1.27, and holds for HTTP/1.1 too where Go is that new.
	MaxHeaderValueCount int

	// DisableClientPriority is a field of http.Server since Go 1.27: where Config.Scheduler is nil,
	// the streams of a connection take turns, as with priority.NewRoundRobin, whatever priorities
	// the client states. SetPriority and a response's Priority field then have no effect, either.
	DisableClientPriority bool

	// TLSNextProto has functions that take over TLS connections with other ALPN protocols. A map
	// that is not nil and has no "h2" turns HTTP/2 over TLS off, unless Protocols is set; what it
	// has for "h2" is not called.
	TLSNextProto map[string]func(*http.Server, *tls.Conn, http.Handler)

	// ConnState, if set, is called when a connection changes its state. A connection with HTTP/2 is
	// active while it has streams.
	ConnState func(net.Conn, http.ConnState)

	// ErrorLog logs errors of accepting connections, panics of handlers and the like. A panic of
	// what a connection calls by itself, ConnState or a Tracer for example, ends the connection and
	// is logged with its stack. Default: package log's standard logger.
	ErrorLog *log.Logger

	// BaseContext, if set, returns the base context of the requests of a listener. Default
	// context.Background.
	BaseContext func(net.Listener) context.Context

	// ConnContext, if set, makes the context of a new connection from the base context, which has
	// the value of http.ServerContextKey: the http.Server that answers HTTP/1.1 with the fields of
	// this one.
	ConnContext func(ctx context.Context, c net.Conn) context.Context

	// HTTP2 has the values of fields that are zero in Config.
	HTTP2 *http.HTTP2Config

	// Protocols are those that are served. Nil: HTTP/1.1, HTTP/2 over TLS, and HTTP/2 on cleartext
	// by prior knowledge.
	Protocols *http.Protocols

	// Config holds the settings of HTTP/2.
	Config

	once  sync.Once
	http2 *http2Server
	http1 *http.Server // answers HTTP/1.1; for requests of HTTP/2 it is the value of http.ServerContextKey

	inShutdown atomic.Bool
	accepting  sync.WaitGroup // calls of Serve

	mu struct { // no other lock is taken while it is held
		sync.Mutex
		listeners   map[*onceCloseListener]struct{}
		pending     map[*pendingConn]struct{} // connections of which it is not known yet what they speak
		nonePending chan struct{}             // closed when pending is empty; nil unless Shutdown waits for that
		onShutdown  []func()

		// http1Conns are the connections with HTTP/1.1 whose end must be known here, but for those
		// that are a prefixConn, which finds its pendingConn itself.
		http1Conns map[net.Conn]*pendingConn
	}
}

// init makes the unexported fields.
func (s *Server) init() {
	s.once.Do(func() {
		s.http2 = newHTTP2Server(s.complete(s.Config))
		s.http1 = s.newHTTP1Server()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.listeners = make(map[*onceCloseListener]struct{})
		s.mu.pending = make(map[*pendingConn]struct{})
		s.mu.http1Conns = make(map[net.Conn]*pendingConn)
	})
}

// complete fills the zero fields of cfg from those of s.
func (s *Server) complete(cfg Config) Config {
	cfg.MaxHeaderFields = cmp.Or(cfg.MaxHeaderFields, s.MaxHeaderValueCount)
	if cfg.Scheduler == nil && s.DisableClientPriority {
		cfg.Scheduler = priority.NewRoundRobin
	}
	return cfg
}

// protocols returns the protocols that are served.
func (s *Server) protocols() http.Protocols {
	if s.Protocols != nil && *s.Protocols != (http.Protocols{}) {
		return *s.Protocols
	}
	var p http.Protocols
	p.SetHTTP1(true)
	if s.Protocols != nil {
		return p // set, but empty: as in Go 1.27
	}
	_, h2 := s.TLSNextProto[protoTLS]
	p.SetHTTP2(s.TLSNextProto == nil || h2) // the historic way to turn HTTP/2 off
	p.SetUnencryptedHTTP2(true)
	return p
}

// handler returns Handler or its default.
func (s *Server) handler() http.Handler {
	if s.Handler == nil {
		return http.DefaultServeMux
	}
	return s.Handler
}

// answerOptions answers "OPTIONS *" (RFC 9110 §9.3.7), as http.Server does.
var answerOptions = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "0")
})

// withOptions returns a handler for HTTP/1.1 that calls answerOptions for "OPTIONS *", unless that
// is disabled, and h for all else.
func (s *Server) withOptions(h http.Handler) http.Handler {
	if s.DisableGeneralOptionsHandler {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "*" && r.Method == http.MethodOptions {
			answerOptions(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// SetKeepAlivesEnabled says whether connections stay open when a request is done, which they do by
// default.
func (s *Server) SetKeepAlivesEnabled(v bool) {
	s.init()
	s.http1.SetKeepAlivesEnabled(v)
	s.http2.setKeepAlives(v)
}

// Stats returns counters of the HTTP/2 connections.
func (s *Server) Stats() Stats {
	s.init()
	return s.http2.stats()
}

func (s *Server) logf(format string, args ...any) { logf(s.ErrorLog, format, args...) }

// logf logs to l, or to package log's standard logger where l is nil.
func logf(l *log.Logger, format string, args ...any) {
	if l == nil {
		l = log.Default()
	}
	l.Printf(format, args...)
}
