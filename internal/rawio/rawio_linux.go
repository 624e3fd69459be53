package rawio

import (
	"syscall"
	"unsafe"
)

// Most is the most that is moved in one raw call, in octets.
const Most = 512 << 10

// Read reads once. It may read less than there is room for in p, which is not empty.
func Read(fd int, p []byte) (int, syscall.Errno) {
	return call(syscall.SYS_READ, fd, p[:min(len(p), Most)])
}

// Write writes once. p is not empty.
func Write(fd int, p []byte) (int, syscall.Errno) {
	if len(p) > Most {
		n, err := syscall.Write(fd, p)
		return n, errnoOf(err)
	}
	return call(syscall.SYS_WRITE, fd, p)
}

func call(number uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}
