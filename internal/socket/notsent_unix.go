//go:build linux || darwin

package socket

import "syscall"

// LimitNotSent has the kernel take no more for a TCP socket while it holds so many octets that it
// could not send yet; 0 is the default of the system. On a Unix socket it does nothing.
func (s *Socket) LimitNotSent(octets int) {
	if !s.TCP() {
		return
	}
	_ = s.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, octets)
	})
}
