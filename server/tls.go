package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
)

// inadequateTLS tells why a TLS connection must not carry HTTP/2 (RFC 9113 §9.2), "" if it may.
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

// goodSuite tells whether a TLS 1.2 cipher suite is none of the many that RFC 9113 Appendix A
// prohibits: it has ephemeral keys and an AEAD. Of those that crypto/tls knows, these are left.
func goodSuite(id uint16) bool {
	switch id {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return false
}

// errNoMandatorySuite: HTTP/2 clients that offer only what RFC 9113 §9.2.2 demands could not
// connect.
var errNoMandatorySuite = errors.New(
	"server: TLSConfig.CipherSuites is missing an AES_128_GCM_SHA256 cipher suite that " +
		"HTTP/2 requires (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or " +
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)",
)

// checkSuites refuses a list of TLS 1.2 cipher suites that HTTP/2 cannot do with.
func checkSuites(c *tls.Config) error {
	if c == nil || c.CipherSuites == nil || c.MinVersion >= tls.VersionTLS13 ||
		slices.Contains(c.CipherSuites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) ||
		slices.Contains(c.CipherSuites, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) {
		return nil
	}
	return errNoMandatorySuite
}
