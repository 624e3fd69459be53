package tunnel

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/netconn"
)

// withFirst returns c with octets to be read first.
func withFirst(c net.Conn, first []byte) net.Conn {
	if len(first) == 0 {
		return c
	}
	if p, ok := c.(*netconn.Prefixed); ok { // what it had in front came first, as far as it was read
		c, first = p.Conn, append(first[:len(first):len(first)], p.Prefix...)
	}
	return &netconn.Prefixed{Conn: c, Prefix: first}
}

// activity is what has passed over both connections of a tunnel.
type activity struct {
	sent, received atomic.Int64 // octets read from the client, and from the origin
	last           atomic.Int64 // Unix time of the last octet, in nanoseconds
}

// countedConn is a connection whose octets are counted.
type countedConn struct {
	net.Conn
	a     *activity
	read  *atomic.Int64
	ended atomic.Bool // the peer has sent FIN, or END_STREAM
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.Add(int64(n))
		c.a.last.Store(time.Now().UnixNano())
	}
	if err == io.EOF { //nolint:errorlint // the end of the direction is this very value
		c.ended.Store(true)
	}
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.a.last.Store(time.Now().UnixNano())
	}
	return n, err
}

func (c *countedConn) CloseWrite() error { return closeWrite(c.Conn) }

// watchIdle calls end once nothing has passed for the idle limit, until stop is called.
func (a *activity) watchIdle(p *Proxy, end func()) (stop func()) {
	a.last.Store(time.Now().UnixNano())
	limit := p.idleTimeout()
	if limit <= 0 {
		return func() {}
	}
	var (
		mu      sync.Mutex // guards the variables below
		stopped bool
		timer   timer
	)
	mu.Lock()
	defer mu.Unlock()
	timer = p.afterFunc(limit, func() {
		mu.Lock()
		defer mu.Unlock()
		switch rest := limit - time.Since(time.Unix(0, a.last.Load())); {
		case stopped:
		case rest > 0:
			timer.Reset(rest)
		default:
			stopped = true
			end()
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// tracedConn shows a tracer what is read and written: the octets within TLS.
type tracedConn struct {
	net.Conn
	t   InterceptTracer
	c   *InterceptedConn
	leg Leg
}

func (c *tracedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.t.TraceOctets(c.c, c.leg, conn.In, p[:n])
	}
	return n, err
}

func (c *tracedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.t.TraceOctets(c.c, c.leg, conn.Out, p[:n])
	}
	return n, err
}

func (c *tracedConn) CloseWrite() error { return closeWrite(c.Conn) }
