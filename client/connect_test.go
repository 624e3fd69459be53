package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// offersConnect has a server announce extended CONNECT.
func offersConnect(srv *server.Server) { srv.EnableConnectProtocol = true }

// tunnels is a handler that sends back what comes through a tunnel, after a line about the request.
func tunnels(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "refused.test:443":
			w.Header().Set("Proxy-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you?", http.StatusProxyAuthRequired)
			return
		case "empty.test:443":
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Accepted", "yes")
		tunnel, err := server.AcceptConnect(w)
		if err != nil {
			t.Errorf("AcceptConnect: %v", err)
			return
		}
		fmt.Fprintf(tunnel, "%s %s %s %s\n", r.Host, r.URL.Path, r.Header[":protocol"], r.Header.Get("Accept-Encoding"))
		if r.Host != "over.test:443" {
			_, _ = io.Copy(tunnel, tunnel)
		}
	})
}

func connectTo(t *testing.T, host string) *http.Request {
	req := newRequest(t, http.MethodConnect, testURL, nil)
	req.Host = host
	return req
}

// websocket is an extended CONNECT request.
func websocket(t *testing.T) *http.Request {
	req := newRequest(t, http.MethodConnect, testURL+"/chat", nil)
	req.Header[":protocol"] = []string{"websocket"}
	return req
}

// wantLine reads the line that tunnels sends first.
func wantLine(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want)+1)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != want+"\n" {
		t.Fatalf("the handler saw %q, %v; want %q", b, err, want)
	}
}

// wantEcho sends s through a tunnel and back.
func wantEcho(t *testing.T, rw io.ReadWriter, s string) {
	t.Helper()
	b := make([]byte, len(s))
	if _, err := io.WriteString(rw, s); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rw, b); err != nil || string(b) != s {
		t.Fatalf("%q came back, %v", b, err)
	}
}

func TestConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t), offersConnect)
		tr := s.transport()
		ctx, cancel := context.WithCancel(t.Context())
		tunnel, resp, err := tr.Connect(connectTo(t, "db.test:5432").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Accepted") != "yes" || resp.Body != http.NoBody ||
			resp.ContentLength != -1 {
			t.Errorf("the response is %+v", resp)
		}
		cancel()
		time.Sleep(time.Hour)
		wantLine(t, tunnel, "db.test:5432  [] ")
		wantEcho(t, tunnel, "the context was for the answer only")

		other, _, err := tr.Connect(websocket(t))
		if err != nil {
			t.Fatal(err)
		}
		wantLine(t, other, "example.test /chat [websocket] ")
		if a, b := tunnel.Conn(), other.Conn(); a != b {
			t.Error("two tunnels have two connections")
		}
		if err := tunnel.CloseWrite(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(tunnel); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
		if err := tunnel.Close(); err != nil {
			t.Error(err)
		}
		wantEcho(t, other, "still there")
		if err := other.Abort(frame.ConnectError); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := other.Conn().Stats().Streams; n != 0 {
			t.Errorf("%d streams are open", n)
		}
		s.stop(tr)
	})
}

// Another status is a response with a body, and takes a stream until that is read.
func TestConnectRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t))
		tr := s.transport()
		for _, host := range []string{"refused.test:443", "empty.test:443"} {
			tunnel, resp, err := tr.Connect(connectTo(t, host))
			if err != nil || tunnel != nil {
				t.Fatal(tunnel, err)
			}
			got := resp.Status + " " + resp.Header.Get("Proxy-Authenticate") + " " + readAll(t, resp)
			want := "407 Proxy Authentication Required Basic realm=\"test\" who are you?\n"
			if host == "empty.test:443" {
				want = "502 Bad Gateway  "
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		synctest.Wait()
		if st := tr.Stats(); st.Conns != 1 {
			t.Errorf("%d connections", st.Conns)
		}
		s.stop(tr)
	})
}

// A CONNECT request that the server has not processed is sent again.
func TestConnectRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.MaxAttempts = 3 })
		k := startConnect(connectTo(t, "db.test:1"), f.tr.Connect)
		p := f.accept()
		p.request()
		p.send(h2test.RST(1, frame.RefusedStream))
		p.request()
		p.send(h2test.GoAway(1, frame.NoError, ""))
		p = f.accept()
		p.request()
		p.send(h2test.Response(1, 200).End())
		_ = k.opened(t).Close()
		if n := f.tr.Stats().Retries; n != 2 {
			t.Errorf("%d retries", n)
		}
		f.close()
	})
}

