package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// handshakeOrigin makes TLS with the origin as the client would: with its versions and its list of
// protocols.
func (s *session) handshakeOrigin(hello *tls.ClientHelloInfo) error {
	cfg := &tls.Config{
		ServerName:         s.host,
		RootCAs:            s.i.RootCAs,
		NextProtos:         hello.SupportedProtos,
		InsecureSkipVerify: !s.verify,
		MinVersion:         tls.VersionTLS12,
		KeyLogWriter:       s.i.KeyLogWriter,

		GetClientCertificate: s.clientCertificate,
	}
	if v := hello.SupportedVersions; len(v) > 0 {
		cfg.MaxVersion = slices.Max(v)
		cfg.MinVersion = max(slices.Min(v), tls.VersionTLS12)
		if cfg.MaxVersion < tls.VersionTLS12 {
			return &alertError{code: alertProtocolVersion, text: "the client has no TLS 1.2"}
		}
	}
	s.originTLS = tls.Client(s.originRaw, cfg)
	ctx, cancel := context.WithTimeout(s.ctx, s.i.handshakeTimeout())
	defer cancel()
	err := s.originTLS.HandshakeContext(ctx)
	if code, ok := remoteAlert(err); ok {
		return &alertError{code: code, text: "the origin has answered the TLS handshake with an alert", cause: err}
	}
	return err
}

// handshakeClient makes TLS with the client, with the protocol that the origin has chosen, "" for
// none, and at most its version of TLS.
func (s *session) handshakeClient(protocol string, version uint16) error {
	cert, err := s.i.certificate(s.host)
	if err != nil {
		s.sendAlert(alertInternalError)
		return err
	}
	cfg := &tls.Config{
		Certificates:           []tls.Certificate{*cert},
		MinVersion:             tls.VersionTLS12,
		MaxVersion:             version,
		SessionTicketsDisabled: true,
		KeyLogWriter:           s.i.KeyLogWriter,
	}
	if protocol != "" {
		cfg.NextProtos = []string{protocol}
	}
	s.clientTLS = tls.Server(s.clientRaw, cfg)
	ctx, cancel := context.WithTimeout(s.ctx, s.i.handshakeTimeout())
	defer cancel()
	err = s.clientTLS.HandshakeContext(ctx)
	if code, ok := remoteAlert(err); ok && alertsOfTrust[code] {
		err = fmt.Errorf("the client does not trust the proxy's CA (SHA-256 %s): %w", s.i.CA.Fingerprint(), err)
	}
	if err != nil {
		return &handshakeError{err}
	}
	return nil
}

func (i *Interceptor) handshakeTimeout() time.Duration {
	if i.HandshakeTimeout > 0 {
		return i.HandshakeTimeout
	}
	return DefaultHandshakeTimeout
}

// The alerts of TLS that have a name here (RFC 8446 §6.2).
const (
	alertHandshakeFailure uint8 = 40
	alertProtocolVersion  uint8 = 70
	alertInternalError    uint8 = 80
	alertUnrecognizedName uint8 = 112
)

// alertsOfTrust are those that a client sends for a certificate which it does not take.
var alertsOfTrust = map[uint8]bool{42: true, 43: true, 45: true, 46: true, 48: true}

// handshakeError is why there is no TLS connection to the client.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake with the client: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// alertError is why the client's handshake is to fail, with the same alert as without the proxy.
type alertError struct {
	code  uint8
	text  string
	cause error
}

func (e *alertError) Error() string {
	if e.cause == nil {
		return e.text
	}
	return e.text + ": " + e.cause.Error()
}

func (e *alertError) Unwrap() error { return e.cause }

// sendAlert writes a fatal alert to a client to which nothing else was written.
func (s *session) sendAlert(code uint8) { s.writeAlert([]byte{21, 3, 3, 0, 2, 2, code}) }

func (s *session) writeAlert(record []byte) {
	_ = s.clientRaw.SetWriteDeadline(time.Now().Add(closeGrace))
	_, _ = s.clientRaw.Write(record)
	_ = closeWrite(s.clientRaw)
}

// remoteAlert returns the alert that the peer has sent. crypto/tls does not export its type, but
// its texts.
func remoteAlert(err error) (uint8, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	text := op.Err.Error()
	for code := range 256 {
		if tls.AlertError(code).Error() == text {
			return uint8(code), true
		}
	}
	return 0, false
}

// tlsRefusal says why there is no TLS connection to the origin.
func (s *session) tlsRefusal(err error) *Refusal {
	var (
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	r := &Refusal{Status: http.StatusBadGateway, Type: "tls_protocol_error", Err: err}
	switch {
	case errors.As(err, &cert):
		r.Type = "tls_certificate_error"
		switch {
		case errors.As(err, &name):
			r.Details = "the certificate of " + s.host + " is for another name"
		case errors.As(err, &unknown):
			r.Details = "the certificate of " + s.host + " is signed by an authority that is not trusted"
		case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
			r.Details = "the certificate of " + s.host + " has expired or is not yet valid"
		default:
			r.Details = "the certificate of " + s.host + " is not valid"
		}
	case isClientCertError(err):
		r.Type, r.Details = typeConfiguration, "the proxy has no client certificate for "+s.host+", which asks for one"
	case errors.Is(err, context.DeadlineExceeded):
		r.Status, r.Type = http.StatusGatewayTimeout, typeTimeout
		r.Details = s.host + " has not completed the TLS handshake in time"
	default:
		r.Details = "the TLS handshake with " + s.host + " has failed"
	}
	return r
}
