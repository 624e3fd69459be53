package proxydial

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/sluice-go/sluice/internal/syntax"
)

// maxHostLen is the length of the longest name of the DNS, with a dot at its end.
const maxHostLen = 254

// checkTarget returns addr, "host:port", in the form in which it goes into the head of a request
// and into Host. Nothing of another meaning gets through: neither the end of a line nor userinfo
// nor a path, nor a port that a proxy might read in another way.
func checkTarget(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", &net.AddrError{Err: "the target of a tunnel is not \"host:port\"", Addr: addr}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '+' {
		return "", &net.AddrError{Err: "the port of a tunnel's target is not 1 to 65535", Addr: addr}
	}
	port = strconv.FormatUint(n, 10)
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", &net.AddrError{Err: "an address with a zone has no meaning at a proxy", Addr: addr}
		}
		return net.JoinHostPort(host, port), nil
	}
	if !isASCII(host) && utf8.ValidString(host) { // an octet that is none is not valid below
		if host, err = idna.Lookup.ToASCII(host); err != nil {
			return "", &net.AddrError{Err: "the host of a tunnel's target is no name: " + err.Error(), Addr: addr}
		}
	}
	if !validHost(host) {
		return "", &net.AddrError{Err: "the host of a tunnel's target is no name and no address", Addr: addr}
	}
	return net.JoinHostPort(host, port), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// validHost reports whether s is made of letters, digits, hyphens, underscores and dots.
func validHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxHostLen && s[0] != '.'
}

// checkHeader reports as an error what cannot be a field.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if !syntax.ValidToken(name) {
			return fmt.Errorf("proxy: the name of the field %q for CONNECT is not a token", name)
		}
		for _, v := range values {
			if !syntax.ValidValue(v) {
				return fmt.Errorf("proxy: the value of the field %s for CONNECT has an octet that is not allowed", name)
			}
		}
	}
	return nil
}
