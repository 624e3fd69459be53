package tunnel

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/proxydial"
)

// Defaults of Dialer.
const (
	DefaultMaxTunnelsPerConn = proxydial.DefaultMaxTunnelsPerConn // 100
	DefaultAnswerTimeout     = proxydial.DefaultAnswerTimeout     // 1 min, as net/http
	DefaultIdleConnTimeout   = 90 * time.Second
)

// Dialer opens tunnels through a proxy to anything that speaks TCP. Its DialContext is what
// http.Transport, smtp clients, database drivers and ssh take as their dial function.
//
// The fields must not be changed once the Dialer is used. Its methods may be called by any
// goroutine. It keeps connections to the proxy where that speaks HTTP/2, so it should be made once.
type Dialer struct {
	// Proxy is the URL of the proxy. A nil Proxy dials targets without one. By its scheme the proxy
	// is asked
	//
	//	http             with CONNECT over HTTP/1.1 (RFC 9110 §9.3.6)
	//	https            the same over TLS, or over HTTP/2 (RFC 9113 §8.5) where ALPN chooses that
	//	h2c              over HTTP/2 without TLS
	//	socks5, socks5h  with SOCKS 5 (RFC 1928)
	//
	// The ports are by default 80, 443, 80 and 1080. A user and password in the URL are sent as
	// Basic credentials, as in net/http and curl, with Digest (RFC 7616) where the proxy asks for
	// that, or as RFC 1929 says.
	Proxy *url.URL

	// DialProxy makes the connection to the proxy. The DialContext of another Dialer makes a chain:
	// the proxy is reached through that one's. A nil DialProxy is that of a net.Dialer.
	DialProxy func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLSClientConfig is used for the TLS to an https proxy, with its client certificates.
	// ServerName is by default the proxy's name, and NextProtos is set. It is not used for what a
	// tunnel carries.
	TLSClientConfig *tls.Config

	// Header has fields for the CONNECT request. GetHeader, if set, returns them instead; target is
	// what is asked for, "host:port". With a Proxy-Authorization field the Dialer answers no
	// challenge.
	Header    http.Header
	GetHeader func(ctx context.Context, target string) (http.Header, error)

	// Credentials, if set, is called where the proxy wants a user (407) and Proxy has none, or none
	// that it takes; nil gives up. The request is then sent once more, on the same connection where
	// the proxy keeps it, with Digest or Basic as the proxy asks. What the proxy takes is used for
	// later tunnels, until it is refused.
	Credentials func(ctx context.Context, c *Challenge) (*url.Userinfo, error)

	// Authenticate, if set, is called with each challenge (407) of the proxy, and returns the value
	// of Proxy-Authorization with which the request is sent again, "" to give up. It is for schemes
	// with several rounds that are bound to a connection, such as NTLM and Negotiate (RFC 4559), so
	// that HTTP/1.1 is spoken, and for any other. It is called up to 8 times for a tunnel, and
	// takes the place of the user in Proxy and of Credentials.
	Authenticate func(ctx context.Context, c *Challenge) (string, error)

	// MaxTunnelsPerConn bounds the tunnels on one HTTP/2 connection to the proxy. The proxy's own
	// limit holds, too, and another connection is made where all are full. A packet that is lost
	// holds up all tunnels of its connection. A tunnel counts until the proxy has ended its
	// direction. Default [DefaultMaxTunnelsPerConn], 100; negative is no limit but the proxy's.
	MaxTunnelsPerConn int

	// DialTimeout bounds the time in which the proxy is reached, handshake included. Default
	// [DefaultDialTimeout], 30 s; negative is no limit.
	DialTimeout time.Duration

	// AnswerTimeout bounds the time that the proxy takes to answer, in which it reaches the target.
	// Default [DefaultAnswerTimeout], 1 min; negative is no limit.
	AnswerTimeout time.Duration

	// IdleConnTimeout closes an HTTP/2 connection that had no tunnel for this long. Default
	// [DefaultIdleConnTimeout], 90 s; negative is no limit.
	IdleConnTimeout time.Duration

	once struct {
		sync.Once
		dialer *proxydial.Dialer // nil without a proxy
	}
}

// A Challenge is a proxy's 407 (Proxy Authentication Required).
type Challenge struct {
	Proxy  *url.URL // of the Dialer, not to be changed
	Target string   // "host:port" that was asked for
	Round  int      // 1 for the first challenge in the course of a dial
	Values []string // of the Proxy-Authenticate fields, as they came

	// State is for Authenticate: what it sets is there in the next round.
	State any
}

