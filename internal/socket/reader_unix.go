//go:build unix

package socket

import (
	"io"
	"sync"
	"syscall"
)

// A Reader reads from a socket as Read of its net.Conn does, deadlines and errors included. It is
// for one goroutine at a time.
type Reader struct {
	s    *Socket
	step func(fd uintptr) bool // the method once, kept since each use of it as a value would allocate

	p     []byte        // the buffer given to Read; nil during ReadPooled
	pool  *sync.Pool    // where ReadPooled takes its buffer from; nil during Read
	buf   *[]byte       // the result of once: the buffer from pool; nil where nothing was read into it
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
	_, n, err := r.ReadPooled(nil)
	r.p = nil
	return n, err
}

// ReadPooled reads into a buffer from pool, which has items of the type *[]byte, none of them
// empty. It takes the buffer only when there is something to read, so that none is held while it
// waits. It returns the buffer, nil where nothing was read.
func (r *Reader) ReadPooled(pool *sync.Pool) (buf *[]byte, n int, err error) {
	r.pool, r.n, r.errno = pool, 0, 0
	err = r.s.raw.Read(r.step)
	buf, r.buf, r.pool = r.buf, nil, nil
	switch {
	case err != nil || r.errno != 0:
		return nil, 0, opError("read", r.s.nc, r.errno, err)
	case r.n == 0:
		return nil, 0, io.EOF
	}
	return buf, r.n, nil
}

// once makes one read call, on behalf of syscall.RawConn.Read. It returns true when the result is
// in buf, n and errno, and false when there is nothing to read: then the runtime waits until the
// socket is readable, and calls it again.
func (r *Reader) once(fd uintptr) bool {
	p := r.p
	if r.pool != nil {
		r.buf = r.pool.Get().(*[]byte)
		p = *r.buf
	}
	n, errno := readFD(int(fd), p)
	for errno == syscall.EINTR {
		n, errno = readFD(int(fd), p)
	}
	if errno != 0 {
		n = 0
	}
	if r.pool != nil && n == 0 {
		r.pool.Put(r.buf)
		r.buf = nil
	}
	if errno == syscall.EAGAIN {
		return false
	}
	r.n, r.errno = n, errno
	return true
}
