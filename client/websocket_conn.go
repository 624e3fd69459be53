package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

// DialWebSocket returns a connection for a WebSocket library that dials by itself and speaks
// HTTP/1.1: it takes the library's request (RFC 6455 §4.1), opens the WebSocket over HTTP/2 (RFC
// 8441), as with WebSocketHTTP2, and reads as the response of HTTP/1.1 (RFC 6455 §4.2.2).
// WebSockets share connections then, with each other and with requests. Where the server has no RFC
// 8441, it is a connection with HTTP/1.1 if Protocols has that.
//
//	d := websocket.Dialer{NetDialTLSContext: transport.DialWebSocket} // gorilla/websocket, wss
//
// addr is the host and port of an https URL; of an http URL with Protocols that have neither
// HTTP/1.1 nor HTTP/2 on TLS. TLS is the Transport's: the library must not start its own. Nothing
// is dialled before the request is written. The Write that completes it returns when there is a
// response, or an error; the context's values are used for that, and deadlines bound it, but the
// end of ctx has no effect. network is not used.
func (t *Transport) DialWebSocket(ctx context.Context, _, addr string) (net.Conn, error) {
	t.init()
	if t.t1 != nil {
		t = t.once.connect
		t.init()
	}
	scheme := "https"
	if p := t.protocols(); !p.HTTP1() && !p.HTTP2() {
		scheme = "http"
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	return &webSocketConn{t: t, url: url.URL{Scheme: scheme, Host: addr}, ctx: ctx, cancel: cancel}, nil
}

// webSocketConn is what DialWebSocket returns.
type webSocketConn struct {
	t      *Transport
	url    url.URL         // scheme and host
	ctx    context.Context // of the handshake, and of the content of a response that refuses
	cancel context.CancelCauseFunc

	writing sync.Mutex // held by Write until there is a response
	head    []byte     // what was written of the request's head; guarded by writing

	mu            sync.Mutex    // guards what follows; not held over a call that may wait
	nc            net.Conn      // nil until the server has answered, and where it has refused
	response      []byte        // the head of the response, as far as it was not read
	body          io.ReadCloser // content of a response that refuses
	closed        bool
	timer         *time.Timer // ends the handshake at a deadline; nil when there is none
	readDeadline  time.Time
	writeDeadline time.Time
}

// maxWebSocketRequest bounds the head of a request that is written to the connection, in octets.
const maxWebSocketRequest = 1 << 20

var errNoWebSocketRequest = errors.New("http2: DialWebSocket needs the request for a WebSocket (RFC 6455 §4.1) first")

// current returns the connection with the server, nil where there is none (yet).
func (c *webSocketConn) current() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nc
}

// Write takes the request, and later what is to be sent.
func (c *webSocketConn) Write(p []byte) (int, error) {
	if nc := c.current(); nc != nil {
		return nc.Write(p)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	nc, closed, refused := c.nc, c.closed, c.body != nil
	late := isPast(c.writeDeadline)
	c.mu.Unlock()
	switch {
	case nc != nil:
		return nc.Write(p)
	case closed:
		return 0, net.ErrClosed
	case refused:
		return 0, io.ErrClosedPipe
	case late:
		return 0, os.ErrDeadlineExceeded
	}
	c.head = append(c.head, p...)
	end := bytes.Index(c.head, []byte("\r\n\r\n")) + 4
	switch {
	case end < 4 && len(c.head) > maxWebSocketRequest:
		return 0, errNoWebSocketRequest
	case end < 4:
		return len(p), nil
	}
	if err := c.handshake(c.head[:end]); err != nil {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
		return 0, err
	}
	rest := c.head[end:]
	c.head = nil
	if nc := c.current(); nc != nil && len(rest) > 0 {
		if _, err := nc.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// handshake sends the request, which has come with HTTP/1.1.
func (c *webSocketConn) handshake(head []byte) error {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoWebSocketRequest, err)
	}
	if !asksForWebSocket(req) || req.Method != http.MethodGet || req.ContentLength != 0 {
		return errNoWebSocketRequest
	}
	req.RequestURI, req.Body = "", nil
	req.URL.Scheme, req.URL.Host = c.url.Scheme, c.url.Host
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // none is invented
	}
	req = req.WithContext(c.ctx)
	target, err := c.t.target(req)
	if err != nil {
		return err
	}
	http1 := target.Scheme == "https" && c.t.protocols().HTTP1()
	if known, _ := c.t.h1.preference(target.Key); known && http1 {
		return c.useHTTP1(head, target)
	}
	tunnel, resp, err := c.t.Connect(webSocketConnect(req))
	switch {
	case err == nil && tunnel == nil:
		c.answer(nil, responseHead(resp, true), resp.Body)
		return nil
	case err == nil:
		switchProtocols(resp, req)
		c.answer(tunnel, responseHead(resp, false), nil)
		return nil
	case http1 && errors.Is(err, ErrNoConnectProtocol), c.t.wantsHTTP1(err, target):
		return c.useHTTP1(head, target)
	}
	return err
}

