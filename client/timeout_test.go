//go:build !nethttpomithttp2

package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// What http.Client says of its Timeout is said of each request, whichever of its two timers goes
// off first: while the head is awaited, while the body is read, and over HTTP/1.1 too. In a bubble
// both go off at the same moment, in any order.
func TestClientTimeoutText(t *testing.T) {
	own := func(s *testServer) http.RoundTripper { return s.transport() }
	http1 := func(s *testServer) http.RoundTripper {
		return s.transport(func(t *Transport) { t.Protocols = nil })
	}
	for name, transport := range map[string]func(*testServer) http.RoundTripper{
		"HTTP/2": own, "HTTP/1.1": http1, "Configure": nil,
	} {
		for _, path := range []string{"/head", "/body"} {
			t.Run(name+path, func(t *testing.T) {
				if name == "HTTP/1.1" && testKind == memconn.TLS {
					t.Skip("the TLS of these connections has chosen HTTP/2")
				}
				synctest.Test(t, func(t *testing.T) { clientTimeoutText(t, transport, path) })
			})
		}
	}
}

// clientTimeoutText is one case of TestClientTimeoutText; without transport it is that of a
// configured http.Transport over TLS.
func clientTimeoutText(t *testing.T, transport func(*testServer) http.RoundTripper, path string) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			return
		case "/body":
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	})
	u := testURL
	var s *testServer
	var rt http.RoundTripper
	if transport != nil {
		s = newTestServer(t, h)
		rt = transport(s)
	} else {
		var t1 *http.Transport
		s, t1 = newConfiguredTransport(t, h)
		u, rt = "https://example.test", t1
	}
	// A connection that net/http itself must dial first, under Configure, has its own race.
	if resp, err := (&http.Client{Transport: rt}).Get(u + "/"); err != nil {
		t.Fatal(err)
	} else {
		_ = resp.Body.Close()
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			resp, err := (&http.Client{Transport: rt, Timeout: 300 * time.Millisecond}).Get(u + path)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			var ne net.Error
			switch {
			case err == nil || !strings.Contains(err.Error(), "(Client.Timeout ") || !errors.As(err, &ne) || !ne.Timeout():
				t.Errorf("%v", err)
			case transport != nil && !strings.Contains(err.Error(), context.DeadlineExceeded.Error()):
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	s.stop(nil)
}

// newConfiguredTransport returns a server over TLS, and an http.Transport that Configure was called
// for.
func newConfiguredTransport(t *testing.T, h http.Handler) (*testServer, *http.Transport) {
	t.Helper()
	needsNoSockets(t)
	srvTLS, cliTLS := testTLS(t)
	s := &testServer{
		t: t, l: memconn.Listen(testLink), srv: &server.Server{Handler: h, TLSConfig: srvTLS},
		served: make(chan error, 1),
	}
	go func() { s.served <- s.srv.ServeTLS(s.l, "", "") }() // ends with stop
	t1 := &http.Transport{DialContext: s.l.Dial, TLSClientConfig: cliTLS}
	if _, err := Configure(t1); err != nil {
		t.Fatal(err)
	}
	return s, t1
}

// The error of the response header timeout says that it is a timeout.
func TestHeaderTimeoutIsTimeout(t *testing.T) {
	release := make(chan struct{})
	u := newTCPServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	tr := &Transport{Protocols: h2cOnly(), Proxy: noProxy, ResponseHeaderTimeout: 20 * time.Millisecond}
	defer tr.CloseIdleConnections()
	_, err := (&http.Client{Transport: tr}).Get(u)
	var ue *url.Error
	if !errors.As(err, &ue) || !ue.Timeout() || !ue.Temporary() || !os.IsTimeout(err) {
		t.Errorf("%v is no timeout", err)
	}
}

// A request for WebSocket goes over HTTP/1.1, as in net/http, and its response's body is written
// to, too.
func TestWebSocketUpgrade(t *testing.T) {
	srvTLS, cliTLS := testTLS(t)
	l := listenTCP(t)
	srv := &http.Server{TLSConfig: srvTLS, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})}
	done := make(chan error)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	defer func() { _ = srv.Close(); <-done }()
	for name, rt := range map[string]http.RoundTripper{
		"sluice":   &Transport{TLSClientConfig: cliTLS, Proxy: noProxy},
		"net/http": &http.Transport{TLSClientConfig: cliTLS.Clone(), ForceAttemptHTTP2: true},
	} {
		t.Run(name, func(t *testing.T) {
			hc := http.Client{Transport: rt}
			defer hc.CloseIdleConnections()
			u := "https://" + l.Addr().String()
			resp, err := hc.Get(u) // the host is known to speak HTTP/2
			if err != nil || resp.ProtoMajor != 2 {
				t.Fatal(resp, err)
			}
			_ = resp.Body.Close()
			req := newRequest(t, "GET", u, nil)
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "websocket")
			resp, err = hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			rw, ok := resp.Body.(io.ReadWriteCloser)
			if !ok || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%s, %T", resp.Status, resp.Body)
			}
			_, _ = io.WriteString(rw, "hello\n")
			if line, err := bufio.NewReader(rw).ReadString('\n'); line != "echo hello\n" || err != nil {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
}
