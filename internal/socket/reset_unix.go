//go:build unix

package socket

import (
	"net"
	"os"
	"syscall"
)

// AwaitReset waits until the connection is reset or lost, and returns the error. If this side
// closes the socket first, the error is net.ErrClosed. AwaitReset is for a connection whose peer
// has ended its direction: a Read would return io.EOF at once.
func (s *Socket) AwaitReset() error {
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		errno, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		switch {
		case err != nil:
			failed = os.NewSyscallError("getsockopt", err)
		case errno != 0:
			failed = os.NewSyscallError("read", syscall.Errno(errno))
		}
		return failed != nil
	})
	if err != nil {
		return net.ErrClosed // a deadline is not set
	}
	return failed
}

// Disconnected reports whether the connection has come to its end: it was reset or lost, or both
// directions are closed.
func (s *Socket) Disconnected() bool {
	gone := true
	err := s.raw.Control(func(fd uintptr) {
		_, err := syscall.Getpeername(int(fd))
		gone = err != nil
	})
	return gone || err != nil
}
