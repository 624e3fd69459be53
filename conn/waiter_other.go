//go:build !unix

package conn

import "net"

// waiter reads without holding a buffer while nothing is there. There is none on this system.
type waiter interface {
	read(buf *buffer, n int) (*buffer, int, error)
}

func newWaiter(net.Conn) waiter { return nil }
