package baseline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"unsafe"
)

// A socket blocks, and the runtime does not know of its system calls: while it waits, the goroutine
// keeps its thread and its P.
type socket struct {
	net.Conn // nil; crypto/tls calls nothing of it
	fd       int
}

// newSocket takes the socket of nc away from the runtime.
func newSocket(nc net.Conn) (*socket, error) {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%T is no TCP connection", nc)
	}
	defer tc.Close()
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{}
	var dup error
	err = raw.Control(func(fd uintptr) { s.fd, dup = syscall.Dup(int(fd)) })
	if err = errors.Join(err, dup); err != nil {
		return nil, err
	}
	return s, syscall.SetNonblock(s.fd, false)
}

func (s *socket) Close() error { return syscall.Close(s.fd) }

// Read returns what is there, or waits for it.
func (s *socket) Read(b []byte) (int, error) {
	n, err := s.call(syscall.SYS_READ, b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write waits until all is taken.
func (s *socket) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = s.call(syscall.SYS_WRITE, b[n:])
		n += k
	}
	return n, err
}

func (s *socket) call(number uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(
			number,
			uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)),
		)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
