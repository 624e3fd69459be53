package capture

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// tlsRules are about the use of TLS (RFC 9113 §9.2). They are checked when the connection begins.
var tlsRules = []rule{
	{
		Rule: Rule{
			ID: "tls-version", Group: "TLS", Section: "RFC 9113 §9.2", Severity: Error,
			Title: "TLS older than 1.2",
			Text:  "HTTP/2 needs TLS 1.2 or later. Peers end the connection with INADEQUATE_SECURITY.",
		},
		kind: onOpen, on: func(l *lint, e *lintEvent) []*offence {
			t := l.s.info.TLS
			if t == nil || t.Version == 0 || t.Version >= tls.VersionTLS12 {
				return nil
			}
			return []*offence{{text: "the connection is " + t.VersionName(), time: e.time, dir: Server}}
		},
	},
	{
		Rule: Rule{
			ID: "tls-cipher-suite", Group: "TLS", Section: "RFC 9113 §9.2.2", Severity: Warning,
			Title: "a cipher suite that HTTP/2 prohibits",
			Text: "With TLS 1.2 the suite has to have an ephemeral key exchange and be an AEAD (RFC 9113, Appendix " +
				"A). Peers may end the connection with INADEQUATE_SECURITY.",
		},
		kind: onOpen, on: func(l *lint, e *lintEvent) []*offence {
			t := l.s.info.TLS
			if t == nil || t.Version != tls.VersionTLS12 || !prohibited(t.CipherSuite) {
				return nil
			}
			return []*offence{{text: "the connection uses " + tls.CipherSuiteName(t.CipherSuite), time: e.time, dir: Server}}
		},
	},
	{
		Rule: Rule{
			ID: "tls-server-name", Group: "TLS", Section: "RFC 9113 §9.2", Severity: Note,
			Title: "the client does not name the server",
			Text: "ClientHello has no server_name, which HTTP/2 over TLS has to have unless the server is named by " +
				"its address. A server of several names cannot choose its certificate.",
		},
		kind: onOpen, on: func(l *lint, e *lintEvent) []*offence {
			t, server := l.s.info.TLS, l.s.info.Server
			if t == nil || t.ServerName != "" || t.ClientRandom == nil || local(server) {
				return nil
			}
			return []*offence{{text: "the client does not name the server in its ClientHello", time: e.time, dir: Client}}
		},
	},
}

// prohibited reports whether Appendix A of RFC 9113 lists a suite of TLS 1.2. One whose name is not
// known is not judged.
func prohibited(suite uint16) bool {
	name := tls.CipherSuiteName(suite)
	if !strings.HasPrefix(name, "TLS_") {
		return false
	}
	return !strings.Contains(name, "DHE_") || !strings.Contains(name, "_GCM_") && !strings.Contains(name, "_CHACHA20_")
}

// local reports whether a server is likely to be named by its address.
func local(a netip.AddrPort) bool {
	ip := a.Addr()
	return !ip.IsValid() || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}
