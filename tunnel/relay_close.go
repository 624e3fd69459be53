package tunnel

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

var noDeadline time.Time

// below returns what a connection is whose first octets were read ahead.
func below(c net.Conn) net.Conn {
	if p, ok := c.(*netconn.Prefixed); ok {
		return p.Conn
	}
	return c
}

// socketBelow returns what a connection lies on at last: below TLS, and below connections that say
// so with a method NetConn, as tls.Conn does, such as those of load balancers. outer is what is to
// be closed instead of c, so that no TLS says that the stream has ended.
func socketBelow(c net.Conn) (lowest, outer net.Conn) {
	c = below(c)
	outer = c
	for {
		above := c
		_, isTLS := c.(*tls.Conn)
		if n, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = n.NetConn()
		} else {
			c = socket.BelowTLS(c)
		}
		switch {
		case c == nil:
			return above, outer
		case isTLS:
			outer = c
		case c == above:
			return c, outer
		}
	}
}

// socketOf returns the socket that a connection lies on at last, nil where there is none.
func socketOf(c net.Conn) *socket.Socket {
	lowest, _ := socketBelow(c)
	return socket.Of(lowest)
}

// closeWrite ends the direction to the peer: with FIN, with END_STREAM, or with close_notify on
// TLS. A connection that cannot do that is closed.
func closeWrite(c net.Conn) error {
	c = below(c)
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// abort resets a connection: with RST_STREAM of the given code, or with RST. What was written may
// be lost.
func abort(c net.Conn, code frame.Code) {
	c = below(c)
	if a, ok := c.(interface{ Abort(code frame.Code) error }); ok {
		_ = a.Abort(code) // returns nil
		return
	}
	lowest, outer := socketBelow(c) // without close_notify: what was cut off must not look whole
	if t, ok := lowest.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0) // fails on a closed connection only
	}
	_ = outer.Close() // nothing can be done about an error
}

// resetWhenSent resets a connection behind what was written to it: RST_STREAM(CONNECT_ERROR), or
// RST when the peer has acknowledged all, or resetGrace is over. It does not block.
func resetWhenSent(c net.Conn) { resetBy(c, time.Now().Add(resetGrace), time.Millisecond) }

func resetBy(c net.Conn, deadline time.Time, wait time.Duration) {
	if s := socketOf(c); s != nil {
		if n, ok := s.Unsent(); ok && n > 0 && !s.Disconnected() && time.Now().Before(deadline) {
			time.AfterFunc(wait, func() { resetBy(c, deadline, min(2*wait, 50*time.Millisecond)) })
			return
		}
	}
	abort(c, frame.ConnectError)
}
