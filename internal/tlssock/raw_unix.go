//go:build unix

package tlssock

import (
	"io"
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/rawio"
)

// rawReader reads from a TCP or Unix socket as net.Conn.Read does, but for what package rawio says.
type rawReader struct {
	raw   syscall.RawConn // nil where there is no such socket
	try   func(fd uintptr) bool
	p     []byte
	n     int
	errno syscall.Errno

	patience netconn.Patience
}

func (r *rawReader) init(nc net.Conn) {
	if r.raw = rawio.Socket(nc); r.raw != nil {
		r.try = r.once
	}
}

func (r *rawReader) read(nc net.Conn, p []byte) (int, error) {
	if r.raw == nil || len(p) == 0 {
		return r.patience.Read(nc, p)
	}
	r.p, r.n, r.errno = p, 0, 0
	err := r.raw.Read(r.try)
	r.p = nil
	switch {
	case err != nil || r.errno != 0:
		return 0, rawio.Error("read", nc, r.errno, err)
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// once reads once and tells whether that is final; false waits for the socket to be readable.
func (r *rawReader) once(fd uintptr) bool {
	for {
		n, errno := rawio.Read(int(fd), r.p)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		}
		r.n, r.errno = n, errno
		return true
	}
}
