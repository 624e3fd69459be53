package netconn

import (
	"errors"
	"io"
	"net"
)

// Prefixed is a connection of which something was read already: Read returns that first.
type Prefixed struct {
	net.Conn

	// Prefix is what Read has yet to return before it reads the connection. It belongs to the
	// goroutine that reads.
	Prefix []byte
}

// Read returns octets of Prefix, and then those of the connection.
func (c *Prefixed) Read(p []byte) (int, error) {
	if len(c.Prefix) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.Prefix)
	if c.Prefix = c.Prefix[n:]; len(c.Prefix) == 0 {
		c.Prefix = nil // its memory is not kept
	}
	return n, nil
}

// PrefixedStream is a Prefixed that can do what a socket can: io.Copy uses splice and sendfile, and
// one direction ends by itself.
type PrefixedStream struct{ Prefixed }

// NetConn returns the connection, for addresses and options of its socket.
func (c *PrefixedStream) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the direction to the peer, where the connection can do that.
func (c *PrefixedStream) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom lets io.Copy write the connection in the way that is its own.
func (c *PrefixedStream) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// WriteTo lets io.Copy read the connection in the way that is its own, behind Prefix.
func (c *PrefixedStream) WriteTo(w io.Writer) (n int64, err error) {
	if len(c.Prefix) > 0 {
		k, err := w.Write(c.Prefix)
		n, c.Prefix = int64(k), c.Prefix[k:]
		if err != nil {
			return n, err
		}
		c.Prefix = nil
	}
	k, err := io.Copy(w, c.Conn)
	return n + k, err
}
