//go:build unix

package conn

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

type rawTryWriter struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool // made once
	b    []byte
	n    int
	fail error
}

// newTryWriter returns a writer for a TCP or Unix socket, nil for anything else.
func newTryWriter(nc net.Conn) tryWriter {
	raw := rawio.Socket(nc)
	if raw == nil {
		return nil
	}
	w := &rawTryWriter{raw: raw}
	w.try = w.once
	return w
}

func (w *rawTryWriter) tryWrite(b []byte) (int, error) {
	w.b, w.n, w.fail = b, 0, nil
	err := w.raw.Write(w.try)
	w.b = nil
	if err == nil {
		err = w.fail
	}
	return w.n, err
}

// once writes once. It never asks to be called again when the socket is writable.
func (w *rawTryWriter) once(fd uintptr) bool {
	for again := true; again; {
		w.n, again, w.fail = written(rawio.Write(int(fd), w.b))
	}
	return true
}

// written says what a system call that writes has come to: how many octets, whether it is to be made again, and why it has
// failed. That the socket is full is no failure.
func written(n int, errno syscall.Errno) (_ int, again bool, err error) {
	switch errno {
	case 0:
		return n, false, nil
	case syscall.EINTR:
		return 0, true, nil
	case syscall.EAGAIN:
		return 0, false, nil
	}
	return 0, false, &net.OpError{Op: "write", Net: "tcp", Err: errno}
}
