package tunnel

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// webSocketOrigin is a handler of HTTP/1.1 that switches protocols, says what it has seen, and
// sends back what comes.
var webSocketOrigin = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Origin", "1")
	switch r.URL.Path {
	case "/refused":
		http.Error(w, "not you", http.StatusForbidden)
		return
	case "/page":
		_, _ = io.WriteString(w, "a page")
		return
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	accept := webSocketAccept(r.Header.Get("Sec-WebSocket-Key"))
	if r.URL.Path == "/wrong" {
		accept = "wrong"
	}
	proto := "HTTP/1.1"
	if r.TLS != nil && r.TLS.NegotiatedProtocol == "h2" {
		proto = "HTTP/2"
	}
	var odd []string
	for name := range r.Header {
		if strings.HasPrefix(name, "Proxy-") || name == "X-Hop" || name == ":protocol" {
			odd = append(odd, name)
		}
	}
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\nX-Origin: 1\r\n\r\n%s %s %s %s %t %s\n", accept,
		r.Header.Get("Sec-WebSocket-Protocol"), proto, r.Host, r.RequestURI, r.Header.Get("Sec-WebSocket-Version"),
		strings.Contains(r.Header.Get("Via"), "sluice"), odd)
	_ = rw.Flush()
	_, _ = io.Copy(nc, rw)
})

// webSocketOrigins are the URLs of origins by what they speak.
func webSocketOrigins(t *testing.T, p *Proxy) map[string]string {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	p.RootCAs = x509.NewCertPool()
	p.RootCAs.AddCert(cert.Leaf)
	urls := make(map[string]string)
	handlers := map[string]http.Handler{"RFC 8441": server.WebSocket(webSocketOrigin), "HTTP/2": webSocketOrigin}
	for name, h := range handlers {
		srv := &server.Server{Handler: h, TLSConfig: cfg}
		l := listen(t)
		go func() { _ = srv.ServeTLS(l, "", "") }() // ends with the test
		t.Cleanup(func() { _ = srv.Close() })
		urls[name] = "https://" + l.Addr().String()
	}
	secure := httptest.NewUnstartedServer(webSocketOrigin)
	secure.TLS = cfg.Clone()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(webSocketOrigin)
	t.Cleanup(plain.Close)
	urls["HTTP/1.1 on TLS"], urls["HTTP/1.1"] = secure.URL, plain.URL
	return urls
}

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// webSocket asks the proxy for a WebSocket. The connection is nil where the response is another
// one.
func (e *proxyEnv) webSocket(way, rawURL string) (tunnelConn, *http.Response) {
	e.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		e.t.Fatal(err)
	}
	if way == overH2 || way == overH2C {
		return e.webSocketHTTP2(way, u)
	}
	nc := e.dialRaw(way)
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: X-Hop, Upgrade\r\nUpgrade: WebSocket\r\nX-Hop: 1\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: chat\r\n"+
		"Proxy-Authorization: Basic eDp5\r\n\r\n", strings.Replace(rawURL, "http", "ws", 1), u.Host, testKey)
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, resp
	}
	if h := resp.Header; h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
		h.Get("Connection") != "Upgrade" || h.Get("Upgrade") != "websocket" {
		e.t.Errorf("the response is %v", h)
	}
	return &readerConn{tunnelConn: nc, r: r}, resp
}

func (e *proxyEnv) webSocketHTTP2(way string, u *url.URL) (tunnelConn, *http.Response) {
	e.t.Helper()
	nc := e.dialRaw(overHTTP1)
	if way == overH2 {
		nc = e.dialRaw(overHTTPS1)
	}
	_ = nc.SetDeadline(time.Time{})
	cc, err := e.transport(way).NewClientConn(nc)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = cc.Close() })
	req, err := http.NewRequest(http.MethodConnect, u.String(), nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header = http.Header{
		":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"},
		"Proxy-Authorization": {"Basic eDp5"},
	}
	tunnel, resp, err := cc.Connect(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if tunnel == nil {
		return nil, resp
	}
	if h := resp.Header; resp.StatusCode != http.StatusOK || h.Get("Sec-WebSocket-Accept") != "" {
		e.t.Errorf("the response is %s %v", resp.Status, h)
	}
	_ = tunnel.SetDeadline(time.Now().Add(testTimeout))
	return tunnel, resp
}

// A WebSocket goes through the proxy whichever of the two protocols client and origin speak.
func TestWebSocket(t *testing.T) {
	e := newProxy(t, &Proxy{})
	for name, origin := range webSocketOrigins(t, e.p) {
		for _, way := range allWays {
			t.Run(name+"/"+way, func(t *testing.T) {
				e := *e
				e.t = t
				host := origin[strings.Index(origin, "//")+2:]
				nc, resp := e.webSocket(way, origin+"/chat?a=%20b")
				if nc == nil {
					t.Fatalf("%s %v", resp.Status, resp.Header)
				}
				proto := "HTTP/1.1"
				if name == "RFC 8441" {
					proto = "HTTP/2"
				}
				wantRead(t, nc, fmt.Sprintf("%s %s /chat?a=%%20b 13 true []\n", proto, host))
				if h := resp.Header; h.Get("Sec-WebSocket-Protocol") != "chat" || h.Get("X-Origin") != "1" ||
					!strings.Contains(h.Get("Proxy-Status"), "next-hop") || !strings.Contains(h.Get("Via"), "sluice") {
					t.Errorf("the response is %v", h)
				}
				write(t, nc, "ping")
				wantRead(t, nc, "ping")
				if err := nc.CloseWrite(); err != nil {
					t.Error(err)
				}
				wantEOF(t, nc)
				rec := e.record()
				if rec.Kind != KindWebSocket || rec.Target != host || rec.Addr != host || rec.End != EndClosed ||
					rec.Sent != 4 || rec.Received < 20 || rec.Status != resp.StatusCode {
					t.Errorf("the record is %+v", rec)
				}
			})
		}
	}
}

