package rcvlowat

import (
	"syscall"

	"github.com/sluice-go/sluice/internal/socket"
)

// New returns the mark of a TCP socket, and nil for anything else, and in a bubble of
// testing/synctest.
func New(s *socket.Socket) *Mark {
	if s == nil || !s.TCP() || socket.InBubble() { // the clock is everybody's
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
		_ = s.Control(set) // fails on a closed socket only
	}
	return m
}
