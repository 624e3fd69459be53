package conformance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// A forwardProxy is a tunnel.Proxy on ports of the loopback address, and an origin behind it, whose
// names the proxy alone finds.
type forwardProxy struct {
	srv         *server.Server // a server of the proxy
	http, https string         // addresses of the proxy
	plain       string         // URL of the origin in clear, without a slash at the end
	secure      string         // and over TLS
	roots       *x509.CertPool
	cert, key   string // PEM files of the certificate of proxy and origin, which is its own CA
	records     chan *tunnel.Record
	proxyConns  *countingListener // connections to https
	originConns *countingListener // connections to secure
}

// proxyNames finds the names of origins.
type proxyNames struct{}

func (proxyNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// startProxy serves p, which gets a policy and a resolver, until the test ends.
func startProxy(t *testing.T, p *tunnel.Proxy, configure ...func(*server.Server)) *forwardProxy {
	t.Helper()
	f := &forwardProxy{records: make(chan *tunnel.Record, 1000), roots: x509.NewCertPool()}
	cert, err := selfsigned.Certificate("127.0.0.1", "origin.test", "proxy.test")
	if err != nil {
		t.Fatal(err)
	}
	f.roots.AddCert(cert.Leaf)
	f.cert, f.key = writeCertificate(t, &cert)

	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Proto, r.Host)
	})
	_, f.plain = serveOn(t, nil, origin)
	f.originConns, f.secure = serveOn(t, &cert, origin)
	f.plain, f.secure = "http://origin.test:"+portOf(f.plain), "https://origin.test:"+portOf(f.secure)

	p.Policy, p.Resolver = &tunnel.Rules{Ports: tunnel.Ports{{First: 1, Last: 65535}}, AllowPrivate: true}, proxyNames{}
	p.Audit = func(r *tunnel.Record) { f.records <- r }
	configure = append(configure, func(s *server.Server) { s.IgnoreALPN, s.EnableConnectProtocol = true, true })
	configure = append(configure, func(s *server.Server) { f.srv = s })
	_, f.http = serveOn(t, nil, p, configure...)
	f.proxyConns, f.https = serveOn(t, &cert, p, configure...)
	return f
}

// serveOn serves h on a port, over TLS where cert is not nil, until the test ends.
func serveOn(
	t *testing.T, cert *tls.Certificate, h http.Handler, configure ...func(*server.Server),
) (*countingListener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cl := &countingListener{Listener: l}
	srv := &server.Server{Handler: h, ErrorLog: log.New(newTestLog(t), "", 0)}
	serve := func() error { return srv.Serve(cl) }
	if cert != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		serve = func() error { return srv.ServeTLS(cl, "", "") }
	}
	for _, c := range configure {
		c(srv)
	}
	done := make(chan error, 1)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v, want http.ErrServerClosed", err)
		}
	})
	return cl, l.Addr().String()
}

func portOf(addr string) string { return addr[len("127.0.0.1:"):] }

// writeCertificate writes a certificate and its key to files.
func writeCertificate(t *testing.T, cert *tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := selfsigned.WriteFiles(t.TempDir(), cert)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// want checks the records of what a client has just done: those of which status, protocol and kind
// are given as "200 HTTP/2.0 tunnel".
func (f *forwardProxy) want(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	timeout := time.After(peerTimeout)
	for range want {
		select {
		case r := <-f.records:
			got = append(got, fmt.Sprint(r.Status, " ", r.Proto, " ", r.Kind))
		case <-timeout:
			t.Errorf("records %q, want %q", got, want)
			return
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
}
