package netconn

import "net"

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
	c.Prefix = c.Prefix[n:]
	return n, nil
}
