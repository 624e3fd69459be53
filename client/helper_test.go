package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// h2cOnly has http URLs fetched with HTTP/2.
func h2cOnly() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// testServer is a server of package server in memory.
type testServer struct {
	t      testing.TB
	l      *memconn.Listener
	srv    *server.Server
	served chan error
}

const testURL = "http://example.test"

func newTestServer(t testing.TB, h http.Handler, adjust ...func(*server.Server)) *testServer {
	t.Helper()
	needsNoSockets(t)
	s := &testServer{t: t, l: memconn.Listen(testLink), srv: &server.Server{Handler: h}, served: make(chan error, 1)}
	for _, f := range adjust {
		f(s.srv)
	}
	go func() { s.served <- s.srv.Serve(s.l) }()
	return s
}

// transport returns a Transport that dials the server.
func (s *testServer) transport(adjust ...func(*Transport)) *Transport {
	t := &Transport{DialContext: s.l.Dial, Protocols: h2cOnly(), Proxy: noProxy}
	for _, f := range adjust {
		f(t)
	}
	return t
}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// stop ends the server, and waits for the connections of tr.
func (s *testServer) stop(tr *Transport) {
	s.t.Helper()
	if tr != nil {
		tr.CloseIdleConnections()
	}
	_ = s.srv.Close()
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		s.t.Errorf("Serve: %v", err)
	}
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readAll reads a response's body and closes it.
func readAll(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return string(b)
}

// streamOnly hides what a reader can do beside reading.
type streamOnly struct{ io.Reader }

// testTLS returns the configurations of a server for example.test and 127.0.0.1, and of its
// clients.
func testTLS(t testing.TB) (srv, cli *tls.Config) {
	t.Helper()
	cert, err := selfsigned.Certificate("example.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool}
}

// listenTCP returns a listener on loopback that the test closes.
func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func contains(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// newTCPServer starts a server of package server for cleartext on loopback, and returns its URL.
func newTCPServer(t testing.TB, h http.Handler) string {
	t.Helper()
	l := listenTCP(t)
	srv := &server.Server{Handler: h}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

// callLog is a list of strings that several goroutines write.
type callLog struct {
	mu   sync.Mutex
	list []string
}

func (n *callLog) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

// want checks the list, and empties it.
func (n *callLog) want(t *testing.T, why string, want ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := cmp.Diff(want, n.list); d != "" {
		t.Errorf("%s (-want +got):\n%s", why, d)
	}
	n.list = nil
}
