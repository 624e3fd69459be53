package tunnel

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// certFile writes a certificate of its own for name, and its key, to a file.
func certFile(t *testing.T, name string) (file string, leaf *x509.Certificate) {
	t.Helper()
	cert, err := selfsigned.Certificate(name)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})...)
	file = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, cert.Leaf
}

// An origin that asks for a certificate gets the one for its name, over either version of TLS, and
// no other origin does; an origin that is not verified gets none.
func TestInterceptClientCertificate(t *testing.T) {
	file, leaf := certFile(t, "anna")
	find, err := ClientCertFiles(ClientCertFile{"origin.example", file})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		i       *Interceptor
		version uint16
		host    string
		want    string
	}{
		"TLS 1.3":      {&Interceptor{ClientCertificate: find}, tls.VersionTLS13, "origin.example", "anna"},
		"TLS 1.2":      {&Interceptor{ClientCertificate: find}, tls.VersionTLS12, "origin.example", "anna"},
		"another host": {&Interceptor{ClientCertificate: find}, tls.VersionTLS13, "other.example", "nobody"},
		"not verified": {
			&Interceptor{ClientCertificate: find, Insecure: []string{"*"}}, tls.VersionTLS13, "origin.example", "nobody",
		},
		"no certificates":  {&Interceptor{}, tls.VersionTLS13, "origin.example", "nobody"},
		"none for anybody": {&Interceptor{ClientCertificate: noCertificate}, tls.VersionTLS13, "origin.example", "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := tlsOrigin(t, &tls.Config{ClientAuth: tls.RequestClientCert, MaxVersion: test.version}, func(c *tls.Conn) {
				user := "nobody"
				if peers := c.ConnectionState().PeerCertificates; len(peers) > 0 && peers[0].Equal(leaf) {
					user = "anna"
				}
				_, _ = c.Read(make([]byte, 1000))
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nUser: "+user+"\r\n\r\n")
				_, _ = io.Copy(io.Discard, c)
			})
			e := newIntercepting(t, test.i)
			c := tls.Client(e.tunnel(test.host, addr), &tls.Config{ServerName: test.host, RootCAs: e.clientRoots()})
			resp := roundTripRaw(t, c, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
			if got := resp.Header.Get("User"); resp.StatusCode != http.StatusNoContent || got != test.want {
				t.Errorf("%s, the origin saw %q", resp.Status, got)
			}
		})
	}
}

func noCertificate(*Target, string) (*tls.Certificate, error) { return nil, nil }

// A certificate that cannot be had is said in the response, and nothing was sent to the origin; a
// file that cannot be used, or is for no host, is an error at once.
func TestInterceptClientCertificateFails(t *testing.T) {
	e := newIntercepting(t, &Interceptor{
		ClientCertificate: func(*Target, string) (*tls.Certificate, error) { return nil, errors.New("the safe is locked") },
	})
	addr := tlsOrigin(t, &tls.Config{ClientAuth: tls.RequestClientCert}, func(*tls.Conn) {
		t.Error("the handshake succeeds")
	})
	c := e.tls(addr)
	resp := roundTripRaw(t, c, "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n")
	body, _ := io.ReadAll(resp.Body)
	_ = c.Close()
	const want = "no client certificate for origin.example"
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), want) {
		t.Errorf("%s: %s", resp.Status, body)
	}
	if r := e.tunnelRecord(); !strings.Contains(r.Error, "the safe is locked") {
		t.Errorf("the record is %+v", r)
	}
	good, _ := certFile(t, "anna")
	for text, f := range map[string]ClientCertFile{
		"no such file":     {"a.example", filepath.Join(t.TempDir(), "none")},
		"is for no host":   {" ", good},
		"for a.example in": {"a.example", os.DevNull},
	} {
		if _, err := ClientCertFiles(f); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q", f, err, text)
		}
	}
}
