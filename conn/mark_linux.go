package conn

import (
	"net"
	"syscall"
)

// newLowMark returns nil for what is no TCP socket.
func newLowMark(nc net.Conn) *lowMark {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	m := &lowMark{at: 1, clock: &marks}
	octets := 0
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, octets) // where it fails nothing has changed
	}
	m.set = func(n int) {
		octets = n
		_ = raw.Control(set) // fails on a closed socket only
	}
	return m
}
