//go:build unix && !aix && !solaris

package socket

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// countedSocket counts how often a caller of Read looks at a socket.
type countedSocket struct {
	syscall.RawConn
	looks *atomic.Int32
}

// Read counts.
func (c countedSocket) Read(f func(fd uintptr) bool) error {
	return c.RawConn.Read(func(fd uintptr) bool {
		c.looks.Add(1)
		return f(fd)
	})
}

// Octets that stay in the socket wake no goroutine while nothing follows.
func TestPeekSleeps(t *testing.T) {
	nc, peer := socketsOf(t, "tcp")
	s := Of(nc)
	var looks atomic.Int32
	s.raw = countedSocket{s.raw, &looks}
	const limit = 4 << 10
	buf := make([]byte, 24)
	_, _ = io.WriteString(peer, "PRI")
	n, err := s.Peek(buf, 0, limit)
	if string(buf[:n]) != "PRI" || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	peeked := make(chan string)
	go func() {
		n, err := s.Peek(buf, n, limit)
		if errors.Is(err, ErrCannotPeek) { // not a wait that is sure to end: the octets are read
			_, _ = io.ReadFull(nc, buf[:n])
			var k int
			k, err = nc.Read(buf[n:])
			n += k
		}
		if err != nil {
			t.Error(err)
		}
		peeked <- string(buf[:n])
	}()
	for range 20 {
		<-time.After(time.Millisecond)
	}
	_, _ = io.WriteString(peer, " * ")
	if got := <-peeked; got != "PRI * " {
		t.Errorf("%q", got)
	}
	if n := looks.Load(); n > 6 { // a few may be for what the poller has said in between
		t.Errorf("the socket was looked at %d times for two pieces", n)
	}
}
