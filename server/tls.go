package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/netconn"
)

// handshake does the TLS handshake of a connection that has one. The state is nil on cleartext.
func (pc *pendingConn) handshake() (*tls.ConnectionState, error) {
	h, isTLS := pc.nc.(interface {
		HandshakeContext(ctx context.Context) error
	})
	if !isTLS {
		return connectionState(pc.nc), nil
	}
	d, begun := pc.handshakeTimeout(), time.Now()
	if d > 0 {
		_ = pc.nc.SetDeadline(begun.Add(d)) // where nc refuses or ignores that, the timer closes it
		defer netconn.CloseAfter(pc.accepted, d)()
	}
	err := h.HandshakeContext(pc.ctx)
	if err != nil && d > 0 && time.Since(begun) >= d {
		err = os.ErrDeadlineExceeded // whatever nc says, which may say no more than that it is closed
	}
	if err != nil {
		err = handshakeError(err)
		pc.s.logf("http: TLS handshake error from %s: %v", pc.nc.RemoteAddr(), err)
		return nil, err
	}
	_ = pc.nc.SetDeadline(time.Time{})
	return connectionState(pc.nc), nil
}

// handshakeError answers a client that speaks HTTP/1.1 without TLS, and returns what to log.
func handshakeError(err error) error {
	var re tls.RecordHeaderError
	if !errors.As(err, &re) || re.Conn == nil {
		return err
	}
	switch string(re.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(re.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		return errors.New("client sent an HTTP request to an HTTPS server")
	}
	return err
}

// handshakeTimeout is the shortest of the timeouts that are set, as net/http has it, or else
// PrefaceTimeout.
func (pc *pendingConn) handshakeTimeout() time.Duration {
	s, least := pc.s, time.Duration(0)
	for _, d := range []time.Duration{s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return max(cmp.Or(least, pc.cfg.PrefaceTimeout, conn.DefaultPrefaceTimeout), 0)
}

// connectionState returns the TLS state of nc, nil where it has none.
func connectionState(nc net.Conn) *tls.ConnectionState {
	s, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := s.ConnectionState()
	return &state
}

// inadequateTLS returns why a TLS connection must not carry HTTP/2 (RFC 9113 §9.2), "" if it may.
func inadequateTLS(state *tls.ConnectionState, permitSuites bool) string {
	switch {
	case state == nil:
		return ""
	case state.Version < tls.VersionTLS12:
		return "TLS version too low"
	case state.Version == tls.VersionTLS12 && !permitSuites && !goodSuite(state.CipherSuite):
		return fmt.Sprintf("prohibited TLS 1.2 cipher suite: %#04x", state.CipherSuite)
	}
	return ""
}

// goodSuite reports whether a TLS 1.2 cipher suite is none of the many that RFC 9113 Appendix A
// prohibits: it has ephemeral keys and an AEAD, as these alone of those that crypto/tls knows.
func goodSuite(id uint16) bool {
	switch id {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return false
}

// errNoMandatorySuite is returned where HTTP/2 clients that offer only what RFC 9113 §9.2.2 demands
// could not connect.
var errNoMandatorySuite = errors.New(
	"server: TLSConfig.CipherSuites is missing an AES_128_GCM_SHA256 cipher suite that " +
		"HTTP/2 requires (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or " +
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)",
)

// checkSuites returns an error for a list of TLS 1.2 cipher suites that HTTP/2 cannot do with.
func checkSuites(c *tls.Config) error {
	if c == nil || c.CipherSuites == nil || c.MinVersion >= tls.VersionTLS13 ||
		slices.Contains(c.CipherSuites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) ||
		slices.Contains(c.CipherSuites, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) {
		return nil
	}
	return errNoMandatorySuite
}
