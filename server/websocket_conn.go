package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// webSocketConn is the connection of a request that WebSocket has put into the form of HTTP/1.1.
// Where the handler has taken it over before it has answered, what it writes begins with the head
// of a response of HTTP/1.1, which becomes that of HTTP/2.
type webSocketConn struct {
	w  *webSocketWriter
	nc net.Conn // beneath HTTP/2, for its addresses

	tunnel atomic.Pointer[conn.Tunnel] // nil until the answer 101; stored with w.mu held

	// The rest is for the time until tunnel is set, and guarded by w.mu.
	head                        []byte        // the part of the response's head that was written
	closed                      bool          // Close was called
	changed                     chan struct{} // closed, and made anew, when something here changes
	readDeadline, writeDeadline time.Time
}

// maxWebSocketHead bounds the head of a response that is written to the connection, in octets.
const maxWebSocketHead = 1 << 20

var (
	_ net.Conn      = (*webSocketConn)(nil)
	_ io.WriterTo   = (*webSocketConn)(nil)
	_ io.ReaderFrom = (*webSocketConn)(nil)

	errNoSwitch = errors.New("server: the WebSocket is not accepted yet")
)

// acceptLocked makes the tunnel. The answer 101 was given before.
func (c *webSocketConn) acceptLocked() error {
	t, err := c.w.resp.acceptConnect(true)
	if err != nil {
		return err
	}
	_ = t.SetReadDeadline(c.readDeadline) // fails only on a closed tunnel
	_ = t.SetWriteDeadline(c.writeDeadline)
	c.tunnel.Store(t)
	return nil
}

// broadcastLocked wakes what waits for a change.
func (c *webSocketConn) broadcastLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// answeredLocked returns the error of a connection that makes no tunnel, nil while that is open.
func (c *webSocketConn) answeredLocked() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.w.answer == answerRefuses || c.w.answer == answerNoSwitch:
		return io.EOF
	}
	return nil
}

// awaitAnswer waits until there is a tunnel, another answer, or nothing to wait for.
func (c *webSocketConn) awaitAnswer() {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for c.tunnel.Load() == nil && c.answeredLocked() == nil && c.w.ctx.Err() == nil {
		changed := c.changed
		c.w.mu.Unlock()
		select {
		case <-changed:
		case <-c.w.ctx.Done():
		}
		c.w.mu.Lock()
	}
}

