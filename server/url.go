package server

import (
	"net/url"
	"strings"
)

// plainPath has the octets of a path that are the same escaped and unescaped.
var plainPath = octetSet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@")

// octetSet returns a table in which the octets of s are true.
func octetSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

// parsePath sets u, which is zero, to what url.ParseRequestURI makes of a :path (RFC 9113 §8.3.1).
// Paths without escapes, nearly all, take a short way.
func parsePath(u *url.URL, path string) error {
	if len(path) > 0 && path[0] == '/' {
		i := 0
		for i < len(path) && plainPath[path[i]] {
			i++
		}
		if i == len(path) {
			u.Path = path
			return nil
		}
		if path[i] == '?' && plainQuery(path[i+1:]) {
			u.Path, u.RawQuery = path[:i], path[i+1:]
			u.ForceQuery = u.RawQuery == ""
			return nil
		}
	}
	parsed, err := url.ParseRequestURI(path)
	if err != nil {
		return err
	}
	*u = *parsed
	return nil
}

// plainQuery reports whether q has no octet that url.ParseRequestURI refuses.
func plainQuery(q string) bool {
	return strings.IndexFunc(q, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
