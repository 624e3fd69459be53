package selfsigned

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFiles writes the first certificate and the key of cert to cert.pem and key.pem in dir, as
// [tls.LoadX509KeyPair] and other servers read them, and returns the names of the two files. Their
// owner alone may read the key.
func WriteFiles(dir string, cert *tls.Certificate) (certFile, keyFile string, err error) {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", fmt.Errorf("selfsigned: encoding the key: %w", err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certBlock := &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}
	keyBlock := &pem.Block{Type: "PRIVATE KEY", Bytes: key}
	return certFile, keyFile, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(certBlock), 0o644), //nolint:gosec // certificates are public
		os.WriteFile(keyFile, pem.EncodeToMemory(keyBlock), 0o600))
}
