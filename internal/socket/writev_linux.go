package socket

import (
	"sync"
	"syscall"
)

// CanWritev says that a VectorWriter can be had: one system call writes from many places.
const CanWritev = true

// A VectorWriter writes to a socket what lies in many places. It is for one goroutine at a time.
type VectorWriter struct {
	s       *Socket
	src     Pieces
	some    func(fd uintptr) bool // made once, as are the next two
	all     func(fd uintptr) bool
	add     func(p []byte)
	vectors []syscall.Iovec // for the present call
	left    bool            // not all was written
	errno   syscall.Errno
}

// iovecs is memory for what one call is told.
type iovecs struct{ v []syscall.Iovec }

const iovecsStart = 64 + 2 // 512 KiB in pieces of 16 KiB with a frame header before each

var iovecPool = sync.Pool{New: func() any { return &iovecs{make([]syscall.Iovec, 0, iovecsStart)} }}

// NewVectorWriter returns a writer of src to s.
func NewVectorWriter(s *Socket, src Pieces) *VectorWriter {
	w := &VectorWriter{s: s, src: src}
	w.some = func(fd uintptr) bool {
		w.once(fd)
		return true
	}
	w.all = func(fd uintptr) bool {
		for w.once(fd) && w.left {
		}
		return w.errno != 0 || !w.left
	}
	w.add = func(p []byte) {
		e := syscall.Iovec{Base: &p[0]}
		e.SetLen(len(p))
		w.vectors = append(w.vectors, e)
	}
	return w
}

// TryWrite writes what the socket takes at once.
func (w *VectorWriter) TryWrite() error { return w.write(w.some) }

// Write writes all, and waits for the socket as Write of its net.Conn does.
func (w *VectorWriter) Write() error { return w.write(w.all) }

func (w *VectorWriter) write(f func(fd uintptr) bool) error {
	w.errno, w.left = 0, true
	if err := w.s.raw.Write(f); err != nil || w.errno != 0 {
		return opError("write", w.s.nc, w.errno, err)
	}
	return nil
}

// once writes once and reports whether the socket has taken something.
func (w *VectorWriter) once(fd uintptr) bool {
	box := iovecPool.Get().(*iovecs)
	w.vectors = box.v[:0]
	w.src.Unwritten(w.add)
	n, errno := writevFD(int(fd), w.vectors)
	for errno == syscall.EINTR {
		n, errno = writevFD(int(fd), w.vectors)
	}
	if errno != 0 {
		n = 0
	}
	if errno != syscall.EAGAIN {
		w.errno = errno
	}
	box.v, w.vectors = w.vectors, nil
	clear(box.v)
	iovecPool.Put(box)
	w.left = w.src.Wrote(n)
	return n > 0
}
