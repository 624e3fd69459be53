//go:build unix && !aix && !solaris

package socket

import "syscall"

// CanPeek says that what is in a socket can be looked at, and is left there, without waiting.
const CanPeek = true

// Readable reports whether a read would not wait, be it for an error or the end.
func (s *Socket) Readable() bool {
	there := true
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		there = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return there || err != nil
}
