package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Defaults of Proxy.
const (
	DefaultDialTimeout = 30 * time.Second
	DefaultIdleTimeout = 10 * time.Minute
)

// Proxy is a forward proxy. It answers CONNECT (RFC 9110 §9.3.6, RFC 9113 §8.5) with a tunnel, and
// sends requests with a URL of the scheme http on to their origin. Serve it with a server.Server
// over HTTP/1.1, HTTP/2 on TLS and h2c.
//
// The fields must not be changed once the Proxy serves. The zero value lets any client reach port
// 443 of public addresses.
type Proxy struct {
	// Policy decides which targets may be reached. A nil Policy is the zero [Rules]: port 443, and
	// no address that is not public.
	Policy Policy

	// Auth, if set, tells the users that may use the proxy. A nil Auth lets in everyone that can
	// connect.
	Auth Authenticator

	// Resolver finds the addresses of names. A nil Resolver is net.DefaultResolver. A
	// *net.Resolver does not use the search list of the system: names are absolute.
	Resolver Resolver

	// DialContext, if set, dials an address that the policy has allowed: addr is an IP address and
	// a port. A nil DialContext is that of a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Upstream, if set, returns the proxy through which a target is reached, nil for none. The
	// policy decides by name and port then, since the other proxy finds the addresses. The schemes
	// are those of Dialer.Proxy; tunnels share the connections of HTTP/2. [UpstreamProxy] makes
	// such a function of one URL and NO_PROXY.
	Upstream func(*Target) (*url.URL, error)

	// DialTarget, if set, reaches targets in place of everything else: the proxy resolves no name,
	// and DialContext, Resolver and Upstream are not used. The policy decides by name and port then,
	// as with Upstream, and by address only of targets that are addresses. An error that is a
	// *Refusal chooses the answer. For a KindUDP, one Write of the connection is one datagram.
	// [ReverseOuter.DialTarget] is one such function.
	DialTarget func(ctx context.Context, t *Target) (net.Conn, error)

	// UpstreamTLS is used for the TLS to upstream proxies with the scheme https.
	UpstreamTLS *tls.Config

	// ProxyProtocol, if set, returns the version of the PROXY protocol, 1 or 2, whose header is
	// written first on the connection to the target, with the client's address as the source; 0
	// for none. An upstream proxy gets it in place of the target, on a connection for this tunnel
	// alone. It is not asked for requests of KindRequest and KindUDP, whose connections have
	// no one client or no stream.
	ProxyProtocol func(*Target) int

	// Transport sends on requests that are not CONNECT. A nil Transport is a client.Transport
	// that dials as tunnels do.
	Transport http.RoundTripper

	// RootCAs are the roots of the certificates of origins to which the proxy makes the TLS
	// connection itself: those of WebSockets with the scheme https or wss that were asked for
	// without a tunnel. A nil RootCAs is those of the system.
	RootCAs *x509.CertPool

	// Intercept, if set, ends the TLS of tunnels and sees what they carry.
	Intercept *Interceptor

	// UDP lets clients open tunnels for UDP (RFC 9298).
	UDP bool

	// DialTimeout bounds finding and reaching a target, and then a WebSocket's handshakes with it.
	// Default [DefaultDialTimeout], 30 s.
	DialTimeout time.Duration

	// IdleTimeout ends a tunnel that has carried nothing either way for that long. Default
	// [DefaultIdleTimeout], 10 min; negative is no limit.
	IdleTimeout time.Duration

	// MaxTunnelAge ends a tunnel however busy it is. Default 0, no limit.
	MaxTunnelAge time.Duration

	// MaxTunnelsPerUser bounds the tunnels that one user has at the same time; where there are no
	// users, those of one client address, or IPv6 network of 64 bits. Default 0, no limit.
	MaxTunnelsPerUser int

	// MaxTunnelsPerConn bounds the tunnels on one HTTP/2 connection. Default 0, no limit but
	// that of the server's streams.
	MaxTunnelsPerConn int

	// Name is the proxy's name in Via (RFC 9110 §7.6.3) and in Proxy-Status (RFC 9209 §2).
	// Default "sluice".
	Name string

	// Audit, if set, is called once for each tunnel and request, after it has ended.
	Audit func(*Record)

	// Logger gets what operators need to know. A nil Logger discards it.
	Logger *slog.Logger

	state proxyState
}

// A Target is what a client wants to reach.
type Target struct {
	Kind   Kind
	Host   string     // in lower case, without brackets or a dot at the end; an IP address in its usual form
	Port   uint16     // never 0
	Addr   netip.Addr // of Host where that is an IP address; else the zero Addr
	User   string     // that Auth has found; "" without Auth
	Client netip.AddrPort

	// Upstream is the proxy through which the target is reached, without its password, "" for
	// none. That proxy finds the addresses of names, so that the policy sees only those targets
	// as addresses that the client gave as such.
	Upstream string

	Proto  string      // "HTTP/1.1" or "HTTP/2.0", of the request; "tcp" for ServeConn
	Header http.Header // of the request, not to be changed; nil for ServeConn

	remote bool // Proxy.DialTarget reaches it, and finds the addresses
}

// Kind is the way in which a target is to be reached.
type Kind string

// Kinds of Target.
const (
	KindTunnel    Kind = "tunnel"    // CONNECT
	KindRequest   Kind = "request"   // a request with an absolute URL
	KindWebSocket Kind = "websocket" // RFC 6455 or RFC 8441
	KindUDP       Kind = "udp"       // RFC 9298
	KindExchange  Kind = "exchange"  // a request within a tunnel whose TLS the Interceptor ends; in a Record only
)
