//go:build unix && !linux

package socket

import "syscall"

// readFD reads once.
func readFD(fd int, p []byte) (int, syscall.Errno) {
	n, err := syscall.Read(fd, p)
	return n, errnoOf(err)
}

// writeFD writes once.
func writeFD(fd int, p []byte) (int, syscall.Errno) {
	n, err := syscall.Write(fd, p)
	return n, errnoOf(err)
}
