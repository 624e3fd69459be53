// Package alpn makes the lists of protocols that TLS offers (RFC 7301), for client and server
// alike.
package alpn

import (
	"net/http"
	"slices"
)

// The names of the protocols that net/http knows.
const (
	HTTP2 = "h2"
	HTTP1 = "http/1.1"
)

// Adjust returns a copy of list with "h2" and "http/1.1" in it as far as p has them, and not
// otherwise. Other names stay where they are.
func Adjust(list []string, p http.Protocols) []string {
	want := map[string]bool{HTTP2: p.HTTP2(), HTTP1: p.HTTP1()}
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		on, known := want[s]
		return known && !on
	})
	for _, s := range []string{HTTP2, HTTP1} {
		if want[s] && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
