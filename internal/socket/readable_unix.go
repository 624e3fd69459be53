//go:build unix && !aix && !solaris

package socket

import "syscall"

// CanPeek is true where Readable and Peek work: they look at what a socket has and leave it there.
const CanPeek = true

// Readable reports whether a read would return at once, with octets, an error or the end.
func (s *Socket) Readable() bool {
	there := true
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		there = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return there || err != nil
}
