//go:build unix

package socket

import "syscall"

// A Writer writes to a socket. It is for one goroutine at a time.
type Writer struct {
	s    *Socket
	step func(fd uintptr) bool // w.some as a value, made once

	b     []byte
	n     int  // octets of b that are written
	all   bool // what the socket does not take at once is waited for
	errno syscall.Errno
}

// NewWriter returns a writer to s, nil where there is none on this system, or s is nil.
func NewWriter(s *Socket) *Writer {
	if s == nil {
		return nil
	}
	w := &Writer{s: s}
	w.step = w.some
	return w
}

// TryWrite writes what the socket takes of b at once, which may be nothing, and never waits.
func (w *Writer) TryWrite(b []byte) (int, error) { return w.write(b, false) }

// Write writes all of b, and waits for the socket as Write of its net.Conn does. Deadlines and
// Close hold also where a program has made the descriptor block.
func (w *Writer) Write(b []byte) (int, error) { return w.write(b, true) }

func (w *Writer) write(b []byte, all bool) (int, error) {
	w.b, w.n, w.all, w.errno = b, 0, all, 0
	err := w.s.raw.Write(w.step)
	w.b = nil
	if err != nil || w.errno != 0 {
		return w.n, opError("write", w.s.nc, w.errno, err)
	}
	return w.n, nil
}

// some writes once, or, if all is to be written, until the socket is full. False waits for the
// socket to be writable.
func (w *Writer) some(fd uintptr) bool {
	for w.n < len(w.b) {
		n, errno := writeFD(int(fd), w.b[w.n:])
		switch errno {
		case 0:
			w.n += n
			if !w.all {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return !w.all
		default:
			w.errno = errno
			return true
		}
	}
	return true
}
