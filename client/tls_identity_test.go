package client

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// Connections of one configuration, which net/http clones for each, have one identity; another
// certificate, function or set of roots makes another.
func TestTLSIdentity(t *testing.T) {
	of := func(name string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.Log(name)
			return nil, nil
		}
	}
	base := &tls.Config{ServerName: "a.example", RootCAs: x509.NewCertPool(), GetClientCertificate: of("A")}
	id := func(change func(c *tls.Config)) string {
		c := base.Clone()
		change(c)
		return tlsIdentity(tls.Client(nil, c))
	}
	want := id(func(*tls.Config) {})
	if want == "" || want == "?" {
		t.Fatalf("identity %q: crypto/tls keeps the configuration in another way", want)
	}
	if got := id(func(c *tls.Config) { c.NextProtos = []string{"h2"} }); got != want {
		t.Error("ALPN makes another identity")
	}
	for name, change := range map[string]func(c *tls.Config){
		"another closure":    func(c *tls.Config) { c.GetClientCertificate = of("B") },
		"certificates":       func(c *tls.Config) { c.Certificates = make([]tls.Certificate, 1) },
		"roots":              func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
		"InsecureSkipVerify": func(c *tls.Config) { c.InsecureSkipVerify = true },
		"server name":        func(c *tls.Config) { c.ServerName = "b.example" },
	} {
		if id(change) == want {
			t.Errorf("%s: the same identity", name)
		}
	}
}
