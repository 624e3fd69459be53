package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/server"
)

// connectProxy is an HTTP/1.1 proxy that makes tunnels.
type connectProxy struct {
	l       net.Listener
	scheme  string
	answer  string // instead of a tunnel
	connect atomic.Value
	auth    atomic.Value
	tunnels sync.WaitGroup
}

func newConnectProxy(t *testing.T) *connectProxy { return startConnectProxy(t, "http", listenTCP(t)) }

func startConnectProxy(t *testing.T, scheme string, l net.Listener) *connectProxy {
	p := &connectProxy{l: l, scheme: scheme}
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
	return http.ProxyURL(&url.URL{Scheme: p.scheme, Host: p.l.Addr().String(), User: url.UserPassword(user, "p%ss")})
}

func TestProxy(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			u, _, tr := tlsSite(t, http.HandlerFunc(echoHandler))
			l := listenTCP(t)
			if scheme == "https" {
				srvTLS, _ := testTLS(t)
				leaf, err := x509.ParseCertificate(srvTLS.Certificates[0].Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				tr.TLSClientConfig.RootCAs.AddCert(leaf)
				l = tls.NewListener(l, srvTLS)
			}
			p := startConnectProxy(t, scheme, l)
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
		})
	}
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
			if name == "407" &&
				(!errors.As(err, &pe) || pe.StatusCode != 407 || pe.Header.Get("Proxy-Authenticate") != "Basic") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Octets that the proxy sends along with its answer belong to the tunnel.
func TestProxyEarlyOctets(t *testing.T) {
	c := &netconn.Prefixed{Conn: nil, Prefix: []byte("early")}
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
	s := newTCPServer(t, http.HandlerFunc(echoHandler))
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

// A proxy that speaks HTTP/2 is asked by DialContext, with Connect of another Transport. Its
// tunnels share a connection.
func TestHTTP2Proxy(t *testing.T) {
	u, _, tr := tlsSite(t, http.HandlerFunc(echoHandler))
	proxy, _, toProxy := tlsSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer far.Close()
		tunnel, err := server.AcceptConnect(w)
		if err != nil {
			t.Errorf("%s over %s: %v", r.Method, r.Proto, err)
			return
		}
		go func() {
			_, _ = io.Copy(far, tunnel)
			_ = far.Close()
		}()
		_, _ = io.Copy(tunnel, far)
	}))
	var tunnels atomic.Int32
	tr.MaxRequestsPerConn = 1 // so that each request has a tunnel of its own
	tr.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodConnect, proxy, nil)
		if err != nil {
			return nil, err
		}
		req.Host = addr
		tunnel, resp, err := toProxy.Connect(req)
		if err != nil {
			return nil, err
		}
		if tunnel == nil {
			_ = resp.Body.Close()
			return nil, errors.New(resp.Status)
		}
		tunnels.Add(1)
		return tunnel, nil
	}
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "POST", u, strings.NewReader("TLS in a stream")))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "TLS in a stream" || resp.ProtoMajor != 2 {
			t.Errorf("%q, %s", got, resp.Proto)
		}
	}
	if n, conns := tunnels.Load(), toProxy.Stats().ConnsOpened; n != 3 || conns != 1 {
		t.Errorf("%d tunnels on %d connections to the proxy", n, conns)
	}
	if _, err := tr.RoundTrip(newRequest(t, "GET", "https://127.0.0.1:1/", nil)); err == nil ||
		!strings.Contains(err.Error(), "502") {
		t.Errorf("what the proxy cannot reach: %v", err)
	}
	tr.CloseIdleConnections()
}
