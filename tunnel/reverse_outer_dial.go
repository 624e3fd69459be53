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
	req := (&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: addr}, Host: addr, Header: http.Header{},
		Proto: "HTTP/2.0", ProtoMajor: 2,
	}).WithContext(ctx)
	// A connection that is lost has its place taken by others; each fails a dial but once.
	for attempt := 1; ; attempt++ {
		cc, err := o.take(ctx)
		if err != nil {
			return nil, err
		}
		nc, err := dialReverse(cc, req)
		if err == nil {
			return nc, nil
		}
		var refusal *Refusal
		if errors.As(err, &refusal) || ctx.Err() != nil || attempt > DefaultReverseConnections+2 || !isLost(err) {
			return nil, err
		}
		o.logger().Info("dial goes on with another connection", "target", addr, "error", err)
	}
}

// DialTarget is DialContext for [Proxy.DialTarget], so that a Proxy at the outer side reaches what
// the inner side allows. The error is a *[Refusal], with what the inner side has said. UDP is
// refused.
func (o *ReverseOuter) DialTarget(ctx context.Context, t *Target) (net.Conn, error) {
	if t.Kind == KindUDP {
		return nil, &Refusal{
			Status: http.StatusBadGateway, Type: typeConfiguration, Details: "UDP is not carried through a reverse tunnel",
		}
	}
	nc, err := o.DialContext(ctx, "tcp", t.hostPort())
	if err == nil {
		return nc, nil
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

// isLost reports whether a CONNECT request has failed with its connection, or was not processed: no
// octet of the tunnel was sent, and another connection may have it.
func isLost(err error) bool {
	var ce *client.Error
	var lost *frame.ConnError
	return errors.As(err, &ce) && ce.Unprocessed || errors.As(err, &lost)
}

// dialReverse opens a tunnel on a connection of which a stream is reserved.
func dialReverse(cc *client.ClientConn, req *http.Request) (net.Conn, error) {
	t, resp, err := cc.Connect(req)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBody))
	if len(text) == 0 && err != nil {
		text = []byte(err.Error())
	}
	return nil, &Refusal{
		Status: resp.StatusCode, Header: resp.Header,
		Details: fmt.Sprintf("the inner side has answered CONNECT to %s with %s: %s", req.Host, resp.Status, text),
		Err: &ProxyError{
			Addr: "inner side", Target: req.Host, StatusCode: resp.StatusCode, Header: resp.Header, Body: text,
			ProxyStatus: strings.Join(resp.Header.Values("Proxy-Status"), ", "),
		},
	}
}

// take reserves a stream on the connection whose turn it is, and waits while there is none.
func (o *ReverseOuter) take(ctx context.Context) (*client.ClientConn, error) {
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
		for i := range conns {
			if cc := conns[(next+i)%len(conns)]; cc.Reserve() == nil {
				return cc, nil
			}
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
			if len(conns) > 0 {
				return nil, fmt.Errorf("%w that takes another tunnel: %d connections are full", ErrNoInner, len(conns))
			}
			return nil, ErrNoInner
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
