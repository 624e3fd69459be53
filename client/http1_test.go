//go:build !nethttpomithttp2

package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// alpnServer is a server whose choice of protocol the test changes.
type alpnServer struct {
	*httptest.Server
	h2    atomic.Bool
	conns atomic.Int32
	cfg   *tls.Config // of its clients
}

func newALPNServer(t *testing.T, h http.Handler) *alpnServer {
	s := &alpnServer{Server: httptest.NewUnstartedServer(h)}
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{}
	s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		cfg := s.TLS.Clone()
		cfg.GetConfigForClient = nil
		cfg.NextProtos = []string{"http/1.1"}
		if s.h2.Load() {
			cfg.NextProtos = []string{"h2"}
		}
		return cfg, nil
	}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.cfg = s.Client().Transport.(*http.Transport).TLSClientConfig
	return s
}

// protoHandler answers with the protocol, and the request's body.
func protoHandler(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, r.Proto+" "+string(b))
}

// wantOneConnection wants f to have made one connection. net/http gives one up whose request has
// not been reported as written 50 ms after the response, as on a busy machine: then f may try
// again.
func wantOneConnection(t *testing.T, f func(t *testing.T) (conns int32)) {
	t.Helper()
	var conns [3]int32
	for i := range conns {
		if conns[i] = f(t); conns[i] == 1 {
			return
		}
	}
	t.Errorf("%d connections in three attempts, want one", conns)
}

// A server that speaks HTTP/1.1 is dialled once, and the proxy function asked once for each
// request.
func TestHTTP1OneConnection(t *testing.T) { wantOneConnection(t, http1OneConnection) }

func http1OneConnection(t *testing.T) (conns int32) {
	s := newALPNServer(t, http.HandlerFunc(protoHandler))
	asked := 0
	tr := &Transport{TLSClientConfig: s.cfg, Proxy: func(*http.Request) (*url.URL, error) { asked++; return nil, nil }}
	defer tr.CloseIdleConnections()
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "POST", s.URL, streamOnly{strings.NewReader("x")}))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "HTTP/1.1 x" || resp.TLS == nil {
			t.Errorf("%q, TLS %v", got, resp.TLS)
		}
	}
	if asked != 3 {
		t.Errorf("the proxy function was asked %d times", asked)
	}
	return s.conns.Load()
}

// The same through a proxy, whose tunnel serves HTTP/1.1.
func TestHTTP1OneTunnel(t *testing.T) { wantOneConnection(t, http1OneTunnel) }

func http1OneTunnel(t *testing.T) (conns int32) {
	s := newALPNServer(t, http.HandlerFunc(protoHandler))
	p := newConnectProxy(t)
	tr := &Transport{TLSClientConfig: s.cfg, Proxy: p.url("user")}
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "POST", s.URL, strings.NewReader("x")))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "HTTP/1.1 x" {
			t.Errorf("%q", got)
		}
	}
	tr.CloseIdleConnections()
	return s.conns.Load()
}

// ALPN decides for each connection: a server that gains HTTP/2, and loses it again, is spoken to in
// what it has chosen, and a body that can be had once arrives.
func TestALPNDecides(t *testing.T) {
	for _, own := range []bool{false, true} {
		s := newALPNServer(t, http.HandlerFunc(protoHandler))
		tr := &Transport{TLSClientConfig: s.cfg, Proxy: noProxy}
		if own {
			cfg := s.cfg.Clone()
			cfg.NextProtos = []string{"h2", "http/1.1"}
			tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&tls.Dialer{Config: cfg}).DialContext(ctx, network, addr)
			}
		}
		for i, h2 := range []bool{false, true, true, false, false, true} {
			s.h2.Store(h2)
			want := "HTTP/1.1 "
			if h2 {
				want = "HTTP/2.0 "
			}
			body := string(bytes.Repeat([]byte{byte('a' + i)}, 100_000))
			resp, err := tr.RoundTrip(newRequest(t, "POST", s.URL, streamOnly{strings.NewReader(body)}))
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			if got := readAll(t, resp); got != want+body {
				t.Errorf("request %d: %.20q, %d octets", i, got, len(got))
			}
			tr.CloseIdleConnections()
		}
	}
}

// Bursts over HTTP/1.1 use the connections of those before.
func TestHTTP1Bursts(t *testing.T) {
	const burst = 20
	all := make(chan struct{})
	var running atomic.Int32
	s := newALPNServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if running.Add(1)%burst == 0 {
			for range burst - 1 {
				all <- struct{}{}
			}
			return
		}
		<-all
	}))
	tr := &Transport{TLSClientConfig: s.cfg, Proxy: noProxy}
	defer tr.CloseIdleConnections()
	for range 10 {
		var wg sync.WaitGroup
		for range burst {
			wg.Go(func() {
				resp, err := tr.RoundTrip(newRequest(t, "GET", s.URL, nil))
				if err != nil {
					t.Error(err)
					return
				}
				readAll(t, resp)
			})
		}
		wg.Wait()
	}
	if n := s.conns.Load(); n > 2*burst {
		t.Errorf("%d connections for bursts of %d", n, burst)
	}
}
