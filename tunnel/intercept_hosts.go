package tunnel

import (
	"net/netip"
	"strings"
)

// matchHost reports whether a pattern of PassThrough, Insecure or FieldRules means a host, which is
// in the form of Target.Host.
func matchHost(pattern, host string) bool {
	p := normalHost(pattern)
	switch {
	case p == "*":
		return true
	case strings.HasPrefix(p, "*."):
		return strings.HasSuffix(host, p[1:]) && len(host) > len(p[1:])
	case strings.HasPrefix(p, "."):
		return strings.HasSuffix(host, p) && len(host) > len(p) || host == p[1:]
	}
	return p == host && p != ""
}

func matchAny(patterns []string, host string) bool {
	for _, p := range patterns {
		if matchHost(p, host) {
			return true
		}
	}
	return false
}

// normalHost brings a host into the form of Target.Host: in lower case, without brackets or a dot
// at the end, an address in its usual form.
func normalHost(s string) string {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().String()
	}
	return s
}

// validServerName reports whether s, in lower case, can be the name of a host in a certificate.
// Names with an underscore exist, and browsers take them.
func validServerName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
