//go:build unix && !aix && !solaris

package conn

import "syscall"

// canLook says that a socket can be asked without waiting whether there is something to read.
const canLook = true

// peek reports whether a read would not wait.
func peek(raw syscall.RawConn) bool {
	if raw == nil {
		return false
	}
	there := true
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		there = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return there || err != nil
}
