package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// tlsSite is a server of ours on loopback with TLS.
func tlsSite(t *testing.T, h http.Handler) (u string, trusted *http.Transport, own *Transport) {
	t.Helper()
	srvTLS, cliTLS := testTLS(t)
	l := listenTCP(t)
	srv := &server.Server{Handler: h, TLSConfig: srvTLS}
	done := make(chan error)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	t1 := &http.Transport{TLSClientConfig: cliTLS.Clone()}
	own = &Transport{TLSClientConfig: cliTLS, Proxy: noProxy}
	t.Cleanup(func() {
		t1.CloseIdleConnections()
		own.CloseIdleConnections()
		_ = srv.Close()
		<-done
	})
	return "https://" + l.Addr().String(), t1, own
}

func TestConfigureTLS(t *testing.T) {
	u, t1, _ := tlsSite(t, http.HandlerFunc(echoHandler))
	t2, err := Configure(t1)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(t1.TLSClientConfig.NextProtos); got != "[h2 http/1.1]" {
		t.Errorf("NextProtos %v", got)
	}
	var wg sync.WaitGroup
	for i, rt := range []http.RoundTripper{t1, t2, t1, t1} {
		wg.Go(func() {
			want := fmt.Sprint("body ", i)
			resp, err := rt.RoundTrip(newRequest(t, "POST", u, strings.NewReader(want)))
			if err != nil {
				t.Error(err)
				return
			}
			if got := readAll(t, resp); got != want || resp.ProtoMajor != 2 || resp.TLS == nil {
				t.Errorf("%q, %v, TLS %v", got, resp.Proto, resp.TLS)
			}
		})
		if i == 1 {
			wg.Wait()
		}
	}
	wg.Wait()
	if s := t2.Stats(); s.Requests != 4 || s.Conns < 1 {
		t.Errorf("%+v", s)
	}
	t1.CloseIdleConnections() // must reach our pool
	if n := poolSize(t2); n != 0 {
		t.Errorf("%d connections after CloseIdleConnections", n)
	}
}

func TestConfigureTwice(t *testing.T) {
	t1 := &http.Transport{}
	if _, err := Configure(t1); err != nil {
		t.Fatal(err)
	}
	if _, err := Configure(t1); err == nil {
		t.Error("the second Configure did not fail")
	}
	if _, err := Configure(nil); err == nil {
		t.Error("Configure(nil) did not fail")
	}
}

// A connection that is lost, or full, or about to go is not used again.
func TestConfigureNewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
		t2, err := Configure(t1)
		if err != nil {
			t.Fatal(err)
		}
		get := func() *result { return startOn(t, t1, newRequest(t, "GET", testURL, nil)) }
		one := get()
		p := f.accept(maxStreams(1))
		p.request()
		synctest.Wait()
		two := get() // p is full
		q := f.accept()
		q.send(h2test.Response(q.request().StreamID, 204).End())
		two.response()
		p.send(h2test.Response(1, 204).End(), h2test.GoAway(1, frame.NoError, ""))
		one.response()
		q.send(h2test.GoAway(1, frame.NoError, ""))
		synctest.Wait()
		post := startOn(t, t1, newRequest(t, "POST", testURL, strings.NewReader("body")))
		r := f.accept()
		r.request()
		r.send(h2test.GoAway(0, frame.NoError, "")) // not processed: to be sent again with its body
		s := f.accept()
		h := s.nextRequest()
		if h.Get("content-length") != "4" {
			t.Errorf("request %+v", h)
		}
		s.send(h2test.Response(h.StreamID, 204).End())
		post.response()
		if n := t2.Stats().ConnsOpened; n != 4 {
			t.Errorf("%d connections", n)
		}
		t1.CloseIdleConnections()
		f.close()
		for _, p := range []*peer{p, q, r, s} {
			_ = p.nc.Close()
		}
	})
}

