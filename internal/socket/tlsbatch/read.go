package tlsbatch

import (
	"crypto/tls"
	"net"
	"sync"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/rcvlowat"
)

// Conn lets crypto/tls, which asks the socket for little more than the next record, take several at
// once: a download over TLS spends more time in reads, and in the acknowledgements that each of
// them sends, than in decryption. Memory is taken once records come one after the other, and given
// back when they no longer do, so that a connection that waits for its peer has none.
type Conn struct {
	net.Conn
	out  sealer
	in   *socket.Reader   // nil: the socket is read by Read of its net.Conn
	buf  *[aheadSize]byte // nil, or holds left
	left []byte           // read and not yet taken
	more bool             // the last read of the socket brought so much that there is more
	on   bool             // ReadAhead was called
	last int              // octets that it brought
	sure int              // octets of content that will come unless the peer pauses
	mark *rcvlowat.Mark   // nil while there was no need of one

	patience netconn.Patience
}

// New returns nc as crypto/tls is to have it. Until ReadAhead is called, a Read brings no octet
// but those that are returned, so that the Conn holds none when Leave takes it away.
func New(nc net.Conn) *Conn {
	return &Conn{Conn: nc, in: socket.NewReader(socket.Of(nc))}
}

// Of returns the Conn that nc, a TLS connection, lies on; nil where it lies on none, or is no TLS.
func Of(nc net.Conn) *Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		c, _ := tc.NetConn().(*Conn)
		return c
	}
	return nil
}

// ReadAhead lets reads take more than they are asked for. The goroutine that reads calls it when
// the handshake is over.
func (c *Conn) ReadAhead() { c.on = true }

// NetConn returns the socket.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Below returns the socket.
func (c *Conn) Below(socket.Mark) net.Conn { return c.Conn }

// Expect is told before a Read of the TLS connection how many octets are sure to come from that.
func (c *Conn) Expect(octets int) { c.sure = octets }

// slack is what crypto/tls may have read and not decrypted yet.
const slack = 48 << 10

// read reads from the socket.
func (c *Conn) read(p []byte) (n int, err error) {
	sure := c.sure - slack
	if c.mark == nil && rcvlowat.Worthwhile(sure, c.last) {
		c.mark = rcvlowat.New(socket.Of(c.Conn))
	}
	if c.mark != nil {
		c.mark.Expect(sure, c.last)
	}
	if c.in == nil || len(p) == 0 {
		n, err = c.patience.Read(c.Conn, p)
	} else {
		n, err = c.in.Read(p)
	}
	c.last = n
	c.sure = max(c.sure-n, 0) // until we are told again
	return n, err
}

const (
	aheadSize = 256 << 10
	aheadFrom = 16 << 10 // what a read must bring for the next one to take more: one record (RFC 8446 §5.1)
)

var aheadBuffers = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// Read reads from the socket, or what was read ahead of it.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		if !c.more || len(p) >= aheadSize {
			n, err := c.read(p)
			c.more = c.on && n == len(p) && n >= aheadFrom
			return n, err
		}
		if c.buf == nil {
			c.buf = aheadBuffers.Get().(*[aheadSize]byte)
		}
		n, err := c.read(c.buf[:])
		c.left, c.more = c.buf[:n], n >= aheadFrom
		if n == 0 {
			c.release()
			return 0, err
		}
		// An error will come again.
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	if len(c.left) == 0 && !c.more {
		c.release()
	}
	return n, nil
}

func (c *Conn) release() {
	aheadBuffers.Put(c.buf)
	c.buf, c.left = nil, nil
}
