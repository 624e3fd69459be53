package rpc

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// testLog shows what a server logs when the test fails, and drops what it logs after the test.
type testLog struct {
	mu sync.Mutex
	t  *testing.T
}

func newTestLog(t *testing.T) *log.Logger {
	w := &testLog{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t = nil
	})
	return log.New(w, "", 0)
}

func (w *testLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("server: %s", p)
	}
	return len(p), nil
}

// serverTLS is the configuration of a server with a certificate of its own.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := selfsigned.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// serveUntilEnd runs a server until the test ends and returns its address.
func serveUntilEnd(t *testing.T, serve func(net.Listener) error, stop func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return l.Addr().String()
}

// startOurs serves h with server.Server.
func startOurs(t *testing.T, secure bool, h http.Handler, configure ...func(*server.Server)) (addr string) {
	t.Helper()
	s := &server.Server{Handler: h, ErrorLog: newTestLog(t)}
	for _, c := range configure {
		c(s)
	}
	serve := s.Serve
	if secure {
		s.TLSConfig = serverTLS(t)
		serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	return serveUntilEnd(t, serve, func() { s.Close() })
}

// startNetHTTP serves h with net/http's server.
func startNetHTTP(t *testing.T, secure bool, h http.Handler) (addr string) {
	t.Helper()
	s := &http.Server{Handler: h, ErrorLog: newTestLog(t), Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	serve := s.Serve
	if secure {
		s.TLSConfig = serverTLS(t)
		serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	return serveUntilEnd(t, serve, func() { s.Close() })
}

// eachSecurity runs a test over cleartext and over TLS.
func eachSecurity(t *testing.T, run func(t *testing.T, secure bool)) {
	t.Run("h2c", func(t *testing.T) { run(t, false) })
	t.Run("tls", func(t *testing.T) { run(t, true) })
}
