//go:build !unix

package tlssock

import "net"

// rawReader is net.Conn.Read: there is no other way on this system.
type rawReader struct{}

func (*rawReader) init(net.Conn) {}

func (*rawReader) read(nc net.Conn, p []byte) (int, error) { return nc.Read(p) }
