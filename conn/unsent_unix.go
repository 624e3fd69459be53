//go:build linux || darwin

package conn

import (
	"crypto/tls"
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// capUnsent has the kernel hold no more octets that it cannot send yet than unsentLimit says: what
// it holds cannot be overtaken. It is called by the flusher before it writes n octets, and costs a
// system call when the limit changes. A socket that is not TCP has no such option, which does no
// harm.
func (c *Conn) capUnsent(n int, exponent uint8) {
	if n < smallFill || exponent == c.capped {
		return
	}
	c.capped = exponent
	nc := c.wire
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	if _, ok := nc.(*net.TCPConn); !ok {
		return
	}
	raw := rawio.Socket(nc)
	if raw == nil {
		return
	}
	limit := 0 // the default of the system
	if exponent > 0 {
		limit = 1 << exponent
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, limit)
	})
}
