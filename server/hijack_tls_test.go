//go:build !nethttpomithttp2

package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// recordingListener keeps the connections that it has accepted, which wrap hides from the server.
type recordingListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn

	mu       sync.Mutex
	accepted []net.Conn
}

func (l *recordingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	nc = l.wrap(nc)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted = append(l.accepted, nc)
	return nc, nil
}

// has reports whether nc is a connection that was accepted.
func (l *recordingListener) has(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.accepted {
		if a == nc {
			return true
		}
	}
	return false
}

// wrappedConn is what a listener that limits connections gives.
type wrappedConn struct{ net.Conn }

// hijackTLS is a server of a kind on l, whose handler sends back what comes on a hijacked
// connection.
func hijackTLS(t *testing.T, kind string, l *recordingListener, config *tls.Config) {
	t.Helper()
	check := func(nc net.Conn) {
		if tc, ok := nc.(*tls.Conn); !ok || !l.has(tc.NetConn()) {
			t.Errorf("the connection is a %T, not TLS on one that the listener gave", nc)
		}
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		check(nc)
		if _, err := io.Copy(nc, rw); err != nil {
			t.Error(err)
		}
	})
	next := map[string]func(*http.Server, *tls.Conn, http.Handler){
		"other": func(_ *http.Server, tc *tls.Conn, _ http.Handler) {
			check(tc)
			if _, err := io.Copy(tc, tc); err != nil {
				t.Error(err)
			}
		},
	}
	served := make(chan error, 1)
	var s interface{ Close() error }
	if kind == kindServer {
		srv := serving(h)
		srv.TLSConfig, srv.TLSNextProto, srv.Protocols = config, next, new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
		s = srv
		go func() { served <- srv.ServeTLS(l, "", "") }()
	} else {
		srv := &http.Server{Handler: h, TLSConfig: config, TLSNextProto: next} //nolint:gosec // peers are of this test
		s = srv
		go func() { served <- srv.ServeTLS(l, "", "") }()
	}
	t.Cleanup(func() {
		_ = s.Close()
		<-served
	})
}

// TestHijackOverTLS: a tls.Conn that Hijack of HTTP/1.1 gives, or that a function of TLSNextProto
// is given, lies on what the listener accepted, whatever the client has offered, and no octet is
// lost that has come with the end of the handshake.
func TestHijackOverTLS(t *testing.T) {
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	config := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	chooses := config()
	chooses.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := config()
		c.NextProtos = []string{"http/1.1"}
		return c, nil
	}
	other := config()
	other.NextProtos = []string{"other", "http/1.1"}
	wraps := map[string]func(net.Conn) net.Conn{
		"TCP":     func(nc net.Conn) net.Conn { return nc },
		"wrapped": func(nc net.Conn) net.Conn { return &wrappedConn{nc} },
	}
	for _, c := range []struct {
		name   string
		config *tls.Config
		offers []string
	}{
		{"http/1.1", config(), []string{"http/1.1"}},
		{"without ALPN", config(), nil},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}, []string{"http/1.1"}},
		{"server chooses", chooses, []string{"h2", "http/1.1"}},
		{"other protocol", other, []string{"other"}},
	} {
		for _, kind := range []string{kindNetHTTP, kindServer} {
			for wrap, f := range wraps {
				t.Run(fmt.Sprintf("%s %s %s", kind, c.name, wrap), func(t *testing.T) {
					tcp, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					hijackTLS(t, kind, &recordingListener{Listener: tcp, wrap: f}, c.config)
					echoOverTLS(t, tcp.Addr().String(), c.offers)
				})
			}
		}
	}
}

// echoOverTLS sends a request and much behind it, and wants all of that back.
func echoOverTLS(t *testing.T, addr string, offers []string) {
	t.Helper()
	//nolint:gosec // the certificate was made just now
	tc, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: offers})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	much := bytes.Repeat([]byte("0123456789abcde\n"), 20_000)
	go func() {
		if tc.ConnectionState().NegotiatedProtocol != "other" {
			_, _ = io.WriteString(tc, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
		}
		_, _ = tc.Write(much)
		_ = tc.CloseWrite()
	}()
	if got, err := io.ReadAll(tc); err != nil || !bytes.Equal(got, much) {
		t.Errorf("%d octets of %d came back, %v", len(got), len(much), err)
	}
}
