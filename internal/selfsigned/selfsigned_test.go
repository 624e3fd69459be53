package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCertificateCoversHosts(t *testing.T) {
	tests := []struct {
		name  string
		hosts []string
		want  []string
	}{
		{"default", nil, []string{"localhost", "127.0.0.1", "::1"}},
		{"names and addresses", []string{"example.test", "192.0.2.7"}, []string{"example.test", "192.0.2.7"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert, err := Certificate(tt.hosts...)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range tt.want {
				if err := cert.Leaf.VerifyHostname(h); err != nil {
					t.Errorf("%s: %v", h, err)
				}
			}
			if err := cert.Leaf.VerifyHostname("other.test"); err == nil {
				t.Error("the certificate is also good for other.test")
			}
		})
	}
}

func TestCertificateKeyAndTime(t *testing.T) {
	cert, err := Certificate()
	if err != nil {
		t.Fatal(err)
	}
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T, want ECDSA P-256", cert.PrivateKey)
	}
	now := time.Now()
	if cert.Leaf.NotBefore.After(now) || cert.Leaf.NotAfter.Before(now) {
		t.Errorf("valid from %v to %v, which is not now", cert.Leaf.NotBefore, cert.Leaf.NotAfter)
	}
	other, err := Certificate()
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf.SerialNumber.Cmp(other.Leaf.SerialNumber) == 0 {
		t.Error("two certificates have the same serial number")
	}
}

// A client that trusts the certificate itself completes a verified handshake: the usages are the
// right ones.
func TestCertificateHandshake(t *testing.T) {
	cert, err := Certificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	c, s := net.Pipe()
	defer c.Close()
	defer s.Close()
	serverErr := make(chan error, 1)
	go func() { serverErr <- tls.Server(s, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }()
	if err := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost"}).Handshake(); err != nil {
		t.Errorf("client: %v", err)
	}
	c.Close() // the server may still be writing its session tickets
	<-serverErr
}

func TestWriteFiles(t *testing.T) {
	cert, err := Certificate("a.test")
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := WriteFiles(t.TempDir(), &cert)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Leaf.Equal(cert.Leaf) {
		t.Error("the files have another certificate")
	}
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
	if _, _, err := WriteFiles(filepath.Join(certFile, "none"), &cert); err == nil {
		t.Error("there is no error where the files cannot be written")
	}
}
