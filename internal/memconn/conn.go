package memconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// defaultBuffer is about what a TCP socket on Linux buffers in one direction.
const defaultBuffer = 256 << 10

// Options describe one connection. The zero value is a link without delay.
type Options struct {
	// Buffer is how many bytes one direction holds before Write waits. Default 256 KiB. With a
	// latency it bounds what is on its way, as the window of TCP does.
	Buffer int

	// Latency is the delay of every byte in one direction. Default 0.
	Latency time.Duration

	// Bandwidth is how many bytes a second go through in one direction. Default 0: no limit.
	Bandwidth int64

	// Client and Server are the kinds of the two ends. Default Socket.
	Client, Server Kind

	// MaxRead is the most that one Read returns, to test cut frames. Default 0: no limit.
	MaxRead int
}

func (o Options) withDefaults() Options {
	if o.Buffer <= 0 {
		o.Buffer = defaultBuffer
	}
	return o
}

// Addr is the address of one end.
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the name of the end.
func (a Addr) String() string { return string(a) }

// Conn is one end of a connection. It is a net.Conn with CloseWrite.
type Conn struct {
	in, out       *half
	local, remote Addr
	closed        atomic.Bool

	kind    Kind // set before use
	nothing bool // the last Read of a connection of kind EmptyReads has returned nothing; owned by the reader
}

// Pipe returns the two ends of a new connection; they are called "client:1" and "server:1".
func Pipe(o Options) (client, server *Conn) {
	o = o.withDefaults()
	up, down := newHalf(o), newHalf(o)
	client = &Conn{in: down, out: up, local: "client:1", remote: "server:1"}
	server = &Conn{in: up, out: down, local: "server:1", remote: "client:1"}
	return client.Become(o.Client), server.Become(o.Server)
}

// Read reads what has arrived. It returns io.EOF after the peer's last byte.
func (c *Conn) Read(p []byte) (int, error) {
	if c.kind == EmptyReads {
		if c.nothing = !c.nothing; c.nothing {
			return 0, nil
		}
	}
	n, err := c.in.Read(p)
	return n, c.wrap("read", err)
}

// Write returns when all of p is in the buffer between the ends.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	return n, c.wrap("write", err)
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if c.kind == OtherTimeouts && errors.Is(err, os.ErrDeadlineExceeded) {
		return errOtherTimeout
	}
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}

// Close ends both directions: waiting calls on this end return net.ErrClosed, the peer reads what
// is in the buffer and then io.EOF, and its writes fail.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.wrap("close", net.ErrClosed)
	}
	c.out.closeWrite()
	c.in.closeRead()
	return nil
}

// CloseWrite ends the direction to the peer, which reads io.EOF after the last byte.
func (c *Conn) CloseWrite() error {
	if c.kind == NoCloseWrite {
		return errors.ErrUnsupported
	}
	c.out.closeWrite()
	return nil
}

// InterruptibleRead reports whether deadlines are those of a socket.
func (c *Conn) InterruptibleRead(netconn.Mark) bool { return c.kind == Socket }

// Readable reports whether Read would not wait.
func (c *Conn) Readable(netconn.Mark) bool {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readClosed || h.writeClosed && h.size == 0 || len(h.segs) > 0 && h.untilReady(&h.segs[0]) <= 0
}

// SetDeadline sets both deadlines; the zero time means none.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, &c.in.read, &c.out.write)
}

// SetReadDeadline sets when Read gives up with os.ErrDeadlineExceeded.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, &c.in.read) }

// SetWriteDeadline sets when Write gives up with os.ErrDeadlineExceeded.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.out.write) }

// Stall has nothing arrive at this end before a time, and what has not been read by now not either,
// as where a path loses packets for a while. The zero time ends it.
func (c *Conn) Stall(until time.Time) { c.in.stall(until) }

// LocalAddr returns the name of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the name of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Calls returns how often Read and Write were called on this end.
func (c *Conn) Calls() (reads, writes int) {
	c.in.mu.Lock()
	reads = c.in.reads
	c.in.mu.Unlock()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return reads, c.out.writes
}

// Buffered returns how many bytes have been written to this end's peer and not yet been read by it.
func (c *Conn) Buffered() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.size
}
