package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	// lifetime stays below the 398 days beyond which browsers refuse a certificate outright, even
	// one whose issuer the user has decided to trust.
	lifetime = 30 * 24 * time.Hour
	// skew is how far a peer's clock may be behind ours.
	skew = time.Hour
)

// Certificate returns a new self-signed server certificate with an ECDSA P-256 key. Each host is a
// DNS name or an IP address; without any, the certificate is for localhost, 127.0.0.1 and ::1. It
// is valid for 30 days. Leaf is set, so that the caller can add it to a pool of trusted roots. An
// error means that a host cannot be put in a certificate or that the system gave no randomness.
func Certificate(hosts ...string) (tls.Certificate, error) {
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("selfsigned: making the key: %w", err)
	}
	// RFC 5280 §4.1.2.2: serial numbers are positive and have at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("selfsigned: making the serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "sluice self-signed"},
		NotBefore:    now.Add(-skew),
		NotAfter:     now.Add(lifetime),
		// A certificate that may sign is what lets the same bytes be a root in the peer's pool.
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("selfsigned: signing for %q: %w", hosts, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("selfsigned: reading back the certificate for %q: %w", hosts, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
