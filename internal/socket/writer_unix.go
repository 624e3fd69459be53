//go:build unix

package socket

import "syscall"

// A Writer writes to a socket. It is for one goroutine at a time.
type Writer struct {
	s    *Socket
	step func(fd uintptr) bool // the method some, kept since each use of it as a value would allocate

	b     []byte        // what is to be written
	n     int           // octets of b that are written
	all   bool          // Write is called: wait until the socket has taken all of b
	errno syscall.Errno // the error of the last call, 0 for none
}

// NewWriter returns a writer to s. It returns nil if s is nil, and on systems without a Writer.
func NewWriter(s *Socket) *Writer {
	if s == nil {
		return nil
	}
	w := &Writer{s: s}
	w.step = w.some
	return w
}

// TryWrite writes as much of b as the socket takes at once, which may be nothing. It never waits.
func (w *Writer) TryWrite(b []byte) (int, error) {
	w.b, w.n, w.errno = b, 0, 0
	err := w.s.raw.Write(w.step)
	w.b = nil
	if err != nil || w.errno != 0 {
		return w.n, opError("write", w.s.nc, w.errno, err)
	}
	return w.n, nil
}

// Write writes all of b, and waits for the socket as Write of its net.Conn does. A deadline and
// Close end the wait even if another part of the program has cleared O_NONBLOCK of the descriptor.
func (w *Writer) Write(b []byte) (int, error) {
	w.all = true
	n, err := w.TryWrite(b)
	w.all = false
	return n, err
}

// some makes write calls, on behalf of syscall.RawConn.Write: one, or with all set as many as the
// socket takes. It returns true when the write is over, and false when the socket is full and the
// rest is to be written: then the runtime waits until the socket is writable, and calls it again.
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
