package client

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// connectProxy is an HTTP/1.1 proxy that makes tunnels.
type connectProxy struct {
	l       net.Listener
	answer  string // instead of a tunnel
	connect atomic.Value
	auth    atomic.Value
	tunnels sync.WaitGroup
}

func newConnectProxy(t *testing.T) *connectProxy {
	p := &connectProxy{l: listenTCP(t)}
	p.tunnels.Go(func() {
		for {
			nc, err := p.l.Accept()
			if err != nil {
				return
			}
			p.tunnels.Go(func() { p.serve(nc) })
		}
	})
	t.Cleanup(func() {
		_ = p.l.Close()
		p.tunnels.Wait()
	})
	return p
}

func (p *connectProxy) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	p.connect.Store(req.Method + " " + req.Host)
	p.auth.Store(req.Header.Get("Proxy-Authorization"))
	if p.answer != "" {
		_, _ = io.WriteString(nc, p.answer)
		return
	}
	far, err := net.Dial("tcp", req.Host)
	if err != nil {
		_, _ = io.WriteString(nc, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer far.Close()
	_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(far, r)
		_ = far.Close()
	}()
	_, _ = io.Copy(nc, far)
}

func (p *connectProxy) url(user string) func(*http.Request) (*url.URL, error) {
	return http.ProxyURL(&url.URL{Scheme: "http", Host: p.l.Addr().String(), User: url.UserPassword(user, "p%ss")})
}

func TestProxy(t *testing.T) {
	u, _, tr := tlsSite(t, http.HandlerFunc(echoHandler))
	p := newConnectProxy(t)
	tr.Proxy = p.url("user")
	resp, err := tr.RoundTrip(newRequest(t, "POST", u, strings.NewReader("through the tunnel")))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "through the tunnel" || resp.ProtoMajor != 2 {
		t.Errorf("%q, %s", got, resp.Proto)
	}
	if got := p.connect.Load(); got != "CONNECT "+strings.TrimPrefix(u, "https://") {
		t.Errorf("the proxy was asked to %v", got)
	}
	if got := p.auth.Load(); got != "Basic dXNlcjpwJXNz" {
		t.Errorf("credentials %v", got)
	}
	tr.CloseIdleConnections()
}

// Proxies that do not make a tunnel.
func TestBadProxies(t *testing.T) {
	for name, answer := range map[string]string{
		"407":        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
		"garbage":    "garbage\r\n\r\n",
		"large head": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
		"end":        "HTTP/1.1 200",
	} {
		t.Run(name, func(t *testing.T) {
			p := newConnectProxy(t)
			p.answer = answer
			tr := &Transport{Proxy: p.url("u")}
			spy := &spyBody{Reader: strings.NewReader("x")}
			_, err := tr.RoundTrip(newRequest(t, "POST", "https://example.test/", spy))
			if err == nil || spy.closes != 1 {
				t.Errorf("error %v, body closed %d times", err, spy.closes)
			}
			var pe *ProxyError
			if name == "407" && (!errors.As(err, &pe) || pe.StatusCode != 407 || pe.Header.Get("Proxy-Authenticate") != "Basic") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Octets that the proxy sends along with its answer belong to the tunnel.
func TestProxyEarlyOctets(t *testing.T) {
	c := &earlyConn{Conn: nil, early: []byte("early")}
	b := make([]byte, 3)
	for _, want := range []string{"ear", "ly"} {
		n, err := c.Read(b)
		if string(b[:n]) != want || err != nil {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
}

// Cleartext through a proxy goes to net/http, unless it is HTTP/2, which needs a tunnel.
func TestProxyCleartext(t *testing.T) {
	s := newTCPSite(t, http.HandlerFunc(echoHandler))
	p := newConnectProxy(t)
	tr := &Transport{Proxy: p.url("u"), Protocols: h2cOnly()}
	resp, err := tr.RoundTrip(newRequest(t, "POST", s, strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "x" || resp.ProtoMajor != 2 {
		t.Errorf("%q, %s", got, resp.Proto)
	}
	tr.CloseIdleConnections()
	p.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy"
	one := &Transport{Proxy: p.url("u")}
	resp, err = one.RoundTrip(newRequest(t, "GET", "http://example.test/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "proxy" || p.connect.Load() != "GET example.test" {
		t.Errorf("%q, the proxy was asked to %v", got, p.connect.Load())
	}
	one.CloseIdleConnections()
}
