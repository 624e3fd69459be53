package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"

	"github.com/sluice-go/sluice/conn"
)

// ErrNoConnectProtocol is the error of a request for extended CONNECT, one with a ":protocol", to a
// server that has not announced SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3). Nothing was sent.
var ErrNoConnectProtocol = errors.New("http2: the server does not offer extended CONNECT (RFC 8441)")

// Connect sends a CONNECT request and returns the stream as a connection when the server has
// answered with a 2xx status. With another status the Tunnel is nil, the error too, and the
// response is what RoundTrip would return, so that its Body must be closed. A response beside a
// Tunnel has no Body to close.
//
// req.URL says which server is asked, and req.Host what it is to connect to, as "host:port" (RFC
// 9113 §8.5). With req.Header[":protocol"], "websocket" for example, it is extended CONNECT (RFC
// 8441): then the path of req.URL is sent, too, and the server's SETTINGS are waited for; the error
// is ErrNoConnectProtocol if it does not offer it. req.Body must be nil.
//
// Other than with RoundTrip, the request's context bounds the time until the answer only, and not
// the life of the Tunnel, which takes a stream of its connection, as a request does, until it is
// closed and the server knows. The error is ErrHTTP1 for a server, or a URL, with which HTTP/2 is
// not spoken. A Transport that Configure has made dials connections of its own for this, with the
// settings of the http.Transport.
func (t *Transport) Connect(req *http.Request) (*conn.Tunnel, *http.Response, error) {
	t.init()
	if t.t1 != nil {
		return t.once.connect.Connect(req)
	}
	if err := checkConnect(req); err != nil {
		return nil, nil, err
	}
	protocols := t.protocols()
	if secure := req.URL.Scheme == "https"; secure && !protocols.HTTP2() || !secure && !protocols.UnencryptedHTTP2() {
		return nil, nil, ErrHTTP1
	}
	target, err := t.target(req)
	if err != nil {
		return nil, nil, err
	}
	if !target.dialable() {
		return nil, nil, ErrHTTP1
	}
	trace := httptrace.ContextClientTrace(req.Context())
	var state retryState
	for {
		tunnel, resp, err := t.tryConnect(req, target, trace)
		if err == nil {
			return tunnel, resp, nil
		}
		if _, final := t.prepareRetry(req, nil, err, &state); final != nil {
			return nil, nil, final
		}
		t.counts.retries.Add(1)
		target = target.afterError(err)
	}
}

// tryConnect gets a connection and sends the request on it once.
func (t *Transport) tryConnect(
	req *http.Request,
	target *Target,
	trace *httptrace.ClientTrace,
) (*conn.Tunnel, *http.Response, error) {
	cc, err := t.reserveConn(req, target, trace)
	if err != nil {
		return nil, nil, err
	}
	tunnel, resp, err := cc.connect(req, trace)
	if err == nil {
		cc.hadResponse.Store(true)
	}
	return tunnel, resp, err
}

// Connect is Transport.Connect on this connection. It waits for a stream as RoundTrip does, and
// sends the request once.
func (cc *ClientConn) Connect(req *http.Request) (*conn.Tunnel, *http.Response, error) {
	if err := checkConnect(req); err != nil {
		cc.Release()
		return nil, nil, err
	}
	if err := cc.awaitSlot(req); err != nil {
		return nil, nil, err
	}
	trace := httptrace.ContextClientTrace(req.Context())
	cc.gotConn(trace)
	return cc.connect(req, trace)
}

// checkConnect says what makes a request impossible to send with Connect.
func checkConnect(req *http.Request) error {
	if err := checkRequest(req); err != nil {
		return err
	}
	switch {
	case req.Method != http.MethodConnect:
		return fmt.Errorf("http2: Connect with method %q", req.Method)
	case req.Body != nil && req.Body != http.NoBody:
		return errors.New("http2: Connect with a Request.Body")
	case len(req.Header[":protocol"]) > 0:
		return nil
	}
	host, err := requestHost(req)
	if err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(host); err != nil || port == "" {
		return fmt.Errorf("http2: CONNECT to %q, which is not \"host:port\"", host)
	}
	return nil
}

// connect sends a CONNECT request once, for which a slot is reserved.
func (cc *ClientConn) connect(req *http.Request, trace *httptrace.ClientTrace) (*conn.Tunnel, *http.Response, error) {
	x, err := cc.open(req, nil, trace, true)
	if err != nil {
		return nil, nil, err
	}
	head, err := x.awaitHead()
	if err != nil {
		return nil, nil, err
	}
	if head.Status < 200 || head.Status > 299 {
		_ = x.stream.Finish(nil, nil) // ends our side; where the stream has failed, the body's Read says so
		x.cc.c.FlushNoWait()
		return nil, x.responseFor(head), nil
	}
	return x.tunnel()
}

// tunnel makes a tunnel of the stream, which the exchange does not use any more.
func (x *exchange) tunnel() (*conn.Tunnel, *http.Response, error) {
	if x.stopWatch != nil && !x.stopWatch() { // it was cancelled
		x.mu.Lock()
		err := x.mu.cancelErr
		x.mu.Unlock()
		if err == nil {
			err = context.Cause(x.req.Context())
		}
		x.reset()
		return nil, nil, err
	}
	if x.watchDone != nil {
		close(x.watchDone)
	}
	x.mu.Lock()
	x.mu.finished = true
	x.mu.Unlock()
	x.resp.Body, x.resp.ContentLength = http.NoBody, -1
	x.uses.Close()
	return conn.NewTunnel(x.stream, nil), &x.resp, nil
}

// awaitConnectProtocol waits, for a request of extended CONNECT, until it is known whether the
// server offers that.
func (cc *ClientConn) awaitConnectProtocol(req *http.Request) error {
	if req.Method != http.MethodConnect || len(req.Header[":protocol"]) == 0 {
		return nil
	}
	s, err := cc.c.AwaitSettings(req.Context())
	if err == nil && !s.EnableConnectProtocol {
		err = ErrNoConnectProtocol
	}
	switch ctx := req.Context(); {
	case err == nil || ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrNoConnectProtocol):
		return &Error{Addr: cc.addr, Err: err}
	}
	return &Error{Addr: cc.addr, Unprocessed: true, Err: cc.userError(err)}
}
