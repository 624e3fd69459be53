//go:build unix

package conn

import (
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// waiter reads from a socket, into buf from octet n on, or where buf is nil into one that it takes
// from a pool only once there is something to read, so that an idle connection holds none.
type waiter interface {
	read(buf *buffer, n int, pool *sync.Pool) (*buffer, int, error)
}

type rawWaiter struct {
	nc    net.Conn
	raw   syscall.RawConn
	try   func(fd uintptr) bool // made once
	buf   *buffer
	at    int
	pool  *sync.Pool
	n     int
	over  bool // the peer has ended its direction
	errno syscall.Errno
}

// newWaiter returns a waiter for a TCP or Unix socket, nil for anything else.
func newWaiter(nc net.Conn) waiter {
	raw := rawio.Socket(nc)
	if raw == nil {
		return nil // what wraps a socket, such as TLS, reads in its own way
	}
	w := &rawWaiter{nc: nc, raw: raw}
	w.try = w.tryRead
	return w
}

func (w *rawWaiter) read(buf *buffer, n int, pool *sync.Pool) (*buffer, int, error) {
	w.pool = pool
	w.buf, w.at, w.n, w.over, w.errno = buf, n, 0, false, 0
	err := w.raw.Read(w.try)
	buf = w.buf
	w.buf = nil
	switch {
	case err != nil || w.errno != 0:
		err = rawio.Error("read", w.nc, w.errno, err)
	case w.over:
		err = io.EOF
	}
	return buf, w.n, err
}

// tryRead reads once and tells whether that is final; false waits for the socket to be readable.
func (w *rawWaiter) tryRead(fd uintptr) bool {
	buf := w.buf
	if buf == nil {
		buf = w.pool.Get().(*buffer)
	}
	for {
		n, errno := rawio.Read(int(fd), buf.b[w.at:])
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
		case errno != 0:
			w.errno = errno
		case n == 0:
			w.over = true
		default:
			w.buf, w.n = buf, n
			return true
		}
		if w.buf == nil {
			w.pool.Put(buf)
		}
		return w.over || w.errno != 0
	}
}
