//go:build linux || darwin

package socket

import "syscall"

// LimitNotSent has a TCP socket take no more octets while so many wait in the kernel to be sent for
// the first time; 0 is the default of the system. On a Unix socket it does nothing.
func (s *Socket) LimitNotSent(octets int) {
	if !s.TCP() {
		return
	}
	_ = s.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, octets)
	})
}
