package server

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/netconn"
)

// peeker reads the first octets of a connection. Where the socket can be peeked into it leaves them
// there, so that whatever is to speak the protocol may be given the connection as the listener gave
// it; elsewhere, and where a wait for more might not end, it takes them.
type peeker struct {
	from io.Reader       // nc, or what was received before it
	nc   net.Conn        // what is peeked into
	raw  syscall.RawConn // its socket; nil: octets are taken
	seen int             // how many octets Read has returned that are still in the socket
}

// errTake says that peeking does not help.
var errTake = errors.New("server: the octets must be taken")

// newPeeker returns one for a connection of which received was read already.
func newPeeker(nc net.Conn, received []byte) *peeker {
	if len(received) > 0 {
		return &peeker{from: &netconn.Prefixed{Conn: nc, Prefix: received}}
	}
	return &peeker{from: nc, nc: nc, raw: peekable(nc)}
}

// ahead returns what was received and that Read has not returned.
func (r *peeker) ahead() []byte {
	if p, ok := r.from.(*netconn.Prefixed); ok {
		return p.Prefix
	}
	return nil
}

// left reports whether every octet that was returned is still there.
func (r *peeker) left() bool { return r.raw != nil }

// Read returns the octets that follow those which it has returned already.
func (r *peeker) Read(p []byte) (int, error) {
	if r.raw == nil || len(p) == 0 {
		return r.from.Read(p)
	}
	buf := make([]byte, r.seen+len(p))
	n, err := peekMore(r.nc, r.raw, buf, r.seen)
	if errors.Is(err, errTake) {
		if err = r.take(); err != nil {
			return 0, err
		}
		return r.from.Read(p)
	}
	n = copy(p, buf[r.seen:n])
	r.seen += n
	return n, err
}

// take takes the octets that Read has returned, and those to come. They are in the socket, so that
// it does not wait.
func (r *peeker) take() error {
	if r.raw == nil {
		return nil
	}
	n := int64(r.seen)
	r.raw, r.seen = nil, 0
	_, err := io.CopyN(io.Discard, r.from, n)
	return err
}

// maxDrained bounds what drain reads.
const maxDrained = 64 << 10
