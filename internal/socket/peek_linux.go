package socket

import (
	"encoding/binary"
	"syscall"
)

// peekBufferFactor is how many times as large as what is peeked at the receive buffer of a socket
// must be: the kernel announces only a part of it as the window, and charges its own needs for each
// packet to it.
const peekBufferFactor = 8

// mayWaitUnread reports whether a wait for more octets, while those that the socket has are not
// read, is sure to end once the peer has sent more or has sent FIN. That is so for a socket of TCP
// whose buffer has room for limit octets and whose peer has not sent FIN yet.
//
// It is not so for a Unix socket, where the peer's own buffer (SO_SNDBUF) decides how many small
// pieces it may write while they are not read; nor for Multipath TCP, whose end is not that of the
// TCP connection that TCP_INFO describes.
func mayWaitUnread(fd, limit int) bool {
	if proto, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_PROTOCOL); err != nil ||
		proto != syscall.IPPROTO_TCP {
		return false
	}
	if size, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); err != nil ||
		size < peekBufferFactor*limit {
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