// A pool's stream is free again when the tunnel is closed.
func TestConnectTakesSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t), func(srv *server.Server) { srv.MaxConcurrentStreams = 2 })
		tr := s.transport(func(tr *Transport) { tr.MaxConnsPerHost = 1 })
		first := startConnect(connectTo(t, "a.test:1"), tr.Connect).opened(t)
		wantLine(t, first, "a.test:1  [] ")
		second := startConnect(connectTo(t, "b.test:1"), tr.Connect).opened(t)
		third := startConnect(connectTo(t, "over.test:443"), tr.Connect)
		third.wantWaiting(t, "two tunnels are open")
		_ = first.Close()
		wantLine(t, third.opened(t), "over.test:443  [] ")
		_ = second.Close()
		_ = third.tunnel.Close()
		synctest.Wait()
		s.stop(tr)
	})
}

// Of many tunnels none has a goroutine of the client, and none is left after the server has closed.
func TestManyTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t))
		tr := s.transport()
		var all []*conn.Tunnel
		for range 600 {
			tunnel := startConnect(connectTo(t, "a.test:1"), tr.Connect).opened(t)
			wantLine(t, tunnel, "a.test:1  [] ")
			all = append(all, tunnel)
		}
		for _, tunnel := range all {
			wantEcho(t, tunnel, "ping")
		}
		if n := tr.Stats().Conns; n != 3 {
			t.Errorf("600 tunnels have %d connections", n)
		}
		s.stop(tr) // while they are open
		for _, tunnel := range all {
			if _, err := tunnel.Read(make([]byte, 1)); err == nil {
				t.Fatal("a tunnel has outlived its server")
			}
			_ = tunnel.Close()
		}
	})
}

// As with net/http: the request's body goes one way, the response's the other.
func TestRoundTripConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t), offersConnect)
		tr := s.transport()
		for _, req := range []*http.Request{connectTo(t, "db.test:5432"), websocket(t)} {
			up, upEnd := io.Pipe()
			req.Body = up
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			line := "db.test:5432  [] "
			if req.Host == "example.test" {
				line = "example.test /chat [websocket] "
			}
			wantLine(t, resp.Body, line)
			wantEcho(t, struct {
				io.Reader
				io.Writer
			}{resp.Body, upEnd}, "both ways")
			_ = upEnd.Close()
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				t.Errorf("after the end: %q, %v", rest, err)
			}
			_ = resp.Body.Close()
		}
		s.stop(tr)
	})
}

// ClientConn.Connect is the same on one connection, and Configure's Transport uses what net/http
// has dialled.
func TestConnectElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, tunnels(t))
		nc, err := s.l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		tr := s.transport()
		cc, err := tr.NewClientConn(nc)
		if err != nil {
			t.Fatal(err)
		}
		tunnel := startConnect(connectTo(t, "a.test:1"), cc.Connect).opened(t)
		wantLine(t, tunnel, "a.test:1  [] ")
		_ = tunnel.Close()
		startConnect(websocket(t), cc.Connect).wantErr(t, "not offered", ErrNoConnectProtocol)
		if err := cc.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := startConnect(connectTo(t, "a.test:1"), cc.Connect); err != nil {
			<-err.done
			var e *Error
			if !errors.As(err.err, &e) || !e.Unprocessed {
				t.Errorf("on a connection that is closed: %v", err.err)
			}
		}

		t1 := &http.Transport{DialContext: s.l.Dial, Protocols: h2cOnly(), Proxy: noProxy}
		t2, err := Configure(t1)
		if err != nil {
			t.Fatal(err)
		}
		tunnel = startConnect(connectTo(t, "a.test:1"), t2.Connect).opened(t)
		wantLine(t, tunnel, "a.test:1  [] ")
		_ = tunnel.Close()
		startConnect(websocket(t), t2.Connect).wantErr(t, "net/http does not refuse it before us", ErrNoConnectProtocol)
		synctest.Wait()
		t1.CloseIdleConnections()
		s.stop(tr)
	})
}

func TestConnectChecksRequest(t *testing.T) {
	ask := func(change func(*http.Request)) error {
		req := connectTo(t, "db.test:5432")
		change(req)
		_, _, err := new(Transport).Connect(req)
		return err
	}
	for want, change := range map[string]func(*http.Request){
		`http2: Connect with method "GET"`: func(r *http.Request) { r.Method = "GET" },
		"http2: Connect with a Request.Body": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("x"))
		},
		`http2: CONNECT to "db.test", which is not "host:port"`:  func(r *http.Request) { r.Host = "db.test" },
		`http2: CONNECT to "db.test:", which is not "host:port"`: func(r *http.Request) { r.Host = "db.test:" },
		"http: nil Request.URL":                                  func(r *http.Request) { r.URL = nil },
		"http2: the server speaks HTTP/1.1":                      func(r *http.Request) {},
	} {
		if err := ask(change); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