// Of the connections that net/http has dialled for requests that begin at once those stay that were
// used.
func TestConfigureUnusedConnections(t *testing.T) {
	for _, streams := range []int{100, 10} {
		synctest.Test(t, func(t *testing.T) {
			const requests = 20
			type connKey struct{}
			var here atomic.Int64
			var used sync.Map // the server's side of each connection that a request came on
			all := make(chan struct{})
			s := newTestServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				used.Store(r.Context().Value(connKey{}), true)
				if here.Add(1) == requests {
					close(all)
				}
				<-all
			}), func(srv *server.Server) {
				srv.MaxConcurrentStreams = streams
				srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
					return context.WithValue(ctx, connKey{}, nc)
				}
			})
			t1 := &http.Transport{
				Protocols: h2cOnly(),
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					time.Sleep(time.Millisecond) // all requests are there when the first connection is
					return s.l.Dial(ctx, network, addr)
				},
			}
			t2, err := Configure(t1)
			if err != nil {
				t.Fatal(err)
			}
			var calls []*result
			for range requests {
				calls = append(calls, startOn(t, t1, newRequest(t, "GET", testURL, nil)))
			}
			for _, r := range calls {
				r.response()
			}
			if n := t2.Stats().Conns; n < requests {
				t.Errorf("net/http has dialled %d connections for %d requests: what is this test for?", n, requests)
			}
			time.Sleep(2 * unusedTime)
			synctest.Wait()
			// net/http gives a connection to the first request that waits, before others can see
			// it: how many are used is chance.
			carried := 0
			used.Range(func(_, _ any) bool { carried++; return true })
			if n := t2.Stats().Conns; n != carried || n < requests/streams {
				t.Errorf(
					"%d connections are kept of %d that carried %d requests, %d streams on each",
					n,
					carried,
					requests,
					streams,
				)
			}
			dialled := t2.Stats().ConnsOpened
			startOn(t, t1, newRequest(t, "GET", testURL, nil)).response()
			if n := t2.Stats().ConnsOpened - dialled; n != 0 {
				t.Errorf("%d more connections for one more request", n)
			}
			t1.CloseIdleConnections()
			s.stop(nil)
		})
	}
}

// http.Transport.NewClientConn works.
func TestConfigureNewClientConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		cc, err := t1.NewClientConn(t.Context(), "http", "example.test:80")
		if err != nil {
			t.Fatal(err)
		}
		p := f.accept(maxStreams(2))
		synctest.Wait()
		var changes atomic.Int32
		cc.SetStateHook(func(*http.ClientConn) { changes.Add(1) })
		if cc.Available() != 2 || cc.InFlight() != 0 || cc.Err() != nil {
			t.Errorf("%d, %d, %v", cc.Available(), cc.InFlight(), cc.Err())
		}
		if err := cc.Reserve(); err != nil || cc.Available() != 1 || cc.InFlight() != 1 {
			t.Errorf("Reserve: %v", err)
		}
		one := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		two := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		three := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		p.request()
		p.request()
		three.wantWaiting("no stream is free")
		synctest.Wait()
		before := changes.Load()
		p.send(h2test.Response(1, 204).End(), h2test.Response(3, 204).End())
		p.send(h2test.Response(p.request().StreamID, 204).End())
		for _, r := range []*result{one, two, three} {
			r.response()
		}
		synctest.Wait()
		if changes.Load() == before {
			t.Error("the hook was not called")
		}
		before = changes.Load()
		_ = p.nc.Close()
		synctest.Wait()
		if cc.Err() == nil || changes.Load() == before || cc.Available() != 0 {
			t.Errorf("lost: %v, %d calls of the hook", cc.Err(), changes.Load()-before)
		}
		_ = cc.Close()
		f.close()
	})
}

