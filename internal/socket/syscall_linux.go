package socket

import "syscall"

// maxRaw bounds the octets that one raw call moves, and so how long it keeps its processor.
const maxRaw = 512 << 10

// flags of every call: it never waits, and a peer that is gone gives EPIPE and no SIGPIPE.
const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL

// readFD makes one read call that does not wait. p is not empty; the call may fill less of it than
// the socket has octets for.
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

// writeFD makes one write call that does not wait. p is not empty.
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

// writevFD is writeFD for several slices, none of which is empty.
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
