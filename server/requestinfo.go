package server

import (
	"net/http"

	"github.com/sluice-go/sluice/conn"
)

// RequestInfo is what an http.Request does not say of a request that came over HTTP/2.
type RequestInfo struct {
	// Scheme is the pseudo-header field ":scheme" (RFC 9113 §8.3.1), "" for CONNECT. A request for a
	// proxy to send on has that of its target: "http" also where it came over TLS.
	Scheme string

	// Conn is the connection that the request came on.
	Conn *conn.Conn
}

// InfoOf returns the RequestInfo of the request that w answers. w may be a wrapper with a method
// Unwrap, as for AcceptConnect. It reports false where the request did not come over HTTP/2 to this
// package, or its handler has returned.
func InfoOf(w http.ResponseWriter) (RequestInfo, bool) {
	r, ok := unwrap(w).(*response)
	if !ok {
		return RequestInfo{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.responseState == nil {
		return RequestInfo{}, false
	}
	return RequestInfo{Scheme: r.x.s.Message().Scheme, Conn: &r.x.sc.c.Conn}, true
}
