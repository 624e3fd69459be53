//go:build race

package socket

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Package syscall has one variable of its own that every read acquires and every write releases.
// Reads and writes of nothing reach it: they do not touch the socket, and do not wait.

// raceReceived says that p was written to, after what the peer has done.
func raceReceived(fd int, p []byte) {
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(&p[0]), len(p))
	}
	_, _ = syscall.Read(fd, nil) // fails never, or else there is one edge less
}

// raceSending says that what this goroutine has done comes before the peer's next read.
func raceSending() {
	_, _ = syscall.Write(-1, nil) // fails, which does not matter
}

// raceSent says that p was read.
func raceSent(p []byte) {
	if len(p) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(&p[0]), len(p))
	}
}

// raceSentVectors says that the first n octets were read.
func raceSentVectors(v []syscall.Iovec, n int) {
	for _, e := range v {
		k := min(n, int(e.Len))
		if k <= 0 {
			return
		}
		runtime.RaceReadRange(unsafe.Pointer(e.Base), k)
		n -= k
	}
}
