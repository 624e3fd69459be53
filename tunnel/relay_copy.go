package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// Sizes of the buffers of a relay: what is held while a connection that is no plain socket has
// nothing, and for what comes.
const (
	waitBufferSize = 4 << 10
	bufferSize     = 32 << 10
)

// The pools of buffers, of *[]byte.
var (
	waitBuffers = sync.Pool{New: func() any { b := make([]byte, waitBufferSize); return &b }}
	buffers     = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}
)

// sink is where one direction of a relay goes.
type sink struct {
	r    *relay
	from int
	dst  net.Conn
	err  error // of a Write
}

// Write writes to the destination and counts. Where checkIdle has cut a Write short to see whether
// it makes progress, it goes on.
func (s *sink) Write(b []byte) (n int, err error) {
	s.r.touch()
	s.r.writing[s.from].Store(true)
	defer s.r.writing[s.from].Store(false)
	for {
		k, err := s.dst.Write(b[n:])
		n += k
		s.count(k)
		switch {
		case n == len(b) && err == nil:
			return n, nil
		case err == nil:
			err = io.ErrShortWrite
		case errors.Is(err, os.ErrDeadlineExceeded) && s.r.resume(s.dst):
			continue
		}
		s.err = err
		return n, err
	}
}

// count counts octets that the destination has taken.
func (s *sink) count(n int) {
	if n > 0 {
		s.r.octets[s.from].Add(int64(n))
		s.r.touch()
	}
}

// copyFrom carries what src brings until that ends. Where the destination fails, err is set, too.
func (s *sink) copyFrom(src net.Conn) error {
	if ahead, ok := src.(*netconn.Prefixed); ok {
		if _, err := s.Write(ahead.Prefix); err != nil {
			return err
		}
		ahead.Prefix = nil
		src = ahead.Conn
	}
	if t, ok := src.(*conn.Tunnel); ok {
		_, err := t.WriteTo(s) // holds no buffer while it waits
		return err
	}
	if r := socket.NewReader(socket.Of(src)); r != nil {
		return s.copySocket(src, r)
	}
	return s.copyAny(src)
}

// copySocket is copyFrom for a plain socket. It holds no buffer while it waits.
func (s *sink) copySocket(src net.Conn, r *socket.Reader) error {
	in, out := tcpOf(src), tcpOf(s.dst)
	for {
		buf, n, err := r.ReadPooled(&buffers)
		full := false
		if n > 0 {
			_, err = s.Write((*buf)[:n])
			full = n == len(*buf)
			buffers.Put(buf)
		}
		if err == nil && full && in != nil && out != nil {
			err = s.splice(out, in)
		}
		switch {
		case err == io.EOF: //nolint:errorlint // Reader and splice return this very value
			return nil
		case err != nil:
			return err
		}
	}
}

// tcpOf returns the socket of TCP that a connection is, nil for another.
func tcpOf(c net.Conn) *net.TCPConn {
	t, _ := below(c).(*net.TCPConn)
	return t
}

// What one splice moves, so that octets are counted while much is carried, and for how long it
// waits for that: then a buffer is used again, with which the idle clock is exact.
const (
	spliceSize = 1 << 20
	spliceTime = time.Second
)

// splice moves octets within the kernel, where that is possible, for as long as many come. It
// returns nil when they do not any more.
func (s *sink) splice(dst, src *net.TCPConn) error {
	defer func() { _ = src.SetReadDeadline(noDeadline) }() // fails on a closed socket only
	wait := spliceTime
	if s.r.idle > 0 {
		wait = min(wait, s.r.idle/2)
	}
	for {
		_ = src.SetReadDeadline(time.Now().Add(wait)) // as above
		n, err := dst.ReadFrom(&io.LimitedReader{R: src, N: spliceSize})
		s.count(int(n))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			if !socket.Of(src).Disconnected() {
				s.err = err // the error does not say of which side it is
			}
			return err
		case n < spliceSize:
			return io.EOF
		}
	}
}

// copyAny is copyFrom for any connection.
func (s *sink) copyAny(src net.Conn) error {
	pool := &waitBuffers
	for {
		buf := pool.Get().(*[]byte)
		n, err := src.Read(*buf)
		var werr error
		if n > 0 {
			_, werr = s.Write((*buf)[:n])
		}
		full := n == len(*buf)
		pool.Put(buf)
		switch {
		case werr != nil:
			return werr
		case err == io.EOF: //nolint:errorlint // errors that wrap it are not the end of the stream
			return nil
		case err != nil:
			return err
		}
		if pool = &waitBuffers; full {
			pool = &buffers
		}
	}
}
