package tunnel

import (
	"io"
	"net"
	"sync"

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
	buf  *[]byte
}

// Write writes to the destination and counts.
func (s *sink) Write(b []byte) (int, error) {
	s.r.touch()
	n, err := s.dst.Write(b)
	if n > 0 {
		s.r.octets[s.from].Add(int64(n))
		s.r.touch()
	}
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	s.err = err
	return n, err
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
		return s.copySocket(r)
	}
	return s.copyAny(src)
}

// copySocket is copyFrom for a plain socket. It holds no buffer while it waits.
func (s *sink) copySocket(r *socket.Reader) error {
	for {
		n, err := r.ReadInto(s)
		if n > 0 {
			_, err = s.Write((*s.buf)[:n])
			s.GiveBack()
		}
		switch {
		case err == io.EOF: //nolint:errorlint // the Reader returns this very value
			return nil
		case err != nil:
			return err
		}
	}
}

// Take returns a buffer, for the Reader of a socket.
func (s *sink) Take() []byte {
	s.buf = buffers.Get().(*[]byte)
	return *s.buf
}

// GiveBack takes the buffer back.
func (s *sink) GiveBack() {
	buffers.Put(s.buf)
	s.buf = nil
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
