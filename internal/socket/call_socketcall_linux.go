//go:build 386 || s390x

package socket

import (
	"syscall"
	"unsafe"
)

// Numbers of socketcall(2), the only way to these calls that all kernels of these systems have.
const (
	callSendto   = 11
	callRecvfrom = 12
	callSendmsg  = 16
)

type moveArgs struct {
	fd      uintptr
	p       *byte
	n       uintptr
	flags   uintptr
	addr    uintptr
	addrLen uintptr
}

type messageArgs struct {
	fd    uintptr
	m     *syscall.Msghdr
	flags uintptr
}

func recv(fd int, p []byte) (int, syscall.Errno) {
	a := moveArgs{fd: uintptr(fd), p: &p[0], n: uintptr(len(p)), flags: flags}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SOCKETCALL, callRecvfrom, uintptr(unsafe.Pointer(&a)), 0)
	return int(n), errno
}

// send gives up its processor (runtime.entersyscall) if long is set.
func send(fd int, p []byte, long bool) (int, syscall.Errno) {
	a := moveArgs{fd: uintptr(fd), p: &p[0], n: uintptr(len(p)), flags: flags}
	if long {
		n, _, errno := syscall.Syscall(syscall.SYS_SOCKETCALL, callSendto, uintptr(unsafe.Pointer(&a)), 0)
		return int(n), errno
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SOCKETCALL, callSendto, uintptr(unsafe.Pointer(&a)), 0)
	return int(n), errno
}

func sendv(fd int, v []syscall.Iovec) (int, syscall.Errno) {
	m := syscall.Msghdr{Iov: &v[0]}
	setLen(&m.Iovlen, len(v))
	a := messageArgs{fd: uintptr(fd), m: &m, flags: flags}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SOCKETCALL, callSendmsg, uintptr(unsafe.Pointer(&a)), 0)
	return int(n), errno
}

// writev gives up its processor (runtime.entersyscall), since it may take long.
func writev(fd int, v []syscall.Iovec) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v[0])), uintptr(len(v)))
	return int(n), errno
}
