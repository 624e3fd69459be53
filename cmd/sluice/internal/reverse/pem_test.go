package reverse

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
)

// pems returns a certificate and its key as files have them.
func pems(der []byte, key crypto.PrivateKey) (cert, keyText string, err error) {
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})), nil
}
