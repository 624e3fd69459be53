//go:build !unix

package conn

import (
	"net"
	"sync"
)

// waiter reads without holding a buffer while nothing is there. There is none on this system.
type waiter interface {
	read(buf *buffer, n int, pool *sync.Pool) (*buffer, int, error)
}

func newWaiter(net.Conn) waiter { return nil }
