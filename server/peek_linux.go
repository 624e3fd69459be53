package server

import (
	"encoding/binary"
	"syscall"
)

// peekedBuffer is how large the receive buffer of a socket must be that is to hold the longest line
// that is looked at: the kernel announces a part of it as the window, and counts what it needs
// itself for each packet.
const peekedBuffer = 8 * maxSniffedLine

// mayContinue reports whether a wait for more octets than a socket has, which nobody reads, ends
// once the peer has sent more or has said that it sends no more. That is so for a socket of TCP
// whose buffer has room for what is looked at and whose peer has not said so yet.
//
// A Unix socket has no such room: its peer may not write while a few small pieces are not read,
// as few as it likes (SO_SNDBUF). And the end of a connection of Multipath TCP is not that of the
// connection of TCP below, whose state TCP_INFO gives.
func mayContinue(fd int) bool {
	if proto, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_PROTOCOL); err != nil ||
		proto != syscall.IPPROTO_TCP {
		return false
	}
	if size, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); err != nil || size < peekedBuffer {
		return false
	}
	v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO)
	if err != nil {
		return false
	}
	var info [4]byte // the beginning of struct tcp_info
	binary.NativeEndian.PutUint32(info[:], uint32(v))
	const established = 1 // TCP_ESTABLISHED
	return info[0] == established
}