// awaitTunnel returns the tunnel for a read, for which it waits until the read deadline.
func (c *webSocketConn) awaitTunnel() (*conn.Tunnel, error) {
	if t := c.tunnel.Load(); t != nil {
		return t, nil
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for {
		if t := c.tunnel.Load(); t != nil {
			return t, nil
		}
		if err := c.answeredLocked(); err != nil {
			return nil, err
		}
		if isPast(c.readDeadline) {
			return nil, os.ErrDeadlineExceeded
		}
		if err := context.Cause(c.w.ctx); err != nil {
			return nil, err
		}
		changed, expired := c.changed, (<-chan time.Time)(nil)
		if !c.readDeadline.IsZero() {
			expired = time.After(time.Until(c.readDeadline))
		}
		c.w.mu.Unlock()
		select {
		case <-changed:
		case <-expired:
		case <-c.w.ctx.Done():
		}
		c.w.mu.Lock()
	}
}

func isPast(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// Read reads what the client has sent.
func (c *webSocketConn) Read(p []byte) (int, error) {
	t, err := c.awaitTunnel()
	if err != nil {
		return 0, err
	}
	return t.Read(p)
}

// WriteTo copies what the client sends to dst.
func (c *webSocketConn) WriteTo(dst io.Writer) (int64, error) {
	t, err := c.awaitTunnel()
	switch {
	case err == io.EOF: //nolint:errorlint // as answeredLocked returns it
		return 0, nil
	case err != nil:
		return 0, err
	}
	return t.WriteTo(dst)
}

// ReadFrom sends what it reads from src.
func (c *webSocketConn) ReadFrom(src io.Reader) (int64, error) {
	if t := c.tunnel.Load(); t != nil {
		return t.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{c}, src)
}

// Write sends p, or takes it as a part of the response's head.
func (c *webSocketConn) Write(p []byte) (int, error) {
	if t := c.tunnel.Load(); t != nil {
		return t.Write(p)
	}
	rest, err := c.writeHead(p)
	if err == nil && len(rest) > 0 {
		if t := c.tunnel.Load(); t != nil {
			_, err = t.Write(rest)
		} else {
			_, err = c.w.w.Write(rest) // content of the refusal
		}
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeHead takes p as a part of the response's head, and returns what follows on that.
func (c *webSocketConn) writeHead(p []byte) (rest []byte, err error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case c.tunnel.Load() != nil || c.w.answer == answerRefuses:
		return p, nil
	case c.w.answer != answerNone:
		return nil, http.ErrBodyNotAllowed
	case isPast(c.writeDeadline):
		return nil, os.ErrDeadlineExceeded
	}
	c.head = append(c.head, p...)
	for c.w.answer == answerNone {
		end := bytes.Index(c.head, []byte("\r\n\r\n")) + 4
		switch {
		case end < 4 && len(c.head) <= maxWebSocketHead:
			return nil, nil
		case end < 4:
			err = fmt.Errorf("it has more than %d octets", maxWebSocketHead)
		default:
			err = c.answerLocked(c.head[:end])
		}
		if err != nil {
			return nil, fmt.Errorf("server: the answer to a request for a WebSocket is no head of HTTP/1.1: %w", err)
		}
		c.head = c.head[end:]
	}
	rest, c.head = c.head, nil
	defer c.broadcastLocked()
	switch c.w.answer {
	case answerNoSwitch:
		return nil, nil
	case answerSwitches:
		err = c.acceptLocked()
	}
	return rest, err
}

// answerLocked answers with what a head of HTTP/1.1 says.
func (c *webSocketConn) answerLocked(head []byte) error {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodGet})
	if err != nil {
		return err
	}
	h := c.w.w.Header()
	clear(h) // with HTTP/1.1 they are not sent, either
	maps.Copy(h, resp.Header)
	c.w.writeHeaderLocked(resp.StatusCode)
	return nil
}

// CloseWrite ends our direction with END_STREAM.
func (c *webSocketConn) CloseWrite() error {
	if t := c.tunnel.Load(); t != nil {
		return t.CloseWrite()
	}
	return errNoSwitch
}

// CloseRead gives up what the client still sends.
func (c *webSocketConn) CloseRead() error {
	if t := c.tunnel.Load(); t != nil {
		return t.CloseRead()
	}
	return errNoSwitch
}

// Close closes the connection: see conn.Tunnel. Without an answer it resets the stream.
func (c *webSocketConn) Close() error {
	c.w.mu.Lock()
	t := c.tunnel.Load()
	reset := t == nil && !c.closed && c.w.answer == answerNone
	c.closed = true
	c.broadcastLocked()
	c.w.mu.Unlock()
	if t != nil {
		return t.Close()
	}
	if reset {
		_ = c.w.resp.x.withStream(func(s *conn.Stream) error { // fails when the handler has returned
			s.Reset(frame.InternalError)
			return nil
		})
	}
	return nil
}

// LocalAddr returns that of the connection beneath.
func (c *webSocketConn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns that of the connection beneath.
func (c *webSocketConn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *webSocketConn) SetDeadline(d time.Time) error { return c.setDeadlines(&d, &d) }

// SetReadDeadline sets the time after which Read fails with os.ErrDeadlineExceeded.
func (c *webSocketConn) SetReadDeadline(d time.Time) error { return c.setDeadlines(&d, nil) }

// SetWriteDeadline sets the time after which Write fails with os.ErrDeadlineExceeded.
func (c *webSocketConn) SetWriteDeadline(d time.Time) error { return c.setDeadlines(nil, &d) }

// setDeadlines sets the deadlines that are not nil.
func (c *webSocketConn) setDeadlines(read, write *time.Time) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	t := c.tunnel.Load()
	switch {
	case t != nil && write == nil:
		return t.SetReadDeadline(*read)
	case t != nil && read == nil:
		return t.SetWriteDeadline(*write)
	case t != nil:
		return t.SetDeadline(*read)
	case c.closed:
		return net.ErrClosed
	}
	if read != nil {
		c.readDeadline = *read
	}
	if write != nil {
		c.writeDeadline = *write
	}
	c.broadcastLocked()
	return nil
}
