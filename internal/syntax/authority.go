package syntax

import "strings"

// ValidPath reports whether s is a :path: an absolute path with an optional query, or the asterisk
// form (RFC 9113 §8.3.1). A whole URL, or a path without its slash, is neither: it could pass by
// rules on paths.
func ValidPath(s string) bool {
	if s == "" || s[0] != '/' {
		return s == "*"
	}
	for len(s) >= 8 {
		x := load64(s)
		if (hasBelow(x, ' '+1)|hasOctet(x, '#')|hasOctet(x, 0x7f))&highs != 0 {
			return false
		}
		s = s[8:]
	}
	return allIn(s, classPath)
}

// ValidScheme reports whether s is the scheme of a URL (RFC 3986 §3.1).
func ValidScheme(s string) bool {
	return s != "" && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z') && allIn(s, classScheme)
}

// AuthorityChar reports whether c may stand in an authority without userinfo (RFC 3986 §3.2.2).
func AuthorityChar(c byte) bool { return classes[c]&classAuthority != 0 }

// ValidAuthority reports whether s is host [":" port] with a host that is not empty, and no
// userinfo (RFC 9110 §4.2.1, RFC 3986 §3.2.2). An address in brackets is checked by its
// characters only.
func ValidAuthority(s string) bool {
	if !allIn(s, classAuthority) {
		return false
	}
	host, port := SplitPort(s)
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
		return !strings.ContainsAny(host, "[]") && allIn(port, classDigit)
	}
	return host != "" && !strings.ContainsAny(host, ":[]") && allIn(port, classDigit)
}

// SplitPort cuts s, a host with an optional port, at the colon before the port. A colon within
// brackets is part of the host.
func SplitPort(s string) (host, port string) {
	for i := len(s) - 1; i >= 0 && s[i] != ']'; i-- {
		if s[i] == ':' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// SameAuthority reports whether a and b, authorities of one scheme, name the same host and port,
// after the normalization of RFC 3986 §6.2.3 (RFC 9110 §4.2.3).
func SameAuthority(scheme, a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	hostA, portA := SplitPort(a)
	hostB, portB := SplitPort(b)
	return strings.EqualFold(hostA, hostB) && effectivePort(scheme, portA) == effectivePort(scheme, portB)
}

func effectivePort(scheme, port string) string {
	if port != "" {
		return port
	}
	return DefaultPort(scheme)
}

// DefaultPort is the port of a scheme where a URL names none, and empty for a scheme that is
// neither "http" nor "https" (RFC 9110 §4.2).
func DefaultPort(scheme string) string {
	switch {
	case strings.EqualFold(scheme, "https"):
		return "443"
	case strings.EqualFold(scheme, "http"):
		return "80"
	}
	return ""
}
