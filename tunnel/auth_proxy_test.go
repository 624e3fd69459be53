package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// Digest works over every way to the proxy, for many tunnels with one nonce, and a nonce that is
// used up is replaced.
func TestDigestThroughProxy(t *testing.T) {
	origin := newOrigin(t)
	e := newProxy(t, &Proxy{Auth: newDigestFile(t)})
	for _, way := range allWays {
		c, resp := e.dial(way, origin.addr)
		if c != nil || resp.StatusCode != http.StatusProxyAuthRequired {
			t.Fatalf("%s without credentials: %+v", way, resp)
		}
		nonce, _ := nonceOf(t, &Refusal{Status: resp.StatusCode, Header: resp.Header})
		client := &digestClient{user: "anna", password: "sesame", uri: origin.addr, nonce: nonce}
		for range 3 {
			c, resp := e.dial(way, origin.addr, "Proxy-Authorization", client.field())
			if c == nil {
				t.Fatalf("%s: %+v", way, resp)
			}
			o := origin.accept()
			write(t, c, "hello")
			wantRead(t, o, "hello")
			_, _ = c.Close(), o.Close()
		}
		client.nc--
		c, resp = e.dial(way, origin.addr, "Proxy-Authorization", client.field())
		if c != nil {
			t.Fatalf("%s: a count was used twice", way)
		}
		if _, stale := nonceOf(t, &Refusal{Status: resp.StatusCode, Header: resp.Header}); !stale {
			t.Errorf("%s: the challenge does not say stale", way)
		}
	}
}

// A certificate that the server has verified is a user; one that it has not is none.
func TestClientCertThroughProxy(t *testing.T) {
	serverCert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	clientCert := newClientCertificate(t, "anna.example")
	pool := x509.NewCertPool()
	pool.AddCert(clientCert.Leaf)
	origin := newOrigin(t)
	rules := &Rules{AllowPrivate: true, Ports: anyPort}
	records := make(chan *Record, 10)
	p := &Proxy{Policy: rules, Audit: func(r *Record) { records <- r }, Auth: &ClientCert{
		User: func(c *x509.Certificate) string { return c.DNSNames[0] },
	}}
	srv := &server.Server{Handler: p, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{serverCert}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
	}}
	l := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.ServeTLS(l, "", "")
	}()
	defer func() {
		_ = srv.Close()
		_ = p.Close()
		<-done
	}()
	for _, proto := range []string{"h2", "http/1.1"} {
		for with, status := range map[bool]int{true: 200, false: 403} {
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}}
			if with {
				config.Certificates = []tls.Certificate{clientCert}
			}
			d := &Dialer{Proxy: mustURL(t, "https://"+l.Addr().String()), TLSClientConfig: config}
			if proto == "http/1.1" { // which Authenticate needs
				d.Authenticate = noAuthenticate
			}
			c, err := d.DialContext(t.Context(), "tcp", origin.addr)
			if err == nil {
				_ = c.Close()
				_ = origin.accept().Close()
			}
			var r *Record
			select {
			case r = <-records:
			case <-time.After(testTimeout):
				t.Fatal("no record")
			}
			if (err == nil) != with || r.Status != status || (r.User == "anna.example") != with {
				t.Errorf("%s, certificate %v: %v, record %+v", proto, with, err, r)
			}
			_ = d.Close()
		}
	}
}

func noAuthenticate(context.Context, *Challenge) (string, error) { return "", nil }

// newClientCertificate returns a certificate of a client that has signed itself.
func newClientCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
