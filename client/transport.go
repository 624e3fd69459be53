package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Transport is an http.RoundTripper that speaks HTTP/2, over TLS and, where Protocols says so, on
// cleartext, and leaves HTTP/1.1 to net/http. The zero value is ready to use. It must not be
// copied, nor its fields be changed, after the first request. It keeps connections, so it should be
// made once. All its methods may be called by any goroutine.
//
// Fields that http.Transport has mean what they mean there, but for Proxy and TLSHandshakeTimeout,
// whose zero values mean what http.DefaultTransport has. The fields of http.HTTP2Config are fields
// of Transport, too; where one is zero, that of HTTP2 applies.
//
// Fields that conn.Config has too mean what they mean there, the peer being the server, and have
// the same default; comments here say what differs.
type Transport struct {
	// Proxy returns the proxy for a request, nil for none. A nil Proxy is
	// http.ProxyFromEnvironment. A request to an https URL, or with HTTP/2 on cleartext, goes
	// through a tunnel: of an http or https proxy with CONNECT, to an https proxy over HTTP/1.1 or
	// HTTP/2 as ALPN chooses, to an h2c proxy over HTTP/2 without TLS, and of a socks5 or socks5h
	// proxy with SOCKS 5. Tunnels share connections of HTTP/2. The user and password of the proxy's
	// URL are sent as Basic credentials, or with Digest where the proxy asks for that. Other
	// requests to http URLs are sent to the proxy, with HTTP/1.1, and to an h2c proxy with HTTP/2.
	// For chains of proxies DialContext can be that of a tunnel.Dialer.
	Proxy func(*http.Request) (*url.URL, error)

	// ProxyConnectHeader are fields for the CONNECT request. GetProxyConnectHeader, if set, returns
	// them instead.
	ProxyConnectHeader    http.Header
	GetProxyConnectHeader func(ctx context.Context, proxyURL *url.URL, target string) (http.Header, error)

	// OnProxyConnectResponse, if set, is called with each final response of a proxy to CONNECT,
	// before its status is looked at. An error ends the dial.
	OnProxyConnectResponse func(
		ctx context.Context, proxyURL *url.URL, connectReq *http.Request, connectRes *http.Response,
	) error

	// DialContext makes connections. Default: a net.Dialer with a timeout of 30 seconds.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Dial makes connections where DialContext is nil.
	//
	// Deprecated: use DialContext, whose context ends when no request waits for the connection.
	Dial func(network, addr string) (net.Conn, error)

	// DialTLS makes connections where DialTLSContext is nil.
	//
	// Deprecated: use DialTLSContext.
	DialTLS func(network, addr string) (net.Conn, error)

	// DialTLSContext makes connections for https URLs that do not go through a proxy. A connection
	// that it returns should have negotiated its protocol with ALPN.
	DialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLSClientConfig is used for TLS, with NextProtos as Protocols demands. Sessions are resumed
	// where it has a ClientSessionCache. HTTP/2 is not spoken with a version of TLS below 1.2 (RFC
	// 9113 §9.2).
	TLSClientConfig *tls.Config

	// TLSHandshakeTimeout bounds a handshake. Default [DefaultTLSHandshakeTimeout], 10 s; negative:
	// no limit.
	TLSHandshakeTimeout time.Duration

	// Protocols says what may be spoken. Nil means HTTP/1.1 and HTTP/2 over TLS. With
	// UnencryptedHTTP2 and without HTTP1, http URLs are fetched with HTTP/2 by prior knowledge (RFC
	// 9113 §3.3).
	Protocols *http.Protocols

	// DisableKeepAlives uses each connection for one request only.
	DisableKeepAlives bool

	// DisableCompression has no request ask for gzip. Otherwise a request without Accept-Encoding
	// and Range asks for it, and the response is decompressed, with Response.Uncompressed set.
	DisableCompression bool

	// MaxIdleConns bounds the connections without a request, over all hosts. Default 0: no limit.
	MaxIdleConns int

	// MaxIdleConnsPerHost bounds the connections of HTTP/1.1 to one host that are kept without a
	// request. Default [DefaultMaxIdleConnsPerHost], 100, as many requests as run at once on one
	// connection of HTTP/2 as a rule; http.Transport has 2, and dials anew for nearly every request
	// of a burst. Negative: none.
	MaxIdleConnsPerHost int

	// MaxConnsPerHost bounds the connections to one host, dials included. Requests wait where all
	// are full. A connection that takes no more requests, after GOAWAY for example, does not count,
	// as in http.Transport, however long the requests that it has may run: others would wait for
	// them. Default 0: no limit.
	MaxConnsPerHost int

	// IdleConnTimeout closes a connection that had no request for this long. Default 0: never.
	IdleConnTimeout time.Duration

	// ResponseHeaderTimeout bounds the time from a request's last octet to the response's head.
	// Default 0: no limit.
	ResponseHeaderTimeout time.Duration

	// ExpectContinueTimeout is how long the body of a request with "Expect: 100-continue" waits for
	// 100 (Continue). Default 0: it does not wait.
	ExpectContinueTimeout time.Duration

	// MaxResponseHeaderBytes bounds a response's head, and its trailers, as RFC 9113 §6.5.2 counts
	// octets. Default [DefaultMaxResponseHeaderBytes], 10 MiB. A response over it fails; others on
	// its connection do not.
	MaxResponseHeaderBytes int64

	// WriteBufferSize and ReadBufferSize are those of connections of HTTP/1.1, in octets, with the
	// default of net/http. HTTP/2 has buffers that grow with what there is to send and to read.
	WriteBufferSize, ReadBufferSize int

	// TLSNextProto has functions that take over connections of other ALPN protocols. A map that is
	// not nil and has no "h2" turns HTTP/2 over TLS off, unless Protocols is set. A function for
	// "h2" is not called.
	TLSNextProto map[string]func(authority string, c *tls.Conn) http.RoundTripper

	// ForceAttemptHTTP2 has no effect: HTTP/2 is spoken wherever Protocols has it, whatever dials.
	ForceAttemptHTTP2 bool

	// HTTP2 is as in http.Transport.
	HTTP2 *http.HTTP2Config

	// MaxResponseHeaderFields bounds the field lines of a response's head. Default
	// [DefaultMaxResponseHeaderFields], 10,000.
	MaxResponseHeaderFields int

	// StrictMaxConcurrentStreams has requests wait for a stream where the connection to their host
	// has none free. Otherwise another connection is made.
	StrictMaxConcurrentStreams bool

	// MaxRequestsPerConn is how many requests a connection takes before another is made. Default 0:
	// no limit.
	MaxRequestsPerConn int64

	// MaxConnectionAge and MaxConnectionAgeGrace are as in conn.Config. A connection that is
	// drained takes no more requests.
	MaxConnectionAge      time.Duration
	MaxConnectionAgeGrace time.Duration

	// ReplayBuffer is how many octets of a request's body are buffered while it is sent, so that a
	// request which the server did not process can be sent again without GetBody. A body whose
	// length is known to be larger is not buffered. Default [DefaultReplayBuffer], 64 KiB;
	// negative: no buffer.
	ReplayBuffer int

	// MaxAttempts bounds how often one request is sent. It is sent again only where the server did
	// not process it. Default [DefaultMaxAttempts], 8.
	MaxAttempts int

	// PushHandler, if set, is called for each push. Without it and PushCache push is refused
	// (SETTINGS_ENABLE_PUSH of 0).
	PushHandler PushHandler

	// PushCache, if set, keeps pushes that PushHandler has not decided about, and answers requests
	// with them.
	PushCache *PushCache

	// MaxPushedStreams bounds the pushed responses that run at once on a connection
	// (SETTINGS_MAX_CONCURRENT_STREAMS), and the promises whose responses have not begun, which do
	// not count there (RFC 9113 §8.4.2), and calls of PushHandler. Default
	// [DefaultMaxPushedStreams], 100.
	MaxPushedStreams int

	// Pool, if set, takes the place of the Transport's own.
	Pool Pool

	// SendPingTimeout is how long nothing may arrive on a connection before a PING asks whether the
	// server is still there, as often as that happens while a request runs, and once while none
	// does. Servers may count PINGs and end the connection: grpc-go by default takes one in five
	// minutes. Default [DefaultSendPingTimeout], 30 s, and then not sooner than five minutes after
	// the last PING unless the server has sent HEADERS or DATA; negative: never. It is as in
	// conn.Config otherwise.
	SendPingTimeout time.Duration

	// PingTimeout, WriteByteTimeout, PrefaceTimeout and SettingsTimeout are as in conn.Config.
	PingTimeout      time.Duration
	WriteByteTimeout time.Duration
	PrefaceTimeout   time.Duration
	SettingsTimeout  time.Duration

	// HeaderTimeout is as in conn.Config. A header block that has begun keeps all responses of the
	// connection waiting. ResponseHeaderTimeout is for the time until it begins.
	HeaderTimeout time.Duration

	// FrameTimeout is as in conn.Config, but HeaderTimeout does not take its place.
	FrameTimeout time.Duration

	// StallTimeout is as in conn.Config: 0 is no limit, since the request's context may have one.
	StallTimeout time.Duration

	// TunnelCloseTimeout and the sizes of HPACK's tables and of frames are as in conn.Config.
	TunnelCloseTimeout        time.Duration
	MaxDecoderHeaderTableSize int
	MaxEncoderHeaderTableSize int
	MaxReadFrameSize          int

	// MaxReceiveBufferPerConnection is as in conn.Config. Default
	// [DefaultMaxReceiveBufferPerConnection], 16 MiB.
	MaxReceiveBufferPerConnection int

	// MaxReceiveBufferPerStream is as in conn.Config: how much of a response a server may send
	// ahead of the reader. Default [DefaultMaxReceiveBufferPerStream], 4 MiB.
	MaxReceiveBufferPerStream int

	// MaxUnreadPerConnection is as in conn.Config. Default [DefaultMaxUnreadPerConnection], 64 MiB.
	MaxUnreadPerConnection int

	// MaxReceiveBufferGrowth, CountError, Limits and TreePriorities are as in conn.Config. For
	// priorities see WithPriority.
	MaxReceiveBufferGrowth int
	CountError             func(errType string)
	Limits                 Limits
	TreePriorities         bool

	// Scheduler is as in conn.Config, for request bodies. One that follows priorities takes those
	// of WithPriority. Default: round robin.
	Scheduler func() Scheduler

	// Tracer, FramePolicy, Padding, SettingsOrder and Grease are as in conn.Config.
	Tracer        Tracer
	FramePolicy   FramePolicy
	Padding       PaddingFunc
	SettingsOrder []SettingID
	Grease        bool

	// PseudoHeaderOrder has these pseudo-header fields come first in requests, in this order, and
	// the others behind them. Default: ":method", ":scheme", ":authority", ":path", ":protocol".
	PseudoHeaderOrder []string

	// Coalesce has a connection over TLS used for other origins, too, that its server has named in
	// an ORIGIN frame (RFC 8336) and its verified certificate is valid for, where there is no
	// connection that was made for them. A request that is then answered with 421 (Misdirected
	// Request) is sent again on a connection to its own origin, if its body can be sent again. It
	// needs a nil Pool and connections without a proxy; with Configure it does nothing. Default
	// false.
	Coalesce bool

	// AltSvcHandler, if set, is called with the alternative services that ALTSVC frames and Alt-Svc
	// fields name (RFC 7838), by the goroutine that reads the connection or sends the request. It
	// must not block.
	AltSvcHandler func(AltSvc)

	// WebSocketHTTP2 has a request with "Upgrade: websocket" go over HTTP/2 by extended CONNECT
	// (RFC 8441), on a connection that it shares with other requests, where the server offers that.
	// Where not, HTTP/1.1 takes its place if Protocols has it, and the error is
	// ErrNoConnectProtocol otherwise. The response is in the form of HTTP/1.1, and works with
	// libraries and proxies that expect that: 101 with Sec-WebSocket-Accept, a Proto of HTTP/1.1,
	// and a Body that is the *conn.Tunnel. Default false: such a request goes over HTTP/1.1, as
	// with http.Transport. With Configure it holds for requests of the Transport that that returns.
	WebSocketHTTP2 bool

	t1 *http.Transport // the transport that Configure was given

	once struct {
		sync.Once
		connect *Transport // under Configure: for Connect
		pool    Pool
		ownPool *pool // the same as pool, nil where Transport.Pool is set
		h1      *http.Transport
	}
	schemes atomic.Pointer[map[string]http.RoundTripper] // what RegisterProtocol was given

	h1      http1State
	proxies proxies
	counts  counters

	gotConnHookSeen atomic.Bool // a request has had a GotConn hook
}

