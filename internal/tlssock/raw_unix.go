//go:build unix

package tlssock

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// rawReader reads from a TCP or Unix socket as net.Conn.Read does, but for what package rawio says.
type rawReader struct {
	raw  syscall.RawConn // nil where there is no such socket
	try  func(fd uintptr) bool
	p    []byte
	n    int
	fail error
}

func (r *rawReader) init(nc net.Conn) {
	if r.raw = rawio.Socket(nc); r.raw != nil {
		r.try = r.once
	}
}

func (r *rawReader) read(nc net.Conn, p []byte) (int, error) {
	if r.raw == nil || len(p) == 0 {
		return nc.Read(p)
	}
	r.p, r.n, r.fail = p, 0, nil
	err := r.raw.Read(r.try)
	r.p = nil
	if err == nil {
		err = r.fail
	}
	return r.n, err
}

// once reads once and tells whether that is final; false waits for the socket to be readable.
func (r *rawReader) once(fd uintptr) bool {
	for {
		n, errno := rawio.Read(int(fd), r.p)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			r.fail = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", errno)}
		case n == 0:
			r.fail = io.EOF
		default:
			r.n = n
		}
		return true
	}
}
