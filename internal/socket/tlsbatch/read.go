package tlsbatch

import (
	"crypto/tls"
	"net"
	"sync"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/rcvlowat"
)

// A Conn lies between crypto/tls and the socket. crypto/tls asks for little more than the next
// record, so a download would spend more time in system calls, and in the TCP acknowledgements that
// each read causes, than in decryption. A Conn reads several records at once instead. It has a
// buffer only while records follow each other: a connection that waits for its peer has none.
type Conn struct {
	net.Conn
	out outgoing

	// Owned by the reader.
	reader    *socket.Reader       // nil where the net.Conn has to be read by its Read
	readAhead bool                 // ReadAhead was called
	buf       *[readAheadSize]byte // the memory of unread; nil while nothing is read ahead
	unread    []byte               // what was read ahead and is not consumed
	more      bool                 // the last read filled its memory, or brought a record: more follows
	lastRead  int                  // octets that the last read of the socket brought
	expected  int                  // octets of content that will come unless the peer stalls
	lowWater  *rcvlowat.Mark       // nil until a large body comes, and where there is none

	patience netconn.Patience
}

// New returns a Conn on nc. Until ReadAhead is called, Read reads no octet that it does not return,
// so that none is lost when Remove takes the Conn out.
func New(nc net.Conn) *Conn {
	return &Conn{Conn: nc, reader: socket.NewReader(socket.Of(nc))}
}

// Of returns the Conn that nc lies on, nil where nc is no TLS connection or lies on no Conn.
func Of(nc net.Conn) *Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		c, _ := tc.NetConn().(*Conn)
		return c
	}
	return nil
}

// ReadAhead lets reads take more than crypto/tls asks for. The reader calls it after the handshake.
func (c *Conn) ReadAhead() { c.readAhead = true }

// NetConn returns the socket.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Below returns the socket.
func (c *Conn) Below(socket.OfThisModule) net.Conn { return c.Conn }

// Expect is called before a Read of the TLS connection, and is told how many octets of content are
// sure to come.
func (c *Conn) Expect(octets int) { c.expected = octets }

// maxUndecrypted is how many octets crypto/tls may have read and not decrypted yet.
const maxUndecrypted = 48 << 10

// read reads from the socket.
func (c *Conn) read(p []byte) (n int, err error) {
	expected := c.expected - maxUndecrypted
	if c.lowWater == nil && rcvlowat.Worthwhile(expected, c.lastRead) {
		c.lowWater = rcvlowat.New(socket.Of(c.Conn))
	}
	if c.lowWater != nil {
		c.lowWater.Expect(expected, c.lastRead)
	}
	if c.reader == nil || len(p) == 0 {
		n, err = c.patience.Read(c.Conn, p)
	} else {
		n, err = c.reader.Read(p)
	}
	c.lastRead = n
	c.expected = max(c.expected-n, 0) // until the next call of Expect
	return n, err
}

const (
	readAheadSize = 256 << 10
	readAheadMin  = 16 << 10 // the next read reads ahead if this one has brought a record (RFC 8446 §5.1)
)

var readAheadPool = sync.Pool{New: func() any { return new([readAheadSize]byte) }}

// Read returns what was read ahead, or reads from the socket.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		if !c.more || len(p) >= readAheadSize {
			n, err := c.read(p)
			c.more = c.readAhead && n == len(p) && n >= readAheadMin
			return n, err
		}
		if c.buf == nil {
			c.buf = readAheadPool.Get().(*[readAheadSize]byte)
		}
		n, err := c.read(c.buf[:])
		c.unread, c.more = c.buf[:n], n >= readAheadMin
		if n == 0 {
			c.release()
			return 0, err
		}
		// The next read of the socket returns the error again.
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	if len(c.unread) == 0 && !c.more {
		c.release()
	}
	return n, nil
}

// release gives the buffer back, of which nothing is unread.
func (c *Conn) release() {
	readAheadPool.Put(c.buf)
	c.buf, c.unread = nil, nil
}
