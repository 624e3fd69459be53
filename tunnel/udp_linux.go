package tunnel

import (
	"net"
	"syscall"
)

// dontFragment has the system send no fragments, and set DF on IPv4 (RFC 9298 §3.1): a datagram
// that is too long for the path is EMSGSIZE. Connections that are no sockets stay as they are.
func dontFragment(nc net.Conn) {
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	// Each option fails on a socket of the other family; "if possible", the RFC says.
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, syscall.IPV6_PMTUDISC_DO)
	})
}
