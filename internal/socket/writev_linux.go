package socket

import (
	"sync"
	"syscall"
)

// CanWritev is true where NewVectorWriter works: one call of writev writes several slices.
const CanWritev = true

// A VectorWriter writes several slices to a socket with one system call, writev, without copying
// them together first. It is for one goroutine at a time.
type VectorWriter struct {
	s   *Socket
	src Pieces

	// Functions that are made once, so that a write allocates none.
	some func(fd uintptr) bool // for TryWrite: one call of writev
	all  func(fd uintptr) bool // for Write: as many calls as the socket takes
	add  func(p []byte)        // for src.Unwritten: appends p to vectors

	vectors []syscall.Iovec // of the call of writev that is being prepared
	left    bool            // src has more to write
	errno   syscall.Errno   // the error of the last call, 0 for none
}

// iovecs is the memory for the vectors of one call of writev.
type iovecs struct{ v []syscall.Iovec }

const iovecsStart = 64 + 2 // 512 KiB in pieces of 16 KiB with a frame header before each

var iovecPool = sync.Pool{New: func() any { return &iovecs{make([]syscall.Iovec, 0, iovecsStart)} }}

// NewVectorWriter returns a writer that writes src to s, which is not nil.
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

// TryWrite writes as much as the socket takes at once, which may be nothing. It never waits. What
// is written src learns by Wrote.
func (w *VectorWriter) TryWrite() error { return w.write(w.some) }

// Write writes all that src has, and waits for the socket as Write of its net.Conn does.
func (w *VectorWriter) Write() error { return w.write(w.all) }

func (w *VectorWriter) write(f func(fd uintptr) bool) error {
	w.errno, w.left = 0, true
	if err := w.s.raw.Write(f); err != nil || w.errno != 0 {
		return opError("write", w.s.nc, w.errno, err)
	}
	return nil
}

// once makes one call of writev and reports whether the socket has taken anything.
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
