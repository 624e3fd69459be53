package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// localResolver has every name be 127.0.0.1.
type localResolver struct{}

func (localResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// testCA is a CA for several tests: making one writes to the disk.
var testCA = sync.OnceValue(func() *CA {
	cert, err := selfsigned.Certificate("ca.example")
	if err != nil {
		panic(err)
	}
	ca, err := NewCA(cert)
	if err != nil {
		panic(err)
	}
	return ca
})

// originCert is the certificate of the origins of tests.
var originCert = sync.OnceValue(func() tls.Certificate {
	cert, err := selfsigned.Certificate("origin.example", "other.example", "127.0.0.1")
	if err != nil {
		panic(err)
	}
	return cert
})

// interceptEnv is a proxy that intercepts.
type interceptEnv struct {
	*proxyEnv
	i *Interceptor
}

// newIntercepting serves a proxy with i, which may be zero.
func newIntercepting(t *testing.T, i *Interceptor) *interceptEnv {
	t.Helper()
	if i.CA == nil {
		i.CA = testCA()
	}
	if i.RootCAs == nil {
		i.RootCAs = x509.NewCertPool()
		i.RootCAs.AddCert(originCert().Leaf)
	}
	return &interceptEnv{newProxy(t, &Proxy{Intercept: i, Resolver: localResolver{}}), i}
}

// clientRoots are what a client of the proxy trusts: its CA, and the origin for those that it does
// not intercept.
func (e *interceptEnv) clientRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(e.i.CA.Certificate())
	pool.AddCert(originCert().Leaf)
	return pool
}

// tunnel opens a tunnel to a port of host.
func (e *interceptEnv) tunnel(host, addr string) tunnelConn {
	e.t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		e.t.Fatal(err)
	}
	c, resp := e.dial(overHTTP1, net.JoinHostPort(host, port))
	if c == nil {
		e.t.Fatalf("CONNECT: %s", resp.Status)
	}
	e.t.Cleanup(func() { _ = c.Close() })
	return c
}

// tls opens a tunnel to origin.example and makes TLS in it.
func (e *interceptEnv) tls(addr string, protocols ...string) *tls.Conn {
	e.t.Helper()
	c := tls.Client(e.tunnel("origin.example", addr), &tls.Config{
		ServerName: "origin.example", RootCAs: e.clientRoots(), NextProtos: protocols,
	})
	if err := c.Handshake(); err != nil {
		e.t.Fatal(err)
	}
	return c
}

// http returns a client of net/http through the proxy.
func (e *interceptEnv) http(http2 bool) *http.Client {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: e.plain}),
		TLSClientConfig: &tls.Config{RootCAs: e.clientRoots()},
		Protocols:       new(http.Protocols),
	}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetHTTP2(http2)
	e.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: testTimeout}
}

// exchange waits for the record of an exchange.
func (e *interceptEnv) exchange() *Record {
	e.t.Helper()
	for {
		if r := e.record(); r.Kind == KindExchange {
			return r
		}
	}
}

// tunnelRecord waits for the record of a tunnel.
func (e *interceptEnv) tunnelRecord() *Record {
	e.t.Helper()
	for {
		if r := e.record(); r.Kind == KindTunnel {
			return r
		}
	}
}

// tlsOrigin accepts connections with a configuration, and has them served by f until the test ends.
func tlsOrigin(t *testing.T, cfg *tls.Config, f func(c *tls.Conn)) (addr string) {
	t.Helper()
	if len(cfg.Certificates) == 0 {
		cfg.Certificates = []tls.Certificate{originCert()}
	}
	return tcpOrigin(t, func(c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			f(tc)
		}
		_ = tc.Close()
	})
}

// tcpOrigin accepts connections and has them served by f until the test ends.
func tcpOrigin(t *testing.T, f func(c net.Conn)) (addr string) {
	t.Helper()
	l := listen(t)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { f(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// httpOrigin serves h with net/http, over HTTP/2, or over HTTP/1.1.
func httpOrigin(t *testing.T, http2 bool, h http.Handler) (addr string) {
	t.Helper()
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	srv.Protocols.SetHTTP1(!http2)
	srv.Protocols.SetHTTP2(http2)
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{originCert()}}
	l := listen(t)
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// urlOf is a URL of origin.example at the port of addr.
func urlOf(addr, path string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "https://" + net.JoinHostPort("origin.example", port) + path
}

// roundTripRaw writes a request to c and reads the response.
func roundTripRaw(t *testing.T, c net.Conn, request string) *http.Response {
	t.Helper()
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
