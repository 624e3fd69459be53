package conformance

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// A liveServer is the server under test, on a port of the loopback address.
type liveServer struct {
	Addr     string // host:port
	URL      string // scheme://host:port, without a slash at the end
	Accepted *atomic.Int64
}

// countingListener counts the connections that came in.
type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

// testLog sends what a server logs to the test's own log, which is shown when the test fails. A
// server that was closed may still log how a connection ended: that comes too late and is dropped.
type testLog struct {
	mu sync.Mutex
	t  *testing.T // nil once the test is over
}

func newTestLog(t *testing.T) *testLog {
	w := &testLog{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t = nil
	})
	return w
}

func (w *testLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("server: %s", p)
	}
	return len(p), nil
}

// onlyHTTP2 has a server take nothing but HTTP/2 on cleartext.
func onlyHTTP2(s *server.Server) {
	s.Protocols = new(http.Protocols)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP2(true)
}

// startServer serves h over TLS or in cleartext until the test ends.
func startServer(t *testing.T, secure bool, h http.Handler, configure ...func(*server.Server)) *liveServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cl := &countingListener{Listener: l}
	srv := &server.Server{Handler: h, ErrorLog: log.New(newTestLog(t), "", 0)}
	srv.AllowH2CUpgrade = true
	for _, c := range configure {
		c(srv)
	}
	ls := &liveServer{Addr: l.Addr().String(), URL: "http://" + l.Addr().String(), Accepted: &cl.accepted}
	serve := func() error { return srv.Serve(cl) }
	if secure {
		cert, err := selfsigned.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		if srv.TLSConfig == nil {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		ls.URL = "https://" + ls.Addr
		serve = func() error { return srv.ServeTLS(cl, "", "") }
	}
	done := make(chan error, 1)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v, want http.ErrServerClosed", err)
		}
	})
	return ls
}
