package server

import (
	"encoding/binary"
	"syscall"
)

// mayContinue reports whether a socket is known to be one of TCP whose peer has not said that it
// sends no more.
func mayContinue(fd int) bool {
	v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO)
	if err != nil {
		return false
	}
	var info [4]byte // the beginning of struct tcp_info
	binary.NativeEndian.PutUint32(info[:], uint32(v))
	const established = 1 // TCP_ESTABLISHED
	return info[0] == established
}
