//go:build !nethttpomithttp2

package server

import (
	"context"
	"log"
	"net/http"
	"testing"

	"github.com/sluice-go/sluice/internal/memconn"
)

// testServer is a server on in-memory connections, with net/http's client for HTTP/2 on cleartext.
type testServer struct {
	t      *testing.T
	l      *memconn.Listener
	client *http.Client
	log    *syncBuffer
	served chan error
	close  func() error
	h2     *Server      // of kind "server"
	std    *http.Server // of the other kinds
}

const testServerURL = "http://example.test"

// The ways to serve that are to look alike.
const (
	kindNetHTTP   = "net-http"
	kindServer    = "server"
	kindConfigure = "configure"
)

// newTestServer starts a server. Inside a bubble of synctest, its end must be waited for with stop.
func newTestServer(t *testing.T, kind string, h http.Handler, adjust ...any) *testServer {
	t.Helper()
	s := &testServer{t: t, l: memconn.Listen(anyLink(t)), log: &syncBuffer{}, served: make(chan error, 1)}
	var p, clientP http.Protocols
	clientP.SetUnencryptedHTTP2(true)
	s.client = &http.Client{Transport: &http.Transport{DialContext: s.l.Dial, Protocols: &clientP}}
	p.SetUnencryptedHTTP2(true)
	p.SetHTTP1(true)
	p.SetHTTP2(testKind == memconn.TLS)
	logger := log.New(s.log, "", 0)
	if kind == kindServer {
		s.h2 = &Server{Handler: h, ErrorLog: logger}
		for _, a := range adjust {
			if f, ok := a.(func(*Server)); ok {
				f(s.h2)
			}
		}
		s.close = s.h2.Close
		go func() { s.served <- s.h2.Serve(s.l) }()
		return s
	}
	s.std = &http.Server{Handler: h, ErrorLog: logger, Protocols: &p}
	cfg := &Config{}
	for _, a := range adjust {
		switch f := a.(type) {
		case func(*http.Server):
			f(s.std)
		case func(*Config):
			f(cfg)
		}
	}
	if kind == kindConfigure {
		if err := Configure(s.std, cfg); err != nil {
			t.Fatal(err)
		}
	}
	s.close = s.std.Close
	go func() { s.served <- s.std.Serve(s.l) }()
	return s
}

// stop ends client and server.
func (s *testServer) stop() {
	s.t.Helper()
	s.client.CloseIdleConnections()
	if err := s.close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
	if err := <-s.served; err != http.ErrServerClosed { // documented as this very value
		s.t.Errorf("Serve: %v", err)
	}
}

// get is a GET whose failure ends the test.
func (s *testServer) get(path string) *http.Response {
	s.t.Helper()
	resp, err := s.client.Get(testServerURL + path)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *testServer) request(method, path string, body interface{ Read([]byte) (int, error) }) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, testServerURL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}
