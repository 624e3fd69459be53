package client

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/sluice-go/sluice/internal/syntax"
)

// dialHost returns the form of a host with an optional port by which it is looked up: that of
// IDNA's lookup (RFC 5891 §5, with the mapping of UTS 46), as in net/http. A name that IDNA refuses
// stays as it is, so that the resolver says what is wrong with it.
func dialHost(host string) string {
	if isASCII(host) {
		return host
	}
	name, port := cutColon(host)
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return host
	}
	return ascii + port
}

// asciiHost returns the form of a host with an optional port that is sent: that of dialHost, or
// Punycode (RFC 3492) alone where IDNA refuses the name.
func asciiHost(host string) (string, error) {
	if isASCII(host) {
		return host, nil
	}
	if !utf8.ValidString(host) {
		return "", errInvalidHost
	}
	ascii := dialHost(host)
	if !isASCII(ascii) {
		name, port := cutColon(host)
		name, err := idna.Punycode.ToASCII(name)
		if err != nil {
			return "", errInvalidHost
		}
		ascii = name + port
	}
	for i := range len(ascii) {
		if !syntax.AuthorityChar(ascii[i]) {
			return "", errInvalidHost
		}
	}
	return ascii, nil
}

var errInvalidHost = errors.New("http2: invalid Host header")

// cutColon cuts a host that is no IPv6 address before the colon of its port.
func cutColon(host string) (name, port string) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		return host[:i], host[i:]
	}
	return host, ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
