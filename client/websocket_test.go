package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// upgradeRequest is that of RFC 6455 §1.3, with the spelling that gorilla/websocket uses.
func upgradeRequest(t *testing.T, url string) *http.Request {
	req := newRequest(t, http.MethodGet, url, nil)
	req.Header["Connection"] = []string{"Upgrade"}
	req.Header["Upgrade"] = []string{"websocket"}
	req.Header["Sec-WebSocket-Key"] = []string{"dGhlIHNhbXBsZSBub25jZQ=="}
	req.Header["Sec-WebSocket-Version"] = []string{"13"}
	req.Header["Sec-WebSocket-Protocol"] = []string{"chat"}
	return req
}

// upgrades is a handler of HTTP/1.1 that switches protocols, and sends a line and all that comes.
var upgrades = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-WebSocket-Key") == "" || r.Header.Get("Sec-WebSocket-Version") != "13" {
		http.Error(w, "no WebSocket", http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/refused" {
		http.Error(w, "not you", http.StatusForbidden)
		return
	}
	nc, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer nc.Close()
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: chat\r\n\r\n%s %s\n",
		webSocketAccept(r.Header.Get("Sec-WebSocket-Key")), r.Host, r.URL.Path)
	_, _ = io.Copy(nc, brw)
})

// wantSwitch compares a response with that of RFC 6455 §1.3, and uses it.
func wantSwitch(t *testing.T, resp *http.Response, err error, line string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != 101 || resp.Status != "101 Switching Protocols" || resp.Proto != "HTTP/1.1" ||
		!strings.EqualFold(h.Get("Connection"), "Upgrade") || h.Get("Upgrade") != "websocket" ||
		h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || h.Get("Sec-WebSocket-Protocol") != "chat" ||
		resp.Request.Method != http.MethodGet || resp.ContentLength != 0 {
		t.Errorf("the response is %+v", resp)
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T", resp.Body)
	}
	wantLine(t, rwc, line)
	wantEcho(t, rwc, "ping")
	wantEcho(t, rwc, "pong")
}

// With WebSocketHTTP2 a request with Upgrade shares the connection of others.
func TestWebSocketHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, server.WebSocket(upgrades))
		tr := s.transport(func(tr *Transport) { tr.WebSocketHTTP2 = true })
		for range 2 {
			req := upgradeRequest(t, testURL+"/chat")
			resp, err := tr.RoundTrip(req)
			if err == nil && resp.Request != req {
				t.Error("Response.Request is another request")
			}
			wantSwitch(t, resp, err, "example.test /chat")
			if tunnel, ok := resp.Body.(*conn.Tunnel); !ok {
				t.Errorf("the body is a %T", resp.Body)
			} else if err := tunnel.SetDeadline(time.Now()); err == nil {
				t.Error("the body is not closed")
			}
		}
		resp, err := tr.RoundTrip(upgradeRequest(t, testURL+"/refused"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || string(body) != "not you\n" || err != nil {
			t.Errorf("a refusal is %d %q, %v", resp.StatusCode, body, err)
		}
		if n := tr.Stats().Dials; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		s.stop(tr)
	})
}

// What is sent is what RFC 8441 §5.1 has, and what is no WebSocket is not translated.
func TestWebSocketHTTP2Frames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.WebSocketHTTP2 = true })
		done := make(chan struct{})
		go func() {
			defer close(done)
			resp, err := f.tr.RoundTrip(upgradeRequest(t, testURL+"/chat"))
			wantSwitch(t, resp, err, "hello")
		}()
		p := f.accept(frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1})
		got := h2test.Text{}.Line(p.request())
		for _, want := range []string{
			":method=CONNECT", ":scheme=http", ":authority=example.test", ":path=/chat", ":protocol=websocket",
			"sec-websocket-version=13", "sec-websocket-protocol=chat",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q lacks %q", got, want)
			}
		}
		for _, bad := range []string{"key", "upgrade", "connection=", "END_STREAM", "content-length"} {
			if strings.Contains(got, bad) {
				t.Errorf("%q has %q", got, bad)
			}
		}
		p.send(h2test.Response(1, 200, "sec-websocket-protocol: chat"), h2test.Data(1, "hello\nping"))
		synctest.Wait()
		p.send(h2test.Data(1, "pong"))
		<-done
	})
}

// Without RFC 8441 a server that does not speak HTTP/1.1 cannot be asked.
func TestWebSocketHTTP2NotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, upgrades)
		tr := s.transport(func(tr *Transport) { tr.WebSocketHTTP2 = true })
		if _, err := tr.RoundTrip(upgradeRequest(t, testURL)); !errors.Is(err, ErrNoConnectProtocol) {
			t.Errorf("the error is %v, want ErrNoConnectProtocol", err)
		}
		s.stop(tr)
	})
}

