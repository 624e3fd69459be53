package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Defaults of Interceptor.
const (
	DefaultMaxCertificates  = 1000
	DefaultHandshakeTimeout = 30 * time.Second
)

// Interceptor ends the TLS of tunnels and sees what they carry: to the client it is the origin,
// with a certificate that CA has signed, and to the origin a client. The two connections speak the
// same protocol, HTTP/2 or HTTP/1.1, as the origin chooses from the client's list (ALPN, RFC 7301).
// What is no TLS, or no HTTP within TLS, is relayed as it is.
//
// The fields must not be changed once a Proxy serves with it.
type Interceptor struct {
	// CA signs the certificates that clients see. It must be set: see [LoadCA] and [NewCA].
	CA *CA

	// PassThrough lists hosts whose TLS is relayed untouched: "example.com" is that name alone,
	// "*.example.com" are the names below it, ".example.com" is both, and "192.0.2.1" an address.
	// The host of the CONNECT counts, and the name that the client asks for in TLS (SNI) where that
	// host is an address.
	PassThrough []string

	// Insecure lists hosts, as in PassThrough, whose certificates are not verified. They get no
	// fields of SetFields.
	Insecure []string

	// RootCAs are the roots of the certificates of origins. A nil RootCAs is those of the system.
	RootCAs *x509.CertPool

	// SetFields, if set, returns fields to set in requests to a host, in place of those of the same
	// name that the client sends: credentials, for example. It is asked once for each tunnel, with
	// the name that the origin's certificate was verified for; no other connection, and no request
	// for another authority, gets them. They are sent never-indexed (RFC 7541 §7.1.3), and are
	// neither in a Record nor in the log. An error has requests answered with 502. See
	// [FieldRules].
	SetFields func(ctx context.Context, t *Target, host string) (http.Header, error)

	// ClientCertificate, if set, returns the certificate for an origin that asks for one, nil for
	// none. It is asked for origins whose certificate was verified for host. An error has requests
	// answered with 502. See [ClientCertFiles].
	ClientCertificate func(t *Target, host string) (*tls.Certificate, error)

	// Tracer, if set, sees what both connections of a tunnel carry, without TLS.
	Tracer InterceptTracer

	// KeyLogWriter, if set, is that of both TLS connections of a tunnel (tls.Config.KeyLogWriter).
	// What it gets decrypts them.
	KeyLogWriter io.Writer

	// MaxCertificates bounds how many certificates for hosts are kept. Default
	// [DefaultMaxCertificates], 1000.
	MaxCertificates int

	// HandshakeTimeout bounds how long a client may take to begin, and how long each of the two TLS
	// handshakes may take. Default [DefaultHandshakeTimeout], 30 s.
	HandshakeTimeout time.Duration

	leaves leafCache
	lastID atomic.Uint64 // of the tunnels
}
