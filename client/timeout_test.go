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
	"time"
)

// What http.Client says of its Timeout is said of each request, whichever of its two timers goes
// off first: while the head is awaited, while the body is read, and over HTTP/1.1 too.
func TestClientTimeoutText(t *testing.T) {
	release := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			return
		case "/body":
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	u := newTCPServer(t, h)
	secure, t1, _ := tlsSite(t, h)
	if _, err := Configure(t1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(release) })
	for _, tt := range []struct {
		name, url string
		rt        http.RoundTripper
	}{
		{"HTTP/2", u, &Transport{Protocols: h2cOnly(), Proxy: noProxy}},
		{"HTTP/1.1", u, &Transport{Proxy: noProxy}},
		{"Configure", secure, t1},
	} {
		// A connection that net/http itself must dial first, under Configure, has its own race.
		if resp, err := (&http.Client{Transport: tt.rt}).Get(tt.url + "/"); err != nil {
			t.Fatal(err)
		} else {
			_ = resp.Body.Close()
		}
		for _, path := range []string{"/head", "/body"} {
			t.Run(tt.name+path, func(t *testing.T) {
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						resp, err := (&http.Client{Transport: tt.rt, Timeout: 300 * time.Millisecond}).Get(tt.url + path)
						if err == nil {
							_, err = io.ReadAll(resp.Body)
							_ = resp.Body.Close()
						}
						var ne net.Error
						if err == nil || !strings.Contains(err.Error(), "(Client.Timeout ") || !errors.As(err, &ne) || !ne.Timeout() {
							t.Errorf("%v", err)
						} else if tt.rt != t1 && !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
							t.Errorf("%v", err)
						}
					})
				}
				wg.Wait()
			})
		}
		tt.rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
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