// origins are servers of TLS by what they speak.
func origins(t *testing.T) (urls map[string]string, trusted *Transport) {
	srvTLS, cliTLS := testTLS(t)
	urls = make(map[string]string)
	for name, h := range map[string]http.Handler{"RFC 8441": server.WebSocket(upgrades), "HTTP/2": upgrades} {
		srv := &server.Server{Handler: h, TLSConfig: srvTLS}
		l := listenTCP(t)
		go func() { _ = srv.ServeTLS(l, "", "") }() // ends with the test
		t.Cleanup(func() { srv.Close() })
		urls[name] = "https://" + l.Addr().String()
	}
	for name, h2 := range map[string]bool{"HTTP/2 of net/http": true, "HTTP/1.1": false} {
		if h2 && !netHTTPHasHTTP2 {
			continue
		}
		ts := httptest.NewUnstartedServer(upgrades)
		ts.TLS, ts.EnableHTTP2 = srvTLS.Clone(), h2
		ts.StartTLS()
		t.Cleanup(ts.Close)
		urls[name] = ts.URL
	}
	return urls, &Transport{TLSClientConfig: cliTLS, Proxy: noProxy}
}

// A request with Upgrade goes over HTTP/1.1 as with net/http, and over HTTP/2 where both sides want
// that.
func TestWebSocketOverTLS(t *testing.T) {
	urls, base := origins(t)
	ours := func(http2 bool) http.RoundTripper {
		tr := base.Clone()
		tr.WebSocketHTTP2 = http2
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	configured := func(ask bool) http.RoundTripper {
		t1 := &http.Transport{TLSClientConfig: base.TLSClientConfig.Clone()}
		tr, err := Configure(t1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tr.CloseIdleConnections)
		tr.WebSocketHTTP2 = ask
		if ask {
			return tr
		}
		return t1
	}
	transports := map[string]http.RoundTripper{
		"asks": ours(true), "does not ask": ours(false), "configured, asks": configured(true),
		"configured": configured(false),
		"net/http":   &http.Transport{TLSClientConfig: base.TLSClientConfig.Clone(), ForceAttemptHTTP2: true},
	}
	for origin, url := range urls {
		for name, tr := range transports {
			t.Run(origin+"/"+name, func(t *testing.T) {
				for range 3 {
					other, err := tr.RoundTrip(newRequest(t, http.MethodGet, url, nil))
					if err != nil {
						t.Fatal(err)
					}
					other.Body.Close()
					resp, err := tr.RoundTrip(upgradeRequest(t, url+"/chat"))
					wantSwitch(t, resp, err, strings.TrimPrefix(url, "https://")+" /chat")
					http2 := resp.TLS != nil && resp.TLS.NegotiatedProtocol == "h2"
					want := origin == "RFC 8441" && (name == "asks" || name == "configured, asks")
					if http2 != want {
						t.Errorf("over HTTP/2: %t, want %t", http2, want)
					}
				}
			})
		}
	}
}

// httputil.ReverseProxy carries WebSockets on our Transport, from HTTP/1.1 and from HTTP/2.
func TestWebSocketReverseProxy(t *testing.T) {
	urls, base := origins(t)
	for origin, target := range urls {
		for _, back := range []bool{false, true} {
			for _, front := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/HTTP2 %t/from HTTP2 %t", origin, back, front), func(t *testing.T) {
					to, err := url.Parse(target)
					if err != nil {
						t.Fatal(err)
					}
					tr := base.Clone()
					tr.WebSocketHTTP2 = back
					defer tr.CloseIdleConnections()
					rp := &httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
					srv := &server.Server{Handler: server.WebSocket(rp)}
					l := listenTCP(t)
					go func() { _ = srv.Serve(l) }() // ends with the test
					defer srv.Close()
					asks := &Transport{Proxy: noProxy, WebSocketHTTP2: front}
					if front {
						asks.Protocols = h2cOnly()
					}
					defer asks.CloseIdleConnections()
					resp, err := asks.RoundTrip(upgradeRequest(t, "http://"+l.Addr().String()+"/chat"))
					wantSwitch(t, resp, err, to.Host+" /chat")
					resp, err = asks.RoundTrip(upgradeRequest(t, "http://"+l.Addr().String()+"/refused"))
					if err != nil || resp.StatusCode != http.StatusForbidden {
						t.Errorf("a refusal: %+v, %v", resp, err)
					} else {
						resp.Body.Close()
					}
				})
			}
		}
	}
}
