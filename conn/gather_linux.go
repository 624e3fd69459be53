package conn

import (
	"sync"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// lendable says that sockets of this system can be written to from several places at once.
const lendable = true

// gatherer writes to a TCP or Unix socket what a lender has.
type gatherer struct {
	c         *Conn
	raw       syscall.RawConn
	once, all func(fd uintptr) bool // made once
	errno     syscall.Errno
}

// vectors is memory for what one call is told.
type vectors struct{ v []syscall.Iovec }

var vectorPool = sync.Pool{New: func() any { return &vectors{make([]syscall.Iovec, 0, 2*lendLimit/(16<<10)+2)} }}

func (l *lender) init(c *Conn) {
	l.c, l.raw = c, rawio.Socket(c.wire)
	l.once = func(fd uintptr) bool {
		l.step(fd)
		return true
	}
	l.all = func(fd uintptr) bool {
		for l.step(fd) {
		}
		return l.errno != 0 || l.sent == l.size
	}
}

// write writes what the socket takes at once, or all if wait is set.
func (l *lender) write(wait bool) error {
	l.errno = 0
	f := l.once
	if wait {
		f = l.all
	}
	if err := l.raw.Write(f); err != nil || l.errno != 0 {
		return rawio.Error("write", l.c.wire, l.errno, err)
	}
	return nil
}

// step writes once and tells whether the socket may take more.
func (l *lender) step(fd uintptr) bool {
	box := vectorPool.Get().(*vectors)
	v := box.v[:0]
	l.c.mu.Lock()
	l.begin(func(p []byte) {
		e := syscall.Iovec{Base: &p[0]}
		e.SetLen(len(p))
		v = append(v, e)
	})
	l.c.mu.Unlock()
	n, errno := rawio.Writev(int(fd), v)
	for errno == syscall.EINTR {
		n, errno = rawio.Writev(int(fd), v)
	}
	if errno != 0 {
		n = 0
	}
	if errno != syscall.EAGAIN {
		l.errno = errno
	}
	clear(v)
	box.v = v
	vectorPool.Put(box)
	l.c.mu.Lock()
	l.end(n)
	more := n > 0 && l.sent < l.size
	l.c.mu.Unlock()
	return more
}
