//go:build !386 && !s390x

package socket

import (
	"syscall"
	"unsafe"
)

func recv(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM,
		uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
	return int(n), errno
}

// send gives up its processor (runtime.entersyscall) if long is set.
func send(fd int, p []byte, long bool) (int, syscall.Errno) {
	if long {
		n, _, errno := syscall.Syscall6(syscall.SYS_SENDTO,
			uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
		return int(n), errno
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO,
		uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
	return int(n), errno
}

func sendv(fd int, v []syscall.Iovec) (int, syscall.Errno) {
	m := syscall.Msghdr{Iov: &v[0]}
	setLen(&m.Iovlen, len(v))
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), flags)
	return int(n), errno
}

// writev gives up its processor (runtime.entersyscall), since it may take long.
func writev(fd int, v []syscall.Iovec) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v[0])), uintptr(len(v)))
	return int(n), errno
}
