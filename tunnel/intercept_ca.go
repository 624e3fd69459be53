package tunnel

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Files of LoadCA.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca-key.pem"
)

const (
	caLifetime = 10 * 365 * 24 * time.Hour
	caSkew     = 24 * time.Hour // by which the clocks of clients may be behind
)

// A CA is the certificate authority of an Interceptor. Clients have to trust its certificate. With
// its key anyone can pretend to be any site to them.
type CA struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain [][]byte // DER, of cert first
	file  string   // of cert; "" where it came from NewCA
}

// LoadCA returns the CA in a directory: the certificate in ca.pem and its key in ca-key.pem. What
// is missing is made: the directory with mode 0700, an ECDSA P-256 key in a file of mode 0600, and
// a certificate for ten years. Of several programs that do so at the same time one makes each file,
// whole, and all use it. A key file that others may read is an error, but on Windows. The trust of
// the system is not touched: see Trust.
func LoadCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("tunnel: directory of the CA: %w", err)
	}
	keyFile, certFile := filepath.Join(dir, caKeyFile), filepath.Join(dir, caCertFile)
	if err := makeFile(keyFile, 0o600, newCAKey); err != nil {
		return nil, fmt.Errorf("tunnel: key of the CA: %w", err)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, fmt.Errorf("tunnel: key of the CA: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("tunnel: key of the CA: others may read %s, which has mode %04o: chmod 600 it", keyFile, mode)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("tunnel: key of the CA: %w", err)
	}
	if err := makeFile(certFile, 0o644, func() ([]byte, error) { return newCACert(keyPEM) }); err != nil {
		return nil, fmt.Errorf("tunnel: certificate of the CA: %w", err)
	}
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("tunnel: certificate of the CA: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("tunnel: %s and %s: %w", certFile, keyFile, err)
	}
	ca, err := NewCA(pair)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, certFile)
	}
	ca.file = certFile
	return ca, nil
}

// NewCA makes a CA of a certificate, with intermediate ones behind it if it is not a root itself,
// and its key. The error says why it cannot sign certificates of hosts now.
func NewCA(pair tls.Certificate) (*CA, error) {
	if len(pair.Certificate) == 0 {
		return nil, errors.New("tunnel: no certificate of a CA")
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("tunnel: certificate of the CA: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("tunnel: a key of type %T cannot sign", pair.PrivateKey)
	}
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	now := time.Now()
	switch {
	case !ok || !pub.Equal(cert.PublicKey):
		return nil, errors.New("tunnel: the key is not that of the CA's certificate")
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return nil, errors.New("tunnel: the certificate is not that of a CA")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("tunnel: the CA's certificate does not allow it to sign certificates")
	case now.After(cert.NotAfter):
		return nil, fmt.Errorf("tunnel: the CA's certificate has expired at %s", cert.NotAfter.Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return nil, fmt.Errorf("tunnel: the CA's certificate is valid from %s on", cert.NotBefore.Format(time.RFC3339))
	}
	return &CA{cert: cert, key: key, chain: pair.Certificate}, nil
}

// Certificate returns the certificate that clients have to trust. It must not be changed.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// PEM returns the certificate as a PEM block.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Fingerprint returns the SHA-256 of the certificate, as browsers and openssl show it.
func (ca *CA) Fingerprint() string {
	sum := sha256.Sum256(ca.cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Trust returns a text for people: which certificate this is, and how to have programs trust it.
func (ca *CA) Trust() string {
	file := ca.file
	if file == "" {
		file = "CA.pem"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CA certificate: %s\n", file)
	fmt.Fprintf(&b, "SHA-256:        %s\n", ca.Fingerprint())
	fmt.Fprintf(&b, "Valid until:    %s\n", ca.cert.NotAfter.UTC().Format(time.DateOnly))
	b.WriteString("Programs that use the proxy have to trust it; nothing was changed on this system. For example:\n")
	fmt.Fprintf(&b, "  curl:              curl --cacert %s …\n", file)
	fmt.Fprintf(&b, "  Go, OpenSSL:       SSL_CERT_FILE=%s\n", file)
	fmt.Fprintf(&b, "  node:              NODE_EXTRA_CA_CERTS=%s\n", file)
	fmt.Fprintf(&b, "  Python requests:   REQUESTS_CA_BUNDLE=%s\n", file)
	fmt.Fprintf(&b, "  git:               git config http.sslCAInfo %s\n", file)
	fmt.Fprintf(&b, "  Chromium on Linux: certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sluice -i %s\n", file)
	return b.String()
}

// makeFile makes a file of what content returns, whole and with its mode from the start, unless
// there is one.
func makeFile(name string, mode fs.FileMode, content func() ([]byte, error)) error {
	if _, err := os.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := content()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func newCAKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// newCACert makes a certificate for the key of a CA.
func newCACert(keyPEM []byte) ([]byte, error) {
	block, _ := pem.Decode(bytes.TrimSpace(keyPEM))
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no key in PKCS #8", caKeyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", caKeyFile, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key of type %T cannot sign", caKeyFile, parsed)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	host, _ := os.Hostname()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "sluice proxy CA", Organization: []string{host}},
		NotBefore:             now.Add(-caSkew),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if host == "" {
		template.Subject.Organization = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// newSerial returns the serial number of a certificate: 127 random bits, which RFC 5280 §4.1.2.2
// has room for.
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
