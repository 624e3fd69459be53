//go:build unix

package socket

import (
	"io"
	"syscall"
)

// A Reader reads from a socket as Read of its net.Conn does, deadlines and errors included. It is
// for one goroutine at a time.
type Reader struct {
	s    *Socket
	step func(fd uintptr) bool // the method once, kept since each use of it as a value would allocate

	p     []byte        // the buffer given to Read; nil during ReadInto
	mem   Memory        // where ReadInto takes its buffer from
	n     int           // the result of once: octets read, 0 at the end of input
	errno syscall.Errno // the result of once: its error, 0 for none
}

// NewReader returns a reader of s. It returns nil if s is nil, and on systems without a Reader.
func NewReader(s *Socket) *Reader {
	if s == nil {
		return nil
	}
	r := &Reader{s: s}
	r.step = r.once
	return r
}

// Read reads into p, which is not empty.
func (r *Reader) Read(p []byte) (int, error) {
	r.p = p
	n, err := r.read()
	r.p = nil
	return n, err
}

// ReadInto reads into a buffer that it takes from m. It takes the buffer only when there is
// something to read, so none is held while it waits.
func (r *Reader) ReadInto(m Memory) (int, error) {
	r.mem = m
	n, err := r.read()
	r.mem = nil
	return n, err
}

func (r *Reader) read() (int, error) {
	r.n, r.errno = 0, 0
	err := r.s.raw.Read(r.step)
	switch {
	case err != nil || r.errno != 0:
		return 0, opError("read", r.s.nc, r.errno, err)
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// once makes one read call, on behalf of syscall.RawConn.Read. It returns true when the result is
// in n and errno, and false when there is nothing to read: then the runtime waits until the socket
// is readable, and calls it again.
func (r *Reader) once(fd uintptr) bool {
	p := r.p
	if p == nil {
		p = r.mem.Take()
	}
	n, errno := readFD(int(fd), p)
	for errno == syscall.EINTR {
		n, errno = readFD(int(fd), p)
	}
	if errno != 0 {
		n = 0
	}
	if r.p == nil && n == 0 {
		r.mem.GiveBack()
	}
	if errno == syscall.EAGAIN {
		return false
	}
	r.n, r.errno = n, errno
	return true
}