// A server that speaks HTTP/1.1 only is left to net/http, which is asked at once the next time.
func TestHTTP1(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Proto, b)
	}))
	ts.StartTLS()
	defer ts.Close()
	tr := &Transport{TLSClientConfig: ts.Client().Transport.(*http.Transport).TLSClientConfig, Proxy: noProxy}
	defer tr.CloseIdleConnections()
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "POST", ts.URL, streamOnly{strings.NewReader("body")}))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "HTTP/1.1 body" {
			t.Errorf("%q", got)
		}
	}
	if n := tr.Stats().Dials; n != 1 {
		t.Errorf("asked %d times for HTTP/2", n)
	}
	only := &Transport{TLSClientConfig: tr.TLSClientConfig, Proxy: noProxy, Protocols: new(http.Protocols)}
	only.Protocols.SetHTTP2(true)
	spy := &spyBody{Reader: strings.NewReader("x")}
	if _, err := only.RoundTrip(newRequest(t, "POST", ts.URL, spy)); err == nil || spy.closes != 1 {
		t.Errorf("without HTTP/1.1: %v, closed %d", err, spy.closes)
	}
	plain := httptest.NewServer(ts.Config.Handler)
	defer plain.Close()
	resp, err := tr.RoundTrip(newRequest(t, "GET", plain.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "HTTP/1.1 " {
		t.Errorf("http URL: %q", got)
	}
}

// HTTP_1_1_REQUIRED has the request sent with HTTP/1.1 (RFC 9113 §7).
func TestHTTP11Required(t *testing.T) {
	t.Run("a body in memory", func(t *testing.T) { http11Required(t, strings.NewReader("body"), nil) })
	t.Run("a stream", func(t *testing.T) { http11Required(t, streamOnly{strings.NewReader("body")}, nil) })
	b := &gatedBody{data: []byte("body"), first: 2, gate: make(chan struct{})}
	t.Run("a stream that is being read", func(t *testing.T) { http11Required(t, b, func() { close(b.gate) }) })
}

// http11Required sends a request that is refused when some of its body has come, after which goOn
// is called.
func http11Required(t *testing.T, requestBody io.Reader, goOn func()) {
	srvTLS, cliTLS := testTLS(t)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Proto, b)
	}))
	ts.TLS = srvTLS
	ts.StartTLS()
	defer ts.Close()
	f := newTestDialer(t)
	defer f.close()
	tr := f.tr
	tr.Protocols, tr.TLSClientConfig, tr.DialContext = nil, cliTLS, nil
	u, _ := url.Parse(ts.URL)
	target := &Target{Key: Key{Scheme: "https", Addr: u.Host}, t: tr}
	tr.init()
	nc, _ := f.l.Dial(t.Context(), "", "")
	cc := tr.newClientConn(nc, target.Key)
	tr.once.ownPool.mu.Lock()
	tr.once.ownPool.addLocked(tr.once.ownPool.groupLocked(target), cc)
	tr.once.ownPool.mu.Unlock()
	p := f.accept()
	r := f.start(newRequest(t, "POST", ts.URL, requestBody))
	id := p.request().StreamID
	p.next() // of the body
	p.send(h2test.RST(id, frame.HTTP11Required))
	if goOn != nil {
		goOn()
	}
	if got := readAll(t, r.response()); got != "HTTP/1.1 body" {
		t.Errorf("%q", got)
	}
	tr.CloseIdleConnections()
	_ = p.nc.Close()
}

// A window that was configured stays, the others grow.
func TestGrowthOfWindows(t *testing.T) {
	for _, tt := range []struct {
		name string
		t    *Transport
		want int
	}{
		{"default", &Transport{}, 16 << 20},
		{"off", &Transport{MaxReceiveBufferGrowth: -1}, -1},
		{"stream chosen", &Transport{MaxReceiveBufferPerStream: 1}, 0},
		{"connection chosen", &Transport{MaxReceiveBufferPerConnection: 1}, 0},
		{"chosen by net/http's field", &Transport{HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 1}}, 0},
		{"both chosen", &Transport{MaxReceiveBufferPerStream: 1, MaxReceiveBufferGrowth: 7}, 7},
	} {
		if got := tt.t.connConfig().MaxReceiveBufferGrowth; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
