package tunnel

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// ClientCertFile is the file of a certificate for [ClientCertFiles].
type ClientCertFile struct {
	Host string // as in Interceptor.PassThrough
	File string // PEM with the certificate, those of its chain, and the private key
}

// ClientCertFiles returns a function for Interceptor.ClientCertificate. The first Host that means
// the origin decides. A file is read for each connection to an origin that asks for a certificate,
// so that it may be renewed; the error is that of one that cannot be used now.
func ClientCertFiles(files ...ClientCertFile) (func(t *Target, host string) (*tls.Certificate, error), error) {
	for _, f := range files {
		if normalHost(f.Host) == "" {
			return nil, fmt.Errorf("tunnel: the certificate in %s is for no host", f.File)
		}
		if _, err := f.load(); err != nil {
			return nil, err
		}
	}
	return func(_ *Target, host string) (*tls.Certificate, error) {
		for _, f := range files {
			if matchHost(f.Host, host) {
				return f.load()
			}
		}
		return nil, nil
	}, nil
}

func (f *ClientCertFile) load() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(f.File, f.File)
	if err != nil {
		return nil, fmt.Errorf("tunnel: the certificate and key for %s in %s: %w", f.Host, f.File, err)
	}
	return &cert, nil
}

// clientCertError is why there is no certificate for an origin that asks for one.
type clientCertError struct{ err error }

func (e *clientCertError) Error() string { return e.err.Error() }
func (e *clientCertError) Unwrap() error { return e.err }

// clientCertificate answers an origin that asks for a certificate, when its own has been verified.
func (s *session) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	none := &tls.Certificate{}
	if s.i.ClientCertificate == nil || !s.verify {
		return none, nil
	}
	cert, err := s.i.ClientCertificate(s.target, s.host)
	switch {
	case err != nil:
		return nil, &clientCertError{err}
	case cert == nil:
		return none, nil
	}
	return cert, nil
}

// isClientCertError reports whether a handshake with an origin has failed for the lack of a
// certificate of the proxy.
func isClientCertError(err error) bool {
	var e *clientCertError
	return errors.As(err, &e)
}
