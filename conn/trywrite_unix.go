//go:build unix

package conn

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

type rawTryWriter struct {
	nc    net.Conn
	raw   syscall.RawConn
	try   func(fd uintptr) bool // made once
	b     []byte
	n     int
	wait  bool
	errno syscall.Errno
}

// newTryWriter returns a writer for a TCP or Unix socket, nil for anything else.
func newTryWriter(nc net.Conn) tryWriter {
	raw := rawio.Socket(nc)
	if raw == nil {
		return nil
	}
	w := &rawTryWriter{nc: nc, raw: raw}
	w.try = w.step
	return w
}

func (w *rawTryWriter) tryWrite(b []byte) (int, error) { return w.write(b, false) }

func (w *rawTryWriter) writeAll(b []byte) (int, error) { return w.write(b, true) }

func (w *rawTryWriter) write(b []byte, wait bool) (int, error) {
	w.b, w.n, w.wait, w.errno = b, 0, wait, 0
	err := w.raw.Write(w.try)
	w.b = nil
	if err != nil || w.errno != 0 {
		return w.n, rawio.Error("write", w.nc, w.errno, err)
	}
	return w.n, nil
}

// step writes once, or, if the rest is waited for, until the socket is full. False waits for it to
// be writable.
func (w *rawTryWriter) step(fd uintptr) bool {
	for w.n < len(w.b) {
		n, errno := rawio.Write(int(fd), w.b[w.n:])
		switch errno {
		case 0:
			w.n += n
			if !w.wait {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return !w.wait
		default:
			w.errno = errno
			return true
		}
	}
	return true
}
