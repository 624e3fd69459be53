// Package proxydial opens tunnels through a proxy: with CONNECT over HTTP/1.1 (RFC 9110 §9.3.6) and
// HTTP/2 (RFC 9113 §8.5), and with SOCKS 5 (RFC 1928). Packages client and tunnel make their
// dialers of it.
//
// The ways are these:
//
//	http            HTTP/1.1, a connection for each tunnel
//	https           TLS, and what ALPN chooses: HTTP/1.1, or HTTP/2
//	h2c             HTTP/2 by prior knowledge (RFC 9113 §3.3)
//	socks5, socks5h SOCKS 5, a connection for each tunnel
//
// Connections of HTTP/2 are shared by tunnels (shared.go). The name of the target is resolved by
// the proxy in each of them.
package proxydial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// Defaults of the fields of Dialer.
const (
	DefaultDialTimeout   = 30 * time.Second
	DefaultAnswerTimeout = time.Minute // as net/http

	DefaultMaxTunnelsPerConn = 100
)

// Dialer opens tunnels through one proxy. Its fields must not be changed once it is used.
type Dialer struct {
	// Proxy is the URL of the proxy. Its user and password are the credentials.
	Proxy *url.URL

	// Dial makes the connection to the proxy, and StartTLS does the handshake on one for an https
	// proxy at addr, which it closes when that fails. StartTLS is not needed for other schemes.
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	StartTLS func(ctx context.Context, nc net.Conn, addr string, protos []string) (*tls.Conn, error)

	// Header, if set, returns the fields of a request for a tunnel to target.
	Header func(ctx context.Context, target string) (http.Header, error)

	// OnResponse, if set, is called with each final response, before its status is looked at. An
	// error ends the dial.
	OnResponse func(ctx context.Context, req *http.Request, resp *http.Response) error

	// Credentials, if set, returns user and password where Proxy has none, or the proxy does not
	// take them; nil gives up. They are used for later tunnels, too, for as long as the proxy takes
	// them.
	Credentials func(ctx context.Context, c *Challenge) (*url.Userinfo, error)

	// Authenticate, if set, answers each challenge with a value of Proxy-Authorization; "" gives
	// up. It takes the place of Credentials, and has HTTP/1.1 spoken, so that all requests of an
	// authentication go over one connection.
	Authenticate func(ctx context.Context, c *Challenge) (string, error)

	// Config has the settings of HTTP/2 connections.
	Config conn.Config

	// MaxTunnelsPerConn bounds the tunnels on one HTTP/2 connection. Default
	// DefaultMaxTunnelsPerConn; negative: the proxy's limit alone. A tunnel counts until the proxy
	// has ended it, too.
	MaxTunnelsPerConn int

	// DialTimeout bounds the time in which the proxy is reached, AnswerTimeout that until it has
	// answered a request. The defaults are DefaultDialTimeout and DefaultAnswerTimeout; negative:
	// no limit.
	DialTimeout   time.Duration
	AnswerTimeout time.Duration

	closeIdle atomic.Bool // CloseIdleConnections was called since the last dial

	mu struct { // guards its own fields
		sync.Mutex
		closed   bool
		conns    []*conn.Client // of HTTP/2, that may take more tunnels
		dials    []*dial
		capacity int // how many tunnels a new connection is expected to take; 0 as long as there was none
		auth     remembered
	}
}

// DialContext opens a tunnel to addr, "host:port". The error is an *Error where the proxy does not
// open it, and a *net.OpError with the Op "proxyconnect", as of net/http, where the proxy is not
// reached. The context bounds the dial, and not the life of the tunnel.
//
// What it returns has a method CloseWrite, unless what Dial returns has none.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	target, err := checkTarget(addr)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch d.Proxy.Scheme {
	case "http", "https", "h2c":
		x := &exchange{d: d, target: target}
		return x.run(ctx)
	case "socks5", "socks5h":
		return d.dialSOCKS(ctx, target)
	}
	return nil, fmt.Errorf("proxy %s: the scheme is none of http, https, h2c, socks5 and socks5h", d.Proxy.Redacted())
}

// Knows reports whether a Dialer knows proxies of a scheme.
func Knows(scheme string) bool {
	switch scheme {
	case "http", "https", "h2c", "socks5", "socks5h":
		return true
	}
	return false
}

// ProxyAddr returns the "host:port" of a proxy.
func ProxyAddr(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "socks5", "socks5h":
			port = "1080"
		default:
			port = "80"
		}
	}
	host := u.Hostname()
	if host == "" {
		return "", fmt.Errorf("proxy %s: the URL has no host", u.Redacted())
	}
	return net.JoinHostPort(host, port), nil
}

// dialProxy makes a connection to the proxy, and reports whether HTTP/2 is to be spoken on it.
func (d *Dialer) dialProxy(ctx context.Context) (nc net.Conn, isHTTP2 bool, err error) {
	addr, err := ProxyAddr(d.Proxy)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := withTimeout(ctx, d.dialTimeout())
	defer cancel()
	defer func() {
		if err != nil {
			err = &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
		}
	}()
	nc, err = d.Dial(ctx, "tcp", addr)
	switch {
	case err != nil:
		return nil, false, err
	case nc == nil:
		return nil, false, errNoConn
	case d.Proxy.Scheme == "h2c":
		return nc, true, nil
	case d.Proxy.Scheme != "https":
		return nc, false, nil
	}
	protos := []string{"h2", "http/1.1"}
	if d.Authenticate != nil {
		protos = protos[1:]
	}
	tc, err := d.StartTLS(ctx, nc, addr, protos)
	if err != nil {
		return nil, false, err
	}
	state := tc.ConnectionState()
	isHTTP2 = state.NegotiatedProtocol == "h2"
	if isHTTP2 && state.Version < tls.VersionTLS12 {
		_ = tc.Close() // it was not used
		return nil, false, errOldTLS
	}
	return tc, isHTTP2, nil
}

var (
	errNoConn     = errors.New("the dial function has returned (nil, nil)")
	errDialExited = errors.New("the dial function did not return")
	errOldTLS     = errors.New("the proxy has chosen HTTP/2 with a version of TLS below 1.2 (RFC 9113 §9.2)")
	errNoStreams  = errors.New("the proxy allows no stream (SETTINGS_MAX_CONCURRENT_STREAMS of 0)")
	errHTTP1Only  = errors.New("proxy: Authenticate needs HTTP/1.1, and a proxy of the scheme h2c speaks HTTP/2")
)

// maxTunnels returns how many tunnels a connection of HTTP/2 may have.
func (d *Dialer) maxTunnels() int {
	if d.MaxTunnelsPerConn < 0 {
		return math.MaxInt32
	}
	return cmp.Or(d.MaxTunnelsPerConn, DefaultMaxTunnelsPerConn)
}

func (d *Dialer) dialTimeout() time.Duration { return cmp.Or(d.DialTimeout, DefaultDialTimeout) }

// withTimeout is context.WithTimeout, without a limit where d is negative.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// closeRaw closes nc without the close_notify of TLS, which could wait. It ends reads and writes
// that wait even where deadlines do not work.
func closeRaw(nc net.Conn) {
	defer func() { _ = recover() }() // nc is not used any more, so that a panic in its Close does not matter
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	_ = nc.Close()
}
