package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/alpn"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// ListenAndServe listens on s.Addr and serves cleartext: HTTP/2 to clients that begin with its
// preface, HTTP/1.1 to others. It always returns an error, http.ErrServerClosed after Shutdown or
// Close.
func (s *Server) ListenAndServe() error {
	if s.inShutdown.Load() {
		return http.ErrServerClosed
	}
	l, err := net.Listen("tcp", cmp.Or(s.Addr, ":http"))
	if err != nil {
		return err
	}
	return s.Serve(l)
}

// ListenAndServeTLS listens on s.Addr and serves TLS. The files hold a certificate, with
// intermediates after it, and its key; they may be "" if s.TLSConfig has certificates. It always
// returns an error, http.ErrServerClosed after Shutdown or Close.
func (s *Server) ListenAndServeTLS(certFile, keyFile string) error {
	if s.inShutdown.Load() {
		return http.ErrServerClosed
	}
	l, err := net.Listen("tcp", cmp.Or(s.Addr, ":https"))
	if err != nil {
		return err
	}
	defer l.Close() // for ServeTLS that fails early; closing twice does no harm
	return s.ServeTLS(l, certFile, keyFile)
}

// ServeTLS serves TLS on the connections that l accepts; see ListenAndServeTLS. It fails early if
// the TLS 1.2 cipher suites of s.TLSConfig lack the one that RFC 9113 §9.2.2 requires. It closes l.
// Callbacks that are given connections, those of s.TLSConfig among them, see what l has accepted.
// With ConnContext or ConnState, which are given the tls.Conn, a download costs more: each record
// of 16 KiB is a write of its own then.
func (s *Server) ServeTLS(l net.Listener, certFile, keyFile string) error {
	p := s.protocols()
	if p.HTTP2() {
		if err := checkSuites(s.TLSConfig); err != nil {
			return err
		}
	}
	config := &tls.Config{}
	if s.TLSConfig != nil {
		config = s.TLSConfig.Clone()
	}
	config.NextProtos = alpn.Adjust(config.NextProtos, p)
	hasCert := len(config.Certificates) > 0 || config.GetCertificate != nil || config.GetConfigForClient != nil
	if !hasCert || certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	plain := s.exposesConns() || !p.HTTP2() || !tlsbatch.Removable
	if !plain {
		showAcceptedConn(config)
	}
	return s.Serve(&tlsListener{l, config, plain})
}

// tlsListener is the listener of crypto/tls, with sockets that are read in large pieces.
type tlsListener struct {
	net.Listener
	config *tls.Config
	plain  bool // no tlsbatch.Conn lies below the tls.Conn, not even at first: see accepted_conn.go
}

// Accept returns the next connection; its handshake is yet to be done.
func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.plain {
		nc = tlsbatch.New(nc)
	}
	return tls.Server(nc, l.config), nil
}

// Serve serves the connections that l accepts, each in its own goroutine. A connection of
// crypto/tls, or one with the same methods ConnectionState and HandshakeContext, is served as its
// ALPN protocol says. It always returns an error, http.ErrServerClosed after Shutdown or Close, and
// closes l.
func (s *Server) Serve(l net.Listener) error {
	s.init()
	once := &onceCloseListener{Listener: l}
	defer once.Close()
	if !s.trackListener(once) {
		return http.ErrServerClosed
	}
	defer s.untrackListener(once)
	ctx := context.Background()
	if s.BaseContext != nil {
		if ctx = s.BaseContext(l); ctx == nil {
			panic("BaseContext returned a nil context")
		}
	}
	ctx = context.WithValue(ctx, http.ServerContextKey, s.http1)
	var delay time.Duration
	for {
		nc, err := once.Accept()
		if err == nil {
			delay = 0
			go s.newPendingConn(ctx, nc, nil).serve() // ends when the connection is handed over; Shutdown waits for it
			continue
		}
		if s.inShutdown.Load() {
			return http.ErrServerClosed
		}
		if !isTemporary(err) {
			return err
		}
		delay = min(max(2*delay, minAcceptDelay), maxAcceptDelay)
		s.logf("http: Accept error: %v; retrying in %v", err, delay)
		time.Sleep(delay)
	}
}

// How long to wait after an error of Accept, as net/http does: such errors are mostly a lack of
// file descriptors.
const (
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second
)

// isTemporary reports whether Accept may be called again after err.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// trackListener adds a listener to those that Shutdown closes. It returns false where the server is
// closed already.
func (s *Server) trackListener(l *onceCloseListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inShutdown.Load() {
		return false
	}
	s.mu.listeners[l] = struct{}{}
	s.accepting.Add(1)
	return true
}

// untrackListener undoes trackListener.
func (s *Server) untrackListener(l *onceCloseListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.listeners, l)
	s.accepting.Done()
}

// onceCloseListener is a listener that is closed once, by Serve or by Shutdown.
type onceCloseListener struct {
	net.Listener
	once sync.Once
	err  error
}

// Close closes the listener the first time.
func (l *onceCloseListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