// ProxyError is the error of Dialer.DialContext where the proxy has refused the tunnel, or has not
// answered as it should.
type ProxyError = client.ProxyError

// DialContext opens a tunnel to addr, "host:port", for the network "tcp", "tcp4" or "tcp6". The
// name is resolved by the proxy. ctx bounds the dial, and not the life of the tunnel.
//
// What is returned has a method CloseWrite, which ends the direction to the target and leaves the
// other, and deadlines that work; with a DialProxy of one's own, as far as what that returns has
// them. A *conn.Tunnel is returned for HTTP/2.
//
// The error is a *ProxyError where the proxy has answered otherwise than with a 2xx, and a
// *net.OpError with the Op "proxyconnect", as in net/http, where the proxy was not reached.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d.init()
	if d.once.dialer == nil {
		return d.dialProxy(ctx, network, addr)
	}
	nc, err := d.once.dialer.DialContext(ctx, network, addr)
	var pe *proxydial.Error
	if errors.As(err, &pe) {
		return nil, (*ProxyError)(pe)
	}
	return nc, err
}

// Dial is DialContext with the background context, for what takes such a function, and so that a
// Dialer is a proxy.Dialer of golang.org/x/net/proxy.
func (d *Dialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// CloseIdleConnections closes the connections to the proxy that have no tunnel, and those that lose
// their last one before the next dial.
func (d *Dialer) CloseIdleConnections() {
	if d.init(); d.once.dialer != nil {
		d.once.dialer.CloseIdleConnections()
	}
}

// Close ends the use of the Dialer: DialContext fails with net.ErrClosed, and connections to the
// proxy are closed when their last tunnel has ended. Tunnels go on.
func (d *Dialer) Close() error {
	if d.init(); d.once.dialer != nil {
		return d.once.dialer.Close()
	}
	return nil
}

func (d *Dialer) dialProxy(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.DialProxy != nil {
		return d.DialProxy(ctx, network, addr)
	}
	var nd net.Dialer
	return nd.DialContext(ctx, network, addr)
}

// init makes the dialer of package proxydial once.
func (d *Dialer) init() {
	d.once.Do(func() {
		if d.Proxy == nil {
			return
		}
		proxy := *d.Proxy
		pd := &proxydial.Dialer{
			Proxy: &proxy,
			Dial:  d.dialProxy,
			StartTLS: func(ctx context.Context, nc net.Conn, addr string, protos []string) (*tls.Conn, error) {
				return proxydial.StartTLS(ctx, nc, addr, d.TLSClientConfig, protos)
			},
			Header:            d.header,
			Config:            d.config(),
			MaxTunnelsPerConn: d.MaxTunnelsPerConn,
			DialTimeout:       d.DialTimeout,
			AnswerTimeout:     d.AnswerTimeout,
		}
		if f := d.Credentials; f != nil {
			pd.Credentials = func(ctx context.Context, c *proxydial.Challenge) (*url.Userinfo, error) {
				return f(ctx, d.challenge(c))
			}
		}
		if f := d.Authenticate; f != nil {
			pd.Authenticate = func(ctx context.Context, c *proxydial.Challenge) (string, error) {
				own := d.challenge(c)
				value, err := f(ctx, own)
				c.State = own.State
				return value, err
			}
		}
		d.once.dialer = pd
	})
}

func (d *Dialer) challenge(c *proxydial.Challenge) *Challenge {
	return &Challenge{Proxy: d.Proxy, Target: c.Target, Round: c.Round, Values: c.Values, State: c.State}
}

func (d *Dialer) header(ctx context.Context, target string) (http.Header, error) {
	if d.GetHeader != nil {
		return d.GetHeader(ctx, target)
	}
	return d.Header, nil
}

// config returns the settings of HTTP/2 connections to the proxy: the windows of package client,
// with which a download through a tunnel is as fast as without.
func (d *Dialer) config() conn.Config {
	return conn.Config{
		MaxReceiveBufferPerConnection: client.DefaultMaxReceiveBufferPerConnection,
		MaxReceiveBufferPerStream:     client.DefaultMaxReceiveBufferPerStream,
		MaxUnreadPerConnection:        client.DefaultMaxUnreadPerConnection,
		MaxReceiveBufferGrowth:        conn.DefaultMaxReceiveBufferGrowth,
		MaxHeaderBytes:                proxydial.MaxHead,
		SendPingTimeout:               client.DefaultSendPingTimeout,
		PingBudget:                    1,
		PingRenewal:                   client.DefaultSendPingTimeout, // a tunnel may be silent for long
		IdleTimeout:                   max(cmp.Or(d.IdleConnTimeout, DefaultIdleConnTimeout), 0),
	}
}
