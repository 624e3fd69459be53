package lowmark

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// New returns the mark of a TCP socket, and nil for anything else, and in a bubble of
// testing/synctest.
func New(nc net.Conn) *Mark {
	tc, ok := nc.(*net.TCPConn)
	if !ok || rawio.InBubble() { // the clock is everybody's
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	m := &Mark{at: 1, clock: &marks}
	octets := 0
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(
			int(fd),
			syscall.SOL_SOCKET,
			syscall.SO_RCVLOWAT,
			octets,
		) // where it fails nothing has changed
	}
	m.set = func(n int) {
		octets = n
		_ = raw.Control(set) // fails on a closed socket only
	}
	return m
}
