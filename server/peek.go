package server

import (
	"errors"
	"io"
	"net"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// peeker reads the first octets of a connection. Where it can peek into the socket it leaves them
// there, so that the connection can be served as the listener gave it; elsewhere, and where a wait
// for more octets might not end while these are in the socket, it consumes them.
type peeker struct {
	from   io.Reader      // the connection, with what was received before
	socket *socket.Socket // nil: it cannot be peeked into, or was consumed from
	seen   int            // how many octets Read has returned that are still in the socket
}

// newPeeker returns a peeker for a connection of which received was read already.
func newPeeker(nc net.Conn, received []byte) *peeker {
	if len(received) > 0 {
		return &peeker{from: &netconn.Prefixed{Conn: nc, Prefix: received}}
	}
	r := &peeker{from: nc}
	if socket.CanPeek {
		r.socket = socket.Of(nc)
	}
	return r
}

// rest returns the octets that were received before and that Read has not returned.
func (r *peeker) rest() []byte {
	if p, ok := r.from.(*netconn.Prefixed); ok {
		return p.Prefix
	}
	return nil
}

// untouched reports whether every octet that Read has returned is still in the socket.
func (r *peeker) untouched() bool { return r.socket != nil }

// Read returns the octets that follow those which it has returned already.
func (r *peeker) Read(p []byte) (int, error) {
	if r.socket == nil || len(p) == 0 {
		return r.from.Read(p)
	}
	buf := make([]byte, r.seen+len(p))
	n, err := r.socket.Peek(buf, r.seen, maxSniffedLine)
	if errors.Is(err, socket.ErrCannotPeek) {
		if err = r.consume(); err != nil {
			return 0, err
		}
		return r.from.Read(p)
	}
	n = copy(p, buf[r.seen:n])
	r.seen += n
	return n, err
}

// consume takes the octets that Read has returned out of the socket, without a wait. From then on
// Read consumes what it returns.
func (r *peeker) consume() error {
	if r.socket == nil {
		return nil
	}
	n := int64(r.seen)
	r.socket, r.seen = nil, 0
	_, err := io.CopyN(io.Discard, r.from, n)
	return err
}

// maxDrained is how many octets drain reads at most.
const maxDrained = 64 << 10

// drain reads what is in the socket of nc, if it has one, and does not wait for more: the kernel
// resets a connection that is closed with octets that were not read.
func drain(nc net.Conn) {
	if s := socket.Of(nc); s != nil {
		s.Drain(maxDrained)
	}
}
