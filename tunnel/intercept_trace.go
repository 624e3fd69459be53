package tunnel

import (
	"crypto/tls"
	"net"

	"github.com/sluice-go/sluice/conn"
)

// Leg is one of the two connections of an intercepted tunnel.
type Leg uint8

// The two legs.
const (
	ClientLeg Leg = iota // between client and proxy
	OriginLeg            // between proxy and origin
)

func (l Leg) String() string {
	if l == OriginLeg {
		return "origin"
	}
	return "client"
}

// InterceptedConn describes an intercepted tunnel. It does not change.
type InterceptedConn struct {
	ID       uint64  // counts the tunnels of the Interceptor
	Target   *Target // of the CONNECT
	Host     string  // the name or address for which the client's certificate was made
	Protocol string  // that ALPN has chosen, such as "h2"; "" for none
	Verified bool    // the origin's certificate was verified

	Client, Origin tls.ConnectionState

	// Local and Remote are the proxy's addresses and those of the peers, by Leg; nil where they are
	// not known.
	Local, Remote [2]net.Addr

	// SetFields has the names of the fields that SetFields of the Interceptor has returned, in
	// lower case: their values, on the origin's leg, are secret.
	SetFields []string
}

// InterceptTracer sees what intercepted tunnels carry. Its methods must not keep the memory that
// they are given, and a slow one slows the tunnel. Those of one leg and direction are called in
// order; otherwise several goroutines may call at the same time.
type InterceptTracer interface {
	// TraceConn is called when both handshakes have succeeded, before anything else of the tunnel.
	TraceConn(c *InterceptedConn)

	// TraceFrame is called for each frame of HTTP/2, as by a conn.Tracer: conn.In is what the peer
	// of that leg has sent.
	TraceFrame(c *InterceptedConn, leg Leg, f conn.FrameTrace)

	// TraceOctets is called with the octets of HTTP/1.1, and of what is no HTTP.
	TraceOctets(c *InterceptedConn, leg Leg, d conn.Direction, p []byte)

	// TraceEnd is called last, with why the tunnel has ended; nil is in good order.
	TraceEnd(c *InterceptedConn, err error)
}

// legTracer is the conn.Tracer of one leg.
type legTracer struct {
	t   InterceptTracer
	c   *InterceptedConn
	leg Leg
}

func (t *legTracer) TraceFrame(_ *conn.Conn, f conn.FrameTrace) { t.t.TraceFrame(t.c, t.leg, f) }