// What the origin answers in place of a switch is sent on; a page is no open WebSocket.
func TestWebSocketNotAccepted(t *testing.T) {
	e := newProxy(t, &Proxy{})
	for name, origin := range webSocketOrigins(t, e.p) {
		for _, way := range allWays {
			e := *e
			e.t = t
			for path, want := range map[string]int{"/refused": 403, "/page": 200, "/wrong": 502} {
				http2 := way == overH2 || way == overH2C
				switch {
				case path == "/page" && name == "RFC 8441": // its server has made 501 of it
					want = 501
				case path == "/page" && http2:
					want = 502
				case path == "/wrong" && name == "RFC 8441": // which has no such field
					continue
				}
				nc, resp := e.webSocket(way, origin+path)
				if nc != nil {
					t.Errorf("%s over %s, %s: a WebSocket", name, way, path)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != want || err != nil {
					t.Errorf("%s over %s, %s: %s %q, %v; want %d", name, way, path, resp.Status, body, err, want)
				}
				if want == 403 && (string(body) != "not you\n" || resp.Header.Get("X-Origin") != "1") {
					t.Errorf("%s over %s: %q %v", name, way, body, resp.Header)
				}
				if rec := e.record(); rec.Status != want {
					t.Errorf("%s over %s, %s: the record is %+v", name, way, path, rec)
				}
			}
		}
	}
}

// Refusals of the proxy itself name the cause.
func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewUnstartedServer(webSocketOrigin)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	noTLS := httptest.NewServer(webSocketOrigin)
	t.Cleanup(noTLS.Close)
	o := newOrigin(t)
	answers := func(s string) string {
		l := listen(t)
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, s)
				_ = c.(*net.TCPConn).CloseWrite()
			}
		}()
		t.Cleanup(func() { _ = l.Close() })
		return "http://" + l.Addr().String()
	}
	cases := map[string]struct {
		url     string
		p       *Proxy
		status  int
		details string
	}{
		"policy":      {noTLS.URL, &Proxy{Policy: &Rules{}}, 403, "port 443 only"},
		"certificate": {untrusted.URL, &Proxy{}, 502, "tls_certificate_error"},
		"no TLS":      {strings.Replace(noTLS.URL, "http", "https", 1), &Proxy{}, 502, "tls_protocol_error"},
		"silence":     {"http://" + o.addr, &Proxy{DialTimeout: time.Second}, 504, "http_response_timeout"},
		"nothing":     {answers(""), &Proxy{}, 502, "connection_terminated"},
		"endless": {
			answers("HTTP/1.1 101 x\r\nA: " + strings.Repeat("x", 300<<10)),
			&Proxy{},
			502,
			"connection_terminated",
		},
		"other 101": {
			answers("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), &Proxy{}, 502, "http_protocol_error",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the silence takes its time
			e := newProxy(t, c.p)
			for _, way := range allWays {
				nc, resp := e.webSocket(way, c.url+"/chat")
				if nc != nil {
					t.Fatalf("%s: a WebSocket", way)
				}
				body, _ := io.ReadAll(resp.Body)
				if ps := resp.Header.Get("Proxy-Status"); resp.StatusCode != c.status || !strings.Contains(ps, c.details) {
					t.Errorf("%s: %s, Proxy-Status: %s\n%s", way, resp.Status, ps, body)
				}
				if rec := e.record(); rec.End != EndRefused || rec.Status != c.status {
					t.Errorf("%s: the record is %+v", way, rec)
				}
			}
		})
	}
}

// A request of HTTP/1.1 that no WebSocket may have is not sent on.
func TestWebSocketBadRequest(t *testing.T) {
	e := newProxy(t, &Proxy{})
	o := newOrigin(t)
	for name, fields := range map[string]string{
		"no key":    "",
		"short key": "Sec-WebSocket-Key: eA==\r\n",
		"two keys":  "Sec-WebSocket-Key: " + testKey + "\r\nSec-WebSocket-Key: " + testKey + "\r\n",
		"content":   "Sec-WebSocket-Key: " + testKey + "\r\nContent-Length: 1\r\n",
	} {
		nc := e.dialRaw(overHTTP1)
		fmt.Fprintf(
			nc,
			"GET http://%s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\nx",
			o.addr,
			fields,
		)
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
		_ = e.record()
	}
}

// Resets go through, in both directions.
func TestWebSocketReset(t *testing.T) {
	e := newProxy(t, &Proxy{})
	for name, origin := range webSocketOrigins(t, e.p) {
		for _, way := range []string{overH2, overH2C} {
			e := *e
			e.t = t
			nc, _ := e.webSocket(way, origin+"/chat")
			if nc == nil {
				t.Fatalf("%s over %s: no WebSocket", name, way)
			}
			_, _ = bufio.NewReader(nc).ReadString('\n')
			abort(nc, frame.Cancel)
			if rec := e.record(); rec.End != EndClientReset {
				t.Errorf("%s over %s: the record is %+v", name, way, rec)
			}
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
	}
}
