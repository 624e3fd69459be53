//go:build !nethttpomithttp2

package client

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A spare that the server has closed in the meantime is not given to a request; one that is open
// is, and works.
func TestSpareThatWasClosed(t *testing.T) {
	ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer ts.Close()
	var s http1State
	defer s.closeIdle()
	key := Key{Scheme: "https", Addr: ts.Listener.Addr().String()}
	put := func() net.Conn {
		t.Helper()
		nc, err := tls.Dial("tcp", key.Addr, ts.Client().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		s.putSpare(key, nc)
		s.mu.Lock()
		defer s.mu.Unlock()
		list := s.spares[key]
		list[len(list)-1].made = time.Now().Add(-time.Minute)
		list[len(list)-1].timer.Stop() // so that a slow machine does not lose it
		return nc
	}
	closed := put()
	ts.CloseClientConnections()
	for deadline := time.Now().Add(time.Minute); isOpen(closed) && time.Now().Before(deadline); {
		<-time.After(time.Millisecond)
	}
	open := put()
	nc := s.takeSpare(key)
	if nc != open {
		t.Fatalf("the spare is %p, want %p, the one that is open", nc, open)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET / HTTP/1.0\r\nHost: example.test\r\n\r\n")
	if b, err := io.ReadAll(nc); len(b) < 2 || string(b[len(b)-2:]) != "ok" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if nc := s.takeSpare(key); nc != nil {
		t.Errorf("there is another: %p", nc)
	}
}

// TestHTTP1Eviction: a transport of net/http that makes room for others ends no request, and leaves
// no connection behind.
func TestHTTP1Eviction(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	closed := make(chan struct{}, 1)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "ok")
	}))
	ts.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	ts.StartTLS()
	defer ts.Close()
	tr := &Transport{Proxy: noProxy, TLSClientConfig: ts.Client().Transport.(*http.Transport).TLSClientConfig}
	defer tr.CloseIdleConnections()
	got := make(chan string, 1)
	go func() {
		resp, err := tr.RoundTrip(newRequest(t, "GET", ts.URL, nil))
		if err != nil {
			got <- err.Error()
			return
		}
		b, err := io.ReadAll(resp.Body)
		got <- fmt.Sprintf("%s %v", b, err)
	}()
	<-begun
	for i := range 2 * maxHTTP1 {
		tr.http1For(&Target{Key: Key{Scheme: "https", Proxy: fmt.Sprint("http://proxy.test:", i)}, t: tr}, false)
	}
	if n := len(tr.h1.transports); n != maxHTTP1 {
		t.Errorf("there are %d transports, want %d", n, maxHTTP1)
	}
	close(release)
	if s := <-got; s != "ok <nil>" {
		t.Error(s)
	}
	if tr.h1.isCurrent(http1Key{}, nil) {
		<-closed // the transport was evicted, and its connection closed
	}
}
