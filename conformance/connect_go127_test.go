//go:build go1.27

package conformance

// connsOfChallenge is how many connections a client of HTTP/1.1 makes for a CONNECT that is
// challenged and sent again: since Go 1.27 net/http closes a connection behind CONNECT, whatever
// the status.
const connsOfChallenge = 2
