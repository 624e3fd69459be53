package socket

import "syscall"

// maxRaw is the most that is moved in one raw call, in octets.
const maxRaw = 512 << 10

// flags of every call: it never waits, and a peer that is gone is an error and not a signal.
const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL

// readFD reads once, without waiting. It may read less than there is room for in p, which is not
// empty.
func readFD(fd int, p []byte) (int, syscall.Errno) {
	p = p[:min(len(p), maxRaw)]
	n, errno := recv(fd, p)
	if errno == syscall.ENOTSOCK {
		var err error
		n, err = syscall.Read(fd, p)
		return n, errnoOf(err)
	}
	if errno == 0 {
		raceReceived(fd, p[:n])
	}
	return n, errno
}

// writeFD writes once, without waiting. p is not empty.
func writeFD(fd int, p []byte) (int, syscall.Errno) {
	raceSending()
	n, errno := send(fd, p, len(p) > maxRaw)
	if errno == syscall.ENOTSOCK {
		var err error
		n, err = syscall.Write(fd, p)
		return n, errnoOf(err)
	}
	if errno == 0 {
		raceSent(p[:n])
	}
	return n, errno
}

// writevFD is writeFD from several places, none of which is empty.
func writevFD(fd int, v []syscall.Iovec) (int, syscall.Errno) {
	raceSending()
	n, errno := sendv(fd, v)
	if errno == syscall.ENOTSOCK {
		n, errno = writev(fd, v)
	}
	if errno == 0 {
		raceSentVectors(v, n)
	}
	return n, errno
}

// setLen sets a field whose type depends on the system.
func setLen[T uint32 | uint64](field *T, n int) { *field = T(n) }
