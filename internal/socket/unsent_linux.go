package socket

import (
	"syscall"
	"unsafe"
)

// Unsent returns how many of the octets written to the socket the peer's kernel has not
// acknowledged or, on a Unix socket, the peer has not read. The number is exact only where it is 0.
func (s *Socket) Unsent() (n int, ok bool) {
	var left int32
	err := s.raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
		ok = errno == 0
	})
	return int(left), ok && err == nil
}
