// Package netconn says what can be relied on in a net.Conn that somebody else has made.
//
// A net.Conn need not be a socket. It may be a channel of SSH, whose deadlines are refused; the
// standard streams of a program, whose deadlines do nothing; a WebSocket, which is closed when a
// deadline passes, or whose Read returns without an octet at the end of each frame. What needs more
// than Read, Write and Close to work asks here first.
package netconn

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"time"
)

// Mark is for in-memory connections of tests. One with the method
//
//	InterruptibleRead(netconn.Mark) bool
//
// says with it whether its read deadline works as that of a socket does. Nothing outside of this
// module can name Mark, so no connection that is not ours has such a method.
type Mark struct{}

// Interruptible reports whether a Read of nc that waits is known to return os.ErrDeadlineExceeded
// when its read deadline is moved to the past, and to work as before when the deadline is taken
// away. That is so for the TCP and Unix sockets of package net, but not for what wraps them, which
// may do anything.
func Interruptible(nc net.Conn) bool {
	switch c := nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	case interface{ InterruptibleRead(mark Mark) bool }:
		return c.InterruptibleRead(Mark{})
	}
	return false
}

// CloseAfter closes nc when an eighth more than d has passed, unless the function that it returns
// is called before, which then returns true. It is for a read or write that has a deadline at d, in
// case that deadline does not work: where Interruptible knows that it does, and where d is not more
// than 0, there is nothing to do.
func CloseAfter(nc net.Conn, d time.Duration) (stop func() bool) {
	if d <= 0 || Interruptible(nc) {
		return func() bool { return true }
	}
	late := d + min(d/8, math.MaxInt64-d)
	return time.AfterFunc(late, func() {
		defer func() { _ = recover() }() // the connection is given up: no panic of its Close ends more than that
		_ = nc.Close()
	}).Stop
}

// Readable reports whether a Read of an in-memory connection of tests, as of Mark, would not wait.
// It says so with a method Readable(netconn.Mark) bool. Of any other connection that is not known.
func Readable(nc net.Conn) bool {
	r, ok := nc.(interface{ Readable(mark Mark) bool })
	return !ok || r.Readable(Mark{})
}

// IsTimeout reports whether err is that of a deadline which has passed, whatever connection it
// comes from: some return errors of their own.
func IsTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

const (
	// emptyAtOnce is how many Reads without an octet or an error may follow one another without a
	// pause: bufio.Reader gives up after as many.
	emptyAtOnce = 100
	// emptyMost is the longest pause between two of them.
	emptyMost = 50 * time.Millisecond
	// emptyPauses is how many pauses there may be: 10 s.
	emptyPauses = 205
)

// Patience counts the Reads in a row that have returned no octet and no error. To io.Reader that
// means that nothing happened. Its zero value has counted none.
type Patience struct{ n uint16 }

// Read reads from r until there is an octet or an error. After 100 Reads in a row that have
// returned neither it waits between them, so that a connection which returns nothing for ever costs
// no more than a little of a processor, and after 10 s of that it returns io.ErrNoProgress.
func (p *Patience) Read(r io.Reader, b []byte) (int, error) {
	for {
		n, err := r.Read(b)
		if n > 0 || err != nil || len(b) == 0 {
			p.n = 0
			return n, err
		}
		if err := p.empty(); err != nil {
			return 0, err
		}
	}
}

// empty waits before the next Read.
func (p *Patience) empty() error {
	p.n++
	switch over := int(p.n) - emptyAtOnce; {
	case over < 0:
		return nil
	case over == emptyPauses:
		p.n = 0
		return io.ErrNoProgress
	default:
		time.Sleep(min(time.Millisecond<<min(over, 10), emptyMost))
		return nil
	}
}