// useHTTP1 sends the request as it is.
func (c *webSocketConn) useHTTP1(head []byte, target *Target) error {
	nc, err := c.t.dialHTTP1(c.ctx, target, false) // takes the connection that Connect has found no use for
	if wrongProtocol(err) {
		nc, err = c.t.dialHTTP1(c.ctx, target, true)
	}
	if err != nil {
		return err
	}
	c.answer(nc, nil, nil)
	_, err = nc.Write(head)
	return err
}

// responseHead returns the head of a response of HTTP/1.1.
func responseHead(resp *http.Response, last bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\n", resp.Status)
	if last {
		resp.Header.Set("Connection", "close")
		if resp.ContentLength >= 0 {
			resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
		}
	}
	_ = resp.Header.Write(&b) // a Buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// answer sets what is read and written from now on.
func (c *webSocketConn) answer(nc net.Conn, head []byte, body io.ReadCloser) {
	c.mu.Lock()
	c.nc, c.response, c.body = nc, head, body
	closed := c.closed
	if c.timer != nil {
		c.timer.Stop()
	}
	if nc != nil {
		_ = nc.SetReadDeadline(c.readDeadline) // fails on a dead connection only
		_ = nc.SetWriteDeadline(c.writeDeadline)
	}
	c.mu.Unlock()
	if closed && nc != nil {
		_ = nc.Close()
	}
}

// Read reads the response of HTTP/1.1, and behind it what the server sends.
func (c *webSocketConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.response) > 0 && !c.closed {
		n := copy(p, c.response)
		c.response = c.response[n:]
		c.mu.Unlock()
		return n, nil
	}
	nc, body, closed := c.nc, c.body, c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case nc != nil:
		return nc.Read(p)
	case body != nil:
		return body.Read(p)
	}
	return 0, errNoWebSocketRequest
}

// Close closes the connection.
func (c *webSocketConn) Close() error {
	c.mu.Lock()
	nc, body := c.nc, c.body
	c.closed = true
	c.mu.Unlock()
	c.cancel(net.ErrClosed)
	if body != nil {
		_ = body.Close() // what it says is of no interest any more
	}
	if nc != nil {
		return nc.Close()
	}
	return nil
}

// CloseWrite ends our direction, with END_STREAM or as HTTP/1.1 does.
func (c *webSocketConn) CloseWrite() error {
	if w, ok := c.current().(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// LocalAddr returns that of the connection beneath, once there is one.
func (c *webSocketConn) LocalAddr() net.Addr {
	if nc := c.current(); nc != nil {
		return nc.LocalAddr()
	}
	return &net.TCPAddr{}
}

// RemoteAddr returns that of the connection beneath, once there is one.
func (c *webSocketConn) RemoteAddr() net.Addr {
	if nc := c.current(); nc != nil {
		return nc.RemoteAddr()
	}
	return &net.TCPAddr{}
}

// SetDeadline sets both deadlines.
func (c *webSocketConn) SetDeadline(d time.Time) error {
	return errors.Join(c.SetReadDeadline(d), c.SetWriteDeadline(d))
}

// SetReadDeadline sets the time after which Read fails.
func (c *webSocketConn) SetReadDeadline(d time.Time) error { return c.setDeadline(&c.readDeadline, d) }

// SetWriteDeadline sets the time after which Write fails.
func (c *webSocketConn) SetWriteDeadline(d time.Time) error {
	return c.setDeadline(&c.writeDeadline, d)
}

// setDeadline sets one of the deadlines. Before the response the earlier one bounds the handshake,
// which a deadline that was set then ends for good.
func (c *webSocketConn) setDeadline(which *time.Time, d time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*which = d
	switch {
	case c.closed:
		return net.ErrClosed
	case c.nc != nil && which == &c.readDeadline:
		return c.nc.SetReadDeadline(d)
	case c.nc != nil:
		return c.nc.SetWriteDeadline(d)
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	first := c.readDeadline
	if first.IsZero() || !c.writeDeadline.IsZero() && c.writeDeadline.Before(first) {
		first = c.writeDeadline
	}
	if !first.IsZero() {
		c.timer = time.AfterFunc(time.Until(first), func() { c.cancel(os.ErrDeadlineExceeded) })
	}
	return nil
}

func isPast(d time.Time) bool { return !d.IsZero() && !time.Now().Before(d) }
