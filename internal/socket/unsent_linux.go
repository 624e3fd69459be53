package socket

import (
	"syscall"
	"unsafe"
)

// Unsent returns how much of what was written to the socket has not arrived at the peer's kernel,
// or, where that is the same kernel, was not read by the peer: more than 0 as long as there is
// some.
func (s *Socket) Unsent() (n int, ok bool) {
	var left int32
	err := s.raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
		ok = errno == 0
	})
	return int(left), ok && err == nil
}
