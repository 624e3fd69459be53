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
	step func(fd uintptr) bool // r.once as a value, made once

	p     []byte // where to; nil: memory gives it
	mem   Memory
	n     int
	errno syscall.Errno
}

// NewReader returns a reader of s, nil where there is none on this system, or s is nil.
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

// ReadInto reads into what m gives, and asks for that only when there is something to read: while
// it waits it holds no buffer.
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

// once reads once and reports whether that is final; false waits for the socket to be readable.
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