// init makes what is made once, at the first request.
func (t *Transport) init() {
	t.once.Do(func() {
		t.once.pool = t.Pool
		if t.Pool == nil {
			t.once.ownPool = newPool(t)
			t.once.pool = t.once.ownPool
		}
		if t.t1 == nil {
			t.once.h1 = t.newHTTP1()
		} else {
			t.once.connect = t.forConnect()
		}
	})
}

// RoundTrip implements http.RoundTripper. Errors of a connection or stream are of type *Error.
//
// A request that the server has certainly not processed is sent again: one that it refused with
// REFUSED_STREAM, that came after the last stream of its GOAWAY, or of which nothing had been
// written when the connection was lost. No other is, whatever the method.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.init()
	if t.t1 != nil {
		if t.wantsWebSocketHTTP2(req) {
			return t.once.connect.RoundTrip(req)
		}
		return t.t1.RoundTrip(req)
	}
	if rt := t.registered(req); rt != nil {
		if resp, err := rt.RoundTrip(req); !errors.Is(err, http.ErrSkipAltProtocol) {
			return resp, err
		}
	}
	resp, err := t.send(req)
	if err != nil {
		return nil, awaitTimeout(req, err)
	}
	return awaitTimeoutOfBody(req, resp), nil
}

// send sends a request over the protocol that its URL, its header and Protocols ask for.
func (t *Transport) send(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	secure := req.URL.Scheme == "https"
	protocols := t.protocols()
	if !secure && (protocols.HTTP1() || !protocols.UnencryptedHTTP2()) {
		return t.cleartextHTTP1(req)
	}
	target, err := t.target(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if target.dialable() && (!secure || protocols.HTTP2()) && t.wantsWebSocketHTTP2(req) {
		return t.webSocketHTTP2(req, target)
	}
	if !target.dialable() || secure && (!protocols.HTTP2() || protocols.HTTP1() && asksForWebSocket(req)) {
		return t.onlyHTTP1(req, req.Body, target)
	}
	if secure && protocols.HTTP1() {
		switch known, required := t.h1.preference(target.Key); {
		case required:
			return t.onlyHTTP1(req, req.Body, target)
		case known:
			if resp, err := t.sendHTTP1(req, req.Body, target, false); !wrongProtocol(err) {
				return resp, err
			}
			t.h1.forget(target.Key)
			target.getConnCalled = true
		}
	}
	return t.roundTrip(req, target)
}

// protocols returns what may be spoken.
func (t *Transport) protocols() http.Protocols {
	p := t.Protocols
	if p == nil && t.t1 != nil {
		p = t.t1.Protocols
	}
	if p != nil {
		return *p
	}
	var all http.Protocols
	all.SetHTTP1(true)
	_, h2 := t.TLSNextProto[protoTLS]
	all.SetHTTP2(t.TLSNextProto == nil || h2) // the historic way to turn HTTP/2 off
	return all
}

// CloseIdleConnections closes the connections that have no request now.
func (t *Transport) CloseIdleConnections() {
	t.init()
	t.once.pool.CloseIdleConnections()
	t.h1.closeIdle()
	t.proxies.closeIdle()
	if t.once.h1 != nil {
		t.once.h1.CloseIdleConnections()
	}
	if t.once.connect != nil {
		t.once.connect.CloseIdleConnections()
	}
}

// NewClientConn returns a connection over nc, on which the server speaks HTTP/2, that is not part
// of the pool. If nc has a method ConnectionState, as *tls.Conn does, responses have its result as
// their TLS.
func (t *Transport) NewClientConn(nc net.Conn) (*ClientConn, error) {
	t.init()
	return t.newClientConn(nc, Key{}), nil
}
