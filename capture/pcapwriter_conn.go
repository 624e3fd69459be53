package capture

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// WrapListener returns a listener whose connections are recorded. It goes below TLS:
//
//	server.ServeTLS(w.WrapListener(l), "", "")
func (w *PcapWriter) WrapListener(l net.Listener) net.Listener { return &pcapListener{l, w} }

// WrapConn returns c, which is recorded from now on; side is that of the program.
func (w *PcapWriter) WrapConn(c net.Conn, side Dir) net.Conn {
	now := time.Now()
	return w.wrap(c, side, now, now)
}

// WrapDial returns a function for the DialContext of a client.Transport, whose connections are
// recorded; dial makes them, that of a net.Dialer where it is nil.
func (w *PcapWriter) WrapDial(
	dial func(ctx context.Context, network, addr string) (net.Conn, error),
) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		asked := time.Now()
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return w.wrap(c, Client, asked, time.Now()), nil
	}
}

func (w *PcapWriter) wrap(c net.Conn, side Dir, asked, there time.Time) net.Conn {
	client, server := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	if side == Server {
		client, server = server, client
	}
	pc := &pcapConn{Conn: c, flow: w.newFlow(client, server, asked, there), side: side}
	if half, ok := c.(halfCloser); ok {
		return &pcapHalfConn{pc, half}
	}
	return pc
}

// pcapListener is a listener whose connections are recorded.
type pcapListener struct {
	net.Listener
	w *PcapWriter
}

func (l *pcapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.w.WrapConn(c, Server), nil
}

// pcapConn is a connection that is recorded.
type pcapConn struct {
	net.Conn
	flow *pcapFlow
	side Dir

	write sync.Mutex // held by Write, so that octets are recorded in their order
}

// Read records what it returns.
func (c *pcapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.flow.record(c.side.Other(), time.Now(), p[:n])
	}
	c.note(err)
	return n, err
}

// Write records what it writes, and before it does so: the answer may be read before the call of
// the socket has returned.
func (c *pcapConn) Write(p []byte) (int, error) {
	c.write.Lock()
	defer c.write.Unlock()
	written := 0
	for {
		piece := p[written:min(len(p), written+maxSegmentOctets)]
		c.flow.record(c.side, time.Now(), piece)
		n, err := c.Conn.Write(piece)
		written += n
		if n < len(piece) {
			c.flow.unsent(c.side, len(piece)-n)
		}
		if err != nil || n < len(piece) || written == len(p) {
			c.note(err)
			return written, err
		}
	}
}

// Close records FIN.
func (c *pcapConn) Close() error {
	c.flow.end(c.side, time.Now(), false, true)
	return c.Conn.Close()
}

// note records an end by the peer.
func (c *pcapConn) note(err error) {
	switch {
	case err == nil:
	case err == io.EOF: //nolint:errorlint // FIN is this very value
		c.flow.end(c.side.Other(), time.Now(), false, false)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.flow.end(c.side.Other(), time.Now(), true, false)
	}
}

// halfCloser is what a connection can do that may be closed in one direction.
type halfCloser interface{ CloseWrite() error }

// pcapHalfConn is a pcapConn of which one direction may be closed.
type pcapHalfConn struct {
	*pcapConn
	half halfCloser
}

// CloseWrite records FIN.
func (c *pcapHalfConn) CloseWrite() error {
	c.flow.end(c.side, time.Now(), false, false)
	return c.half.CloseWrite()
}

// SetLinger is that of a net.TCPConn. With 0 the connection is reset by Close, which is recorded.
func (c *pcapHalfConn) SetLinger(sec int) error {
	t, ok := c.half.(interface{ SetLinger(sec int) error })
	if !ok {
		return errors.ErrUnsupported
	}
	err := t.SetLinger(sec)
	if err == nil && sec == 0 {
		c.flow.end(c.side, time.Now(), true, false)
	}
	return err
}
