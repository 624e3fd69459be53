package client

import (
	"net"
	"sync"
)

// readAhead lets crypto/tls, which asks the socket for little more than the next record, take several at once: a
// download over TLS spends more time in reads, and in the acknowledgements that each of them sends, than in decryption.
// Memory is taken once records come one after the other, and given back when they no longer do, so that a connection
// that waits for its server has none. Its methods may be called as crypto/tls does: Read by one goroutine at a time.
type readAhead struct {
	net.Conn
	buf  *[readAheadSize]byte // nil, or holds left
	left []byte               // read and not yet taken
	more bool                 // the last read of the socket brought so much that there is more
}

const (
	readAheadSize = 128 << 10
	readAheadFrom = 16 << 10 // what a read must bring for the next one to take more: one record (RFC 8446 §5.1)
)

var readAheadBuffers = sync.Pool{New: func() any { return new([readAheadSize]byte) }}

func (c *readAhead) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		if !c.more || len(p) >= readAheadSize {
			n, err := c.Conn.Read(p)
			c.more = n == len(p) && n >= readAheadFrom
			return n, err
		}
		if c.buf == nil {
			c.buf = readAheadBuffers.Get().(*[readAheadSize]byte)
		}
		n, err := c.Conn.Read(c.buf[:])
		c.left, c.more = c.buf[:n], n >= readAheadFrom
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

func (c *readAhead) release() {
	readAheadBuffers.Put(c.buf)
	c.buf, c.left = nil, nil
}
