package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/sluice-go/sluice/internal/proxydial"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
	"github.com/sluice-go/sluice/internal/syntax"
)

// target returns where a request goes.
func (t *Transport) target(req *http.Request) (*Target, error) {
	u := req.URL
	addr, err := hostPort(u.Scheme, u.Host)
	if err != nil {
		return nil, err
	}
	target := &Target{Key: Key{Scheme: u.Scheme, Addr: addr}, t: t}
	p, err := t.proxyURL(req)
	if err != nil || p == nil {
		return target, err
	}
	target.proxy = t.proxyFor(p)
	target.Key.Proxy = p.String()
	return target, nil
}

// dialable reports whether connections to the target are made here: without a proxy, or through one
// that package proxydial knows.
func (t *Target) dialable() bool { return t.proxy == nil || proxydial.Knows(t.proxy.url.Scheme) }

// hostPort adds the port that a URL leaves out.
func hostPort(scheme, host string) (string, error) {
	host = dialHost(host)
	name, port := syntax.SplitPort(host)
	if port != "" {
		return host, nil
	}
	return name + ":" + cmp.Or(syntax.DefaultPort(scheme), "80"), nil
}

// dial makes a connection to a target.
func (t *Transport) dial(ctx context.Context, target *Target, addr string) (*ClientConn, error) {
	t.counts.dials.Add(1)
	nc, isHTTP2, err := t.dialConn(ctx, target, addr, t.nextProtos())
	if err == nil && !isHTTP2 {
		if err = ErrHTTP1; t.protocols().HTTP1() {
			t.h1.putSpare(target.Key, nc)
		} else {
			_ = nc.Close() // it was not used
		}
	}
	if err != nil {
		t.counts.dialsFailed.Add(1)
		return nil, err
	}
	return t.newClientConn(nc, target.Key), nil
}

// dialConn connects, through the proxy and with TLS where the target has them, for which protos are
// offered, and reports whether HTTP/2 is to be spoken.
func (t *Transport) dialConn(
	ctx context.Context, target *Target, addr string, protos []string,
) (nc net.Conn, isHTTP2 bool, err error) {
	if target.Scheme == "https" && target.proxy == nil && (t.DialTLSContext != nil || t.DialTLS != nil) {
		if nc, err = t.dialTLS(ctx, "tcp", addr); err != nil {
			return nil, false, err
		}
		if tc, ok := nc.(*tls.Conn); ok { // the dial function need not do the handshake, and the hooks are called in any case
			if err = t.handshake(ctx, tc); err != nil {
				_ = nc.Close() // the connection is not used
				return nil, false, err
			}
		}
		return t.negotiated(nc)
	}
	if target.proxy != nil {
		nc, err = target.proxy.connect(ctx, addr)
	} else {
		nc, err = t.dialContext(ctx, "tcp", addr)
	}
	if err != nil || target.Scheme != "https" {
		return nc, true, err
	}
	tc, err := t.startTLS(ctx, nc, target.Addr, protos)
	if err != nil {
		return nil, false, err
	}
	return t.negotiated(tc)
}

// dialed checks the result of a user's dial function: (nil, nil) is an error.
func dialed(nc net.Conn, err error) (net.Conn, error) {
	if nc == nil && err == nil {
		err = errors.New("http2: the Transport's dial function has returned (nil, nil)")
	}
	return nc, err
}

// nextProtos returns what is offered with ALPN.
func (t *Transport) nextProtos() []string {
	if t.protocols().HTTP1() {
		return []string{"h2", "http/1.1"}
	}
	return []string{"h2"}
}

// startTLS does the handshake on nc, which it closes when that fails.
func (t *Transport) startTLS(ctx context.Context, nc net.Conn, addr string, protos []string) (*tls.Conn, error) {
	cfg, err := proxydial.TLSConfig(t.TLSClientConfig, addr, protos)
	if err != nil {
		_ = nc.Close() // it was not used
		return nil, err
	}
	tc := tls.Client(t.connBelowTLS(ctx, nc), cfg)
	if err := t.handshake(ctx, tc); err != nil {
		_ = nc.Close()
		return nil, err
	}
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		tlsbatch.Remove(tc)
	}
	return tc, nil
}

// handshakeTimeout returns the limit of a handshake, 0 for none.
func (t *Transport) handshakeTimeout() time.Duration {
	if t.TLSHandshakeTimeout == 0 {
		return DefaultTLSHandshakeTimeout
	}
	return max(t.TLSHandshakeTimeout, 0)
}

// handshake does the handshake and calls its hooks.
func (t *Transport) handshake(ctx context.Context, tc *tls.Conn) error {
	if d := t.handshakeTimeout(); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, errHandshakeTimeout)
		defer cancel()
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err := tc.HandshakeContext(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errHandshakeTimeout) {
		err = errHandshakeTimeout
	}
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tc.ConnectionState(), err)
	}
	return err
}

// errOldTLS is the error of a connection that RFC 9113 §9.2 does not allow.
var errOldTLS = errors.New("http2: the server has chosen HTTP/2 with a version of TLS below 1.2")

// negotiated reports whether ALPN has chosen HTTP/2 on a connection, which it closes after an
// error.
func (t *Transport) negotiated(nc net.Conn) (_ net.Conn, isHTTP2 bool, err error) {
	if s, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := s.ConnectionState()
		isHTTP2 = state.NegotiatedProtocol == "h2"
		if isHTTP2 && state.Version != 0 && state.Version < tls.VersionTLS12 {
			err = errOldTLS
		}
	} else {
		isHTTP2 = !t.protocols().HTTP1() // without TLS, as far as is known: as net/http
	}
	if err != nil {
		_ = nc.Close() // the connection is not used
		return nil, false, err
	}
	return nc, isHTTP2, nil
}

var _ http.RoundTripper = (*Transport)(nil)
