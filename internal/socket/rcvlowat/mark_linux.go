package rcvlowat

import (
	"syscall"

	"github.com/sluice-go/sluice/internal/socket"
)

// New returns the mark of a TCP socket. It returns nil for any other socket, and in a bubble of
// testing/synctest, to which the timer that all marks share must not belong.
func New(s *socket.Socket) *Mark {
	if s == nil || !s.TCP() || socket.InBubble() {
		return nil
	}
	m := &Mark{octets: 1, timer: &sharedTimer}
	octets := 0
	set := func(fd uintptr) {
		// If it fails, the socket stays as it was.
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, octets)
	}
	m.set = func(n int) {
		octets = n
		_ = s.Control(set) // fails only if the socket is closed
	}
	return m
}
