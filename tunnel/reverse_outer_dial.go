package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
)

// maxRefusalBody is how much of the text of a refusal is kept, in octets.
const maxRefusalBody = 1 << 10

// DialContext opens a tunnel to addr, "host:port", through one of the connections, which take
// turns. A name is resolved by the inner side, which also decides whether the target may be
// reached: where it refuses, the error is a *[Refusal] with its answer. Where a connection is lost
// before the answer, or takes no more tunnels, the next one is tried. network is "tcp", "tcp4" or
// "tcp6", which are the same here. The connection has a method CloseWrite.
//
// The error is ErrNoInner where there was no connection for WaitTimeout.
func (o *ReverseOuter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("tunnel: a reverse tunnel carries tcp, not %s", network)
	}
	return o.open(ctx, &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: addr}, Host: addr, Header: http.Header{},
		Proto: "HTTP/2.0", ProtoMajor: 2,
	}, addr)
}

// DialUDP opens a tunnel for UDP to addr, "host:port", as DialContext does for TCP, with extended
// CONNECT (RFC 9298). Connections of inner sides that carry no UDP are passed over; the error is
// ErrNoConnectProtocol where there are no others, while one that carries none takes tunnels. An
// inner side carries UDP where its Handler is a Proxy with UDP. What is returned is a [*UDPConn],
// and so a net.Conn as well.
func (o *ReverseOuter) DialUDP(ctx context.Context, addr string) (net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	const inner = "inner.invalid" // an inner side has no name
	nc, err := o.open(ctx, &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: inner, Opaque: udpPath(host, port)}, Host: inner,
		Header: http.Header{protocolField: {udpProtocol}, capsuleField: {"?1"}}, Proto: "HTTP/2.0", ProtoMajor: 2,
	}, addr)
	if err != nil {
		return nil, err
	}
	return newUDPConn(nc, addr), nil
}

// open opens a tunnel by a request of CONNECT.
func (o *ReverseOuter) open(ctx context.Context, req *http.Request, target string) (net.Conn, error) {
	req = req.WithContext(ctx)
	// A connection that is lost has its place taken by others; each fails a dial but once.
	for attempt := 1; ; attempt++ {
		cc, err := o.take(ctx, isExtended(req))
		if err != nil {
			return nil, err
		}
		nc, err := dialReverse(cc, req, target)
		if err == nil {
			return nc, nil
		}
		var refusal *Refusal
		if errors.As(err, &refusal) || ctx.Err() != nil || attempt > DefaultReverseConnections+2 || !isLost(err) {
			return nil, err
		}
		o.logger().Info("dial goes on with another connection", "target", target, "error", err)
	}
}

// DialTarget is DialContext, and for UDP DialUDP, for [Proxy.DialTarget], so that a Proxy at the
// outer side reaches what the inner side allows. The error is a *[Refusal], with what the inner
// side has said.
func (o *ReverseOuter) DialTarget(ctx context.Context, t *Target) (net.Conn, error) {
	nc, err := dialKind(ctx, o, t)
	if err == nil {
		return nc, nil
	}
	if errors.Is(err, ErrNoConnectProtocol) {
		return nil, &Refusal{
			Status: http.StatusBadGateway, Type: typeConfiguration, Details: "no inner side opens tunnels for UDP", Err: err,
		}
	}
	if answer, ok := errors.AsType[*ProxyError](err); ok {
		return nil, answerRefusal("the inner side", answer)
	}
	if errors.Is(err, ErrNoInner) || errors.Is(err, ErrOuterClosed) {
		return nil, &Refusal{
			Status: http.StatusServiceUnavailable, Type: typeUnavailable, Details: "no inner side takes tunnels now", Err: err,
		}
	}
	r, _ := classifyDialError(err)
	return nil, r
}

// isLost reports whether a CONNECT request has failed with its connection, or was not processed, or
// not sent at all: no octet of the tunnel was sent, and another connection may have it.
func isLost(err error) bool {
	var ce *client.Error
	var lost *frame.ConnError
	return errors.As(err, &ce) && ce.Unprocessed || errors.As(err, &lost) || errors.Is(err, client.ErrNoConnectProtocol)
}

// dialReverse opens a tunnel on a connection of which a stream is reserved.
func dialReverse(cc *client.ClientConn, req *http.Request, target string) (net.Conn, error) {
	t, resp, err := cc.Connect(req)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if name := contentField(resp.Header); name != "" && isExtended(req) { // RFC 9297 §3.2
			_ = t.Abort(frame.ProtocolError) // returns nil
			return nil, fmt.Errorf("tunnel: the inner side has answered %s with a %s", target, name)
		}
		return t, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBody))
	if len(text) == 0 && err != nil {
		text = []byte(err.Error())
	}
	return nil, &Refusal{
		Status: resp.StatusCode, Header: resp.Header,
		Details: fmt.Sprintf("the inner side has answered CONNECT to %s with %s: %s", target, resp.Status, text),
		Err: &ProxyError{
			Addr: "inner side", Target: target, StatusCode: resp.StatusCode, Header: resp.Header, Body: text,
			ProxyStatus: strings.Join(resp.Header.Values("Proxy-Status"), ", "),
		},
	}
}

// take reserves a stream on the connection whose turn it is, and waits while there is none.
func (o *ReverseOuter) take(ctx context.Context, extended bool) (*client.ClientConn, error) {
	wait := cmp.Or(o.WaitTimeout, DefaultReverseWait)
	var timeout <-chan time.Time
	for {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return nil, ErrOuterClosed
		}
		conns, next, changed := o.conns, o.next, o.awaitLocked()
		o.next++
		o.mu.Unlock()
		cc, others, plain := reserve(conns, next, extended)
		switch {
		case cc != nil:
			return cc, nil
		case plain > 0 && others == 0:
			return nil, fmt.Errorf("tunnel: no inner side opens tunnels for UDP: %w", ErrNoConnectProtocol)
		}
		if wait < 0 {
			return nil, ErrNoInner
		}
		if timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			if others > 0 {
				return nil, fmt.Errorf("%w that takes another tunnel: %d connections are full", ErrNoInner, others)
			}
			return nil, ErrNoInner
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reserve reserves a stream on one of the connections, beginning with the next one. Where none has
// one, the first result is nil, others is how many may have one later, or have ended, and plain how
// many take tunnels, but none of extended CONNECT.
func reserve(conns []*client.ClientConn, next int, extended bool) (cc *client.ClientConn, others, plain int) {
	for i := range conns {
		cc := conns[(next+i)%len(conns)]
		s, known := cc.Conn().KnownSettings()
		switch {
		case !extended || !known || s.EnableConnectProtocol:
			if cc.Reserve() == nil {
				return cc, 0, 0
			}
			others++
		case cc.State().Err == nil: // one that is drained may have its place taken by one that offers it
			plain++
		}
	}
	return nil, others, plain
}
