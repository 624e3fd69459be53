package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// A UDPConn is a tunnel for UDP through a proxy, to one target (RFC 9298). Dialer.DialUDP makes it.
// It is a net.PacketConn, and a net.Conn: one Write is one datagram, and one Read returns one. Its
// methods may be called by any goroutines at the same time.
//
// Datagrams may be lost, as with UDP: the proxy drops those that are too long for its path to the
// target, and those of the target while the client does not read. On the way to the proxy none is
// lost, but a Write waits when the proxy takes nothing.
//
// Read returns io.EOF when the proxy has ended the tunnel, after its idle limit for example. When
// it has reset it the error is a *frame.StreamError over HTTP/2; the code CONNECT_ERROR says that
// the target cannot be reached, as an ICMP message has told the proxy.
type UDPConn struct {
	stream net.Conn
	local  net.Addr
	remote net.Addr

	readMu   sync.Mutex // guards capsules
	capsules capsuleReader

	writeMu sync.Mutex // guards what follows
	buf     []byte
	rest    []byte // of a capsule of which a part was sent before a deadline; lies in buf
}

// udpAddr is the address of a target that has a name.
type udpAddr string

// Network returns "udp".
func (udpAddr) Network() string { return "udp" }

// String returns host and port.
func (a udpAddr) String() string { return string(a) }

// newUDPConn returns the UDPConn over a stream of capsules.
func newUDPConn(stream net.Conn, target string) *UDPConn {
	var remote net.Addr = udpAddr(target)
	if addr, err := netip.ParseAddrPort(target); err == nil {
		remote = net.UDPAddrFromAddrPort(addr)
	}
	return &UDPConn{
		stream: stream, local: stream.LocalAddr(), remote: remote,
		capsules: capsuleReader{r: stream},
	}
}

// Read reads one datagram. What does not fit into p is lost.
func (c *UDPConn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	payload, err := c.capsules.next()
	if err != nil {
		if isMalformed(err) {
			c.abort()
		}
		return 0, err
	}
	return copy(p, payload), nil
}

// abort ends the stream after malformed capsules (RFC 9297 §3.3).
func (c *UDPConn) abort() {
	if t, ok := c.stream.(interface{ Abort(code frame.Code) error }); ok {
		_ = t.Abort(frame.ProtocolError) // returns nil
		return
	}
	_ = c.Close() // HTTP/1.1 has no other way
}

// ReadFrom is Read; the address is that of the target.
func (c *UDPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := c.Read(p)
	if err != nil {
		return 0, nil, err
	}
	return n, c.remote, nil
}

// Write sends one datagram of at most 65,527 octets; a longer one is not sent, and the error is
// syscall.EMSGSIZE for errors.Is.
//
// After a deadline it returns os.ErrDeadlineExceeded where nothing was sent. Where a part was, the
// datagram counts as sent, and the rest of it goes out with the next. Through a proxy of HTTP/1.1
// on TLS no Write succeeds after one that a deadline has cut short.
func (c *UDPConn) Write(p []byte) (int, error) {
	if len(p) > maxUDPPayload {
		return 0, c.writeError(fmt.Errorf("a datagram of %d octets, and the longest has %d: %w",
			len(p), maxUDPPayload, syscall.EMSGSIZE))
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if len(c.rest) > 0 {
		n, err := c.stream.Write(c.rest)
		c.rest = c.rest[n:]
		if err != nil {
			return 0, err
		}
	}
	c.buf = append(append(c.buf[:0], make([]byte, udpCapsuleHeader)...), p...)
	capsule := putUDPHeader(c.buf)
	n, err := c.stream.Write(capsule)
	if err != nil && n == 0 {
		return 0, err
	}
	if n < len(capsule) {
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return 0, err
		}
		c.rest = capsule[n:]
	}
	return len(p), nil
}

// WriteTo is Write. The address must be that of the target, which RemoteAddr returns.
func (c *UDPConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	if addr == nil || addr.String() != c.remote.String() {
		return 0, c.writeError(fmt.Errorf("the tunnel leads to %v, not to %v", c.remote, addr))
	}
	return c.Write(p)
}

// writeError is the error of a datagram that was not sent for what it is.
func (c *UDPConn) writeError(err error) error {
	return &net.OpError{Op: "write", Net: "udp", Source: c.local, Addr: c.remote, Err: err}
}

// Close ends the tunnel; what waits in a call returns.
func (c *UDPConn) Close() error { return c.stream.Close() }

// LocalAddr returns the client's address on the connection to the proxy.
func (c *UDPConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the target: a *net.UDPAddr where it was dialled by address,
// else one whose String is host and port, as the name is resolved by the proxy.
func (c *UDPConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; the zero time is none.
func (c *UDPConn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }

// SetReadDeadline sets when reads give up with os.ErrDeadlineExceeded; nothing is lost by that.
func (c *UDPConn) SetReadDeadline(t time.Time) error { return c.stream.SetReadDeadline(t) }

// SetWriteDeadline sets when writes give up.
func (c *UDPConn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
