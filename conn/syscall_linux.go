package conn

import (
	"syscall"
	"unsafe"
)

// The sockets of package net do not block, so a read or write is over in a few microseconds. syscall.Read and Write
// nevertheless prepare for one that blocks, and wake the runtime's monitor from its sleep each time that a process with
// little to do calls them: with one request in flight that costs a quarter of all CPU time. The raw calls do not; until
// they return the goroutine keeps its processor, which bounds what they may be given.

// rawMost is the most that is moved in one raw call, in octets.
const rawMost = 512 << 10

func sysRead(fd int, p []byte) (int, syscall.Errno) {
	return rawIO(syscall.SYS_READ, fd, p[:min(len(p), rawMost)])
}

func sysWrite(fd int, p []byte) (int, syscall.Errno) {
	if len(p) > rawMost {
		n, err := syscall.Write(fd, p)
		return n, errnoOf(err)
	}
	return rawIO(syscall.SYS_WRITE, fd, p)
}

// rawIO makes the system call read or write for p, which is not empty.
func rawIO(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}
