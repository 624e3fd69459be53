package tunnel

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// A reverse tunnel leads into a network that cannot be dialled. Its inner side dials out, and
// proves by a request of HTTP/1.1 that it may serve:
//
//	GET / HTTP/1.1
//	Host: outer.example:8443
//	Connection: Upgrade
//	Upgrade: PTTH/2.0
//	Authorization: Bearer TOKEN
//
// The outer side answers with 101 (Switching Protocols), and from then on that connection is one of
// HTTP/2 with the roles reversed: the outer side is the client, and sends the preface (RFC 9113
// §3.4) and CONNECT requests (§8.5), and the inner side is the server. "PTTH/1.0" is known as the
// same for HTTP/1.1; neither is registered.

// reverseProtocol is the upgrade token.
const reverseProtocol = "PTTH/2.0"

// Defaults of ReverseInner and ReverseOuter.
const (
	// DefaultReverseConnections is how many connections an inner side keeps.
	DefaultReverseConnections = 2
	// DefaultReverseMaxConns bounds the connections that an outer side accepts.
	DefaultReverseMaxConns = 1000
	// DefaultReverseKeepAlive is how long nothing may arrive on a connection before a PING is sent.
	DefaultReverseKeepAlive = 15 * time.Second
	// DefaultReverseWait is how long a dial waits for an inner side.
	DefaultReverseWait = 10 * time.Second
)

const (
	// reverseHandshakeTimeout bounds the upgrade, with the dial and TLS before it.
	reverseHandshakeTimeout = 30 * time.Second
	// reversePingTimeout is how long the answer to a PING may take.
	reversePingTimeout = 10 * time.Second
)

// BearerToken returns a function for [ReverseOuter.Authenticate] that lets in the requests with one
// of the tokens (RFC 6750 §2.1). They are compared in constant time. Empty tokens let in nobody.
func BearerToken(tokens ...string) func(*http.Request) bool {
	sums := make([][sha256.Size]byte, 0, len(tokens))
	for _, t := range tokens {
		if t != "" {
			sums = append(sums, sha256.Sum256([]byte(t)))
		}
	}
	return func(r *http.Request) bool {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(token))
		ok := 0
		for i := range sums {
			ok |= subtle.ConstantTimeCompare(sum[:], sums[i][:])
		}
		return ok == 1 && strings.EqualFold(scheme, "Bearer")
	}
}

// asksForReverse reports whether a request asks for the roles to be reversed.
func asksForReverse(h http.Header) bool {
	return syntax.HasToken(h["Connection"], "upgrade") && len(h["Upgrade"]) == 1 &&
		strings.EqualFold(h["Upgrade"][0], reverseProtocol)
}
