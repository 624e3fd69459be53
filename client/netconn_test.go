//go:build !nethttpomithttp2

package client

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
)

// userConn is what a dial function of the application has made.
type userConn struct{ net.Conn }

// newTLSPair starts a server of net/http over TLS that speaks HTTP/2, or without h2 HTTP/1.1 only.
// It returns the server's URL and a Transport that dials with dial, nil for the default.
func newTLSPair(
	t *testing.T, h2 bool, h http.HandlerFunc, dial func(ctx context.Context, network, addr string) (net.Conn, error),
) (url string, tr *Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	tr = &Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is of this test
		DialContext:     dial,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return srv.URL, tr
}

func answerNothing(http.ResponseWriter, *http.Request) {}

// getWith sends a GET with the hooks of ctx.
func getWith(ctx context.Context, t *testing.T, tr *Transport, u string) *http.Response {
	t.Helper()
	resp, err := tr.RoundTrip(newRequest(t, http.MethodGet, u, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Below TLS callbacks see what the dial function gave, over both protocols.
func TestTraceSeesDialedConn(t *testing.T) {
	for _, h2 := range []bool{true, false} {
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &userConn{nc}, err
		}
		url, tr := newTLSPair(t, h2, answerNothing, dial)
		var got net.Conn
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { got = i.Conn },
		})
		resp := getWith(ctx, t, tr, url)
		_ = resp.Body.Close()
		if (resp.ProtoMajor == 2) != h2 {
			t.Errorf("the protocol is %s", resp.Proto)
		}
		tc, ok := got.(*tls.Conn)
		if !ok {
			t.Fatalf("GotConn sees a %T", got)
		}
		if _, ok := tc.NetConn().(*userConn); !ok {
			t.Errorf("%s: below TLS is a %T", resp.Proto, tc.NetConn())
		}
	}
}

// A request whose hooks are given the connection sees what the dial function gave, also behind
// requests without hooks, and what those have begun goes on. From then on one connection serves
// both.
func TestTraceSeesDialedConnLater(t *testing.T) {
	release := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if r.URL.Path == "/slow" {
			_ = http.NewResponseController(w).Flush()
			<-release
			_, _ = io.WriteString(w, "whole")
		}
	}
	var dials atomic.Int32
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	url, tr := newTLSPair(t, true, handler, dial)
	slow := getWith(t.Context(), t, tr, url+"/slow")
	var seen []httptrace.GotConnInfo
	traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { seen = append(seen, i) },
	})
	for range 3 {
		_ = getWith(traced, t, tr, url).Body.Close()
	}
	_ = getWith(t.Context(), t, tr, url).Body.Close()
	for i, info := range seen {
		tc, ok := info.Conn.(*tls.Conn)
		if !ok {
			t.Fatalf("GotConn sees a %T", info.Conn)
		}
		if _, ok := tc.NetConn().(*net.TCPConn); !ok {
			t.Errorf("request %d: below TLS is a %T", i, tc.NetConn())
		}
		if info.Reused != (i > 0) {
			t.Errorf("request %d: reused %v", i, info.Reused)
		}
	}
	close(release)
	if b, err := io.ReadAll(slow.Body); err != nil || string(b) != "whole" {
		t.Errorf("the request before got %q, %v", b, err)
	}
	_ = slow.Body.Close()
	if n := dials.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// With a limit of connections, or a pool of the application's, no other connection could be had for
// a request with a hook, so that each of them is one that can be shown.
func TestTraceWithOneConnection(t *testing.T) {
	url, tr := newTLSPair(t, true, answerNothing, nil)
	tr.MaxConnsPerHost = 1
	var seen []httptrace.GotConnInfo
	for _, ctx := range []context.Context{
		t.Context(),
		httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { seen = append(seen, i) },
		}),
	} {
		resp := getWith(ctx, t, tr, url)
		_ = resp.Body.Close()
	}
	if len(seen) != 1 || !seen[0].Reused {
		t.Fatalf("%+v", seen)
	}
	if tc, ok := seen[0].Conn.(*tls.Conn); !ok || hidesConn(tc) {
		t.Errorf("GotConn sees a %T", seen[0].Conn)
	}
}
