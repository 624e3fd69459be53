package conn

import (
	"net"
	"sync"
	"syscall"
	"unsafe"

	"github.com/sluice-go/sluice/conn/core"
)

// rawGatherer writes to a TCP or Unix socket from several places at once, without ever waiting for it.
type rawGatherer struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool // made once
	vec  []syscall.Iovec
	n    int
	fail error
}

// vectors is memory for what one call is told.
type vectors struct{ v []syscall.Iovec }

var vectorPool = sync.Pool{New: func() any { return &vectors{make([]syscall.Iovec, 0, 2*lendLimit/(16<<10)+2)} }}

// newGatherer returns a gatherer for a TCP or Unix socket, nil for anything else.
func newGatherer(nc net.Conn) gatherer {
	raw := rawSocket(nc)
	if raw == nil {
		return nil
	}
	g := &rawGatherer{raw: raw}
	g.try = g.once
	return g
}

func (g *rawGatherer) tryGather(b []byte, loans []core.Loan) (int, error) {
	box := vectorPool.Get().(*vectors)
	v, from := box.v[:0], 0
	for _, l := range loans {
		v = appendVector(appendVector(v, b[from:l.At]), l.Data)
		from = l.At
	}
	g.vec, g.n, g.fail = appendVector(v, b[from:]), 0, nil
	err := g.raw.Write(g.try)
	box.v, g.vec = g.vec[:0], nil
	clear(box.v[:cap(box.v)])
	vectorPool.Put(box)
	if err == nil {
		err = g.fail
	}
	return g.n, err
}

func appendVector(v []syscall.Iovec, p []byte) []syscall.Iovec {
	if len(p) == 0 {
		return v
	}
	e := syscall.Iovec{Base: &p[0]}
	e.SetLen(len(p))
	return append(v, e)
}

// once writes once. It never asks to be called again when the socket is writable.
func (g *rawGatherer) once(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&g.vec[0])), uintptr(len(g.vec)))
		switch errno {
		case 0:
			g.n = int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			g.fail = &net.OpError{Op: "write", Net: "tcp", Err: errno}
		}
		return true
	}
}
