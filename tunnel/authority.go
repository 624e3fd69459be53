package tunnel

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Bounds of a name in DNS (RFC 1035 §2.3.4), as text.
const (
	maxHost  = 253
	maxLabel = 63
)

// parseAuthority returns the Host, Port and Addr of an authority such as "example.com:443". Where
// it names no port, the port is defaultPort; with a defaultPort of 0, it has to name one. The error
// is a *Refusal of status 400.
func parseAuthority(authority string, defaultPort uint16) (Target, error) {
	host, port, err := splitAuthority(authority, defaultPort)
	if err == nil {
		var t Target
		if t.Host, t.Addr, err = canonicalHost(host); err == nil {
			t.Port = port
			return t, nil
		}
	}
	return Target{}, &Refusal{
		Status: http.StatusBadRequest, Type: "http_request_error",
		Details: fmt.Sprintf("the target %s is no host and port: %v", shortQuote(withoutUserinfo(authority)), err), Err: err,
	}
}

// shortQuote quotes what a peer sent for a message: in ASCII and at most some 100 octets long.
func shortQuote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return strconv.QuoteToASCII(s)
}

// splitAuthority splits host and port. A host in brackets keeps them.
func splitAuthority(authority string, defaultPort uint16) (host string, port uint16, err error) {
	if strings.Contains(authority, "@") {
		return "", 0, fmt.Errorf("it has user information")
	}
	host, digits, hasPort := authority, "", false
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, digits, hasPort = authority[:i], authority[i+1:], true
	}
	if !hasPort || digits == "" {
		if defaultPort == 0 {
			return "", 0, fmt.Errorf("it names no port")
		}
		return host, defaultPort, nil
	}
	port, err = parsePort(digits)
	return host, port, err
}

// parsePort parses a port of 1 to 65535 in decimal.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16) // neither sign nor underscore with base 10
	if err != nil || n == 0 {
		return 0, fmt.Errorf("the port %s is not from 1 to 65535", shortQuote(s))
	}
	return uint16(n), nil
}

// canonicalHost returns the one form of a host that policies see and that is resolved: lower case,
// without brackets or a dot at the end, names of IDNA as A-labels (RFC 5891), and addresses as
// netip writes them, an IPv4-mapped one as IPv4. Addr is valid where host is an address.
//
// A host that a C resolver would take for an IPv4 address in another notation, such as 0x7f.1, is
// an error, and so are percent-encoding and zones.
func canonicalHost(host string) (string, netip.Addr, error) {
	if strings.HasPrefix(host, "[") {
		return bracketedHost(host)
	}
	if len(host) > 4*maxHost || !utf8.ValidString(host) {
		return "", netip.Addr{}, fmt.Errorf("the name is too long, or not UTF-8")
	}
	for i := range len(host) {
		if c := host[i]; c >= utf8.RuneSelf {
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return "", netip.Addr{}, fmt.Errorf("the name is not allowed by IDNA: %w", err)
			}
			host = ascii // also with the digits and dots of other scripts mapped to ASCII
			break
		}
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if err := checkName(host); err != nil {
		return "", netip.Addr{}, err
	}
	if !endsInNumber(host) {
		return host, netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", netip.Addr{}, fmt.Errorf("an IPv4 address is written as four decimal numbers from 0 to 255")
	}
	return addr.String(), addr, nil
}

// bracketedHost is canonicalHost of an IP-literal (RFC 3986 §3.2.2).
func bracketedHost(host string) (string, netip.Addr, error) {
	inner, ok := strings.CutSuffix(host[1:], "]")
	addr, err := netip.ParseAddr(inner)
	if !ok || err != nil || !addr.Is6() {
		return "", netip.Addr{}, fmt.Errorf("what is in brackets is no IPv6 address")
	}
	if addr.Zone() != "" {
		return "", netip.Addr{}, fmt.Errorf("an address with a zone has a meaning on one host only")
	}
	addr = addr.Unmap()
	return addr.String(), addr, nil
}

// checkName reports what is wrong with a name in lower case: labels of letters, digits, hyphens
// and underscores, not all of which names of hosts have, but which are used.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("the host is empty")
	}
	if len(name) > maxHost {
		return fmt.Errorf("the name has more than %d octets", maxHost)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return fmt.Errorf("the name has an empty label")
		}
		if len(label) > maxLabel {
			return fmt.Errorf("a label of the name has more than %d octets", maxLabel)
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				if c == ':' {
					return fmt.Errorf("an IPv6 address has to be in brackets")
				}
				return fmt.Errorf("the name has the octet %q", rune(c))
			}
		}
	}
	return nil
}

// endsInNumber reports whether the last label of a name is a number, in decimal or 0x notation: no
// top-level domain is, and resolvers of C take such a name for an IPv4 address.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	digits, isHex := strings.CutPrefix(last, "0x")
	for i := range len(digits) {
		c := digits[i]
		if (c < '0' || c > '9') && !(isHex && c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
