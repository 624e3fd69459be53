package tunnel

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// DefaultProxyHeaderTimeout is the default of ProxyProtocolListener.HeaderTimeout.
const DefaultProxyHeaderTimeout = 10 * time.Second

// ProxyProtocolListener accepts connections of load balancers that say in a PROXY protocol header,
// of version 1 or 2, which client they are for: RemoteAddr of such a connection is the client's
// address, and LocalAddr the one that the client has connected to. TLS comes behind the header.
//
// A connection whose header says LOCAL or UNKNOWN keeps its addresses. One that is closed before
// anything has come, or behind the header, is a health probe: Accept does not return it, and
// nothing is logged. One that is trusted and has no header is closed.
type ProxyProtocolListener struct {
	net.Listener

	// Trusted are the addresses whose headers are believed, and which must send one. Connections
	// of others are served as they are: a header that they send is no HTTP.
	Trusted []netip.Prefix

	// HeaderTimeout bounds the time from the connection to the end of the header. Default
	// [DefaultProxyHeaderTimeout], 10 s.
	HeaderTimeout time.Duration

	// Logger gets the connections that were closed for their header. A nil Logger discards it.
	Logger *slog.Logger

	once     sync.Once
	accepted chan accepted
	failed   chan struct{} // closed when the Listener has failed for good
	err      error         // why the Listener has failed; set before failed is closed
	ctx      context.Context
	cancel   context.CancelFunc // by Close
}

// accepted is what Accept returns.
type accepted struct {
	nc  net.Conn
	err error
}

// init makes the unexported fields, and begins to accept where that is wanted.
func (l *ProxyProtocolListener) init(accept bool) {
	l.once.Do(func() {
		l.accepted, l.failed = make(chan accepted), make(chan struct{})
		l.ctx, l.cancel = context.WithCancel(context.Background())
		if accept {
			go l.acceptAll() // ends when the Listener fails, by Close too
		}
	})
}

// Accept returns a connection whose header has come, or one that need not have any.
func (l *ProxyProtocolListener) Accept() (net.Conn, error) {
	l.init(true)
	select {
	case a := <-l.accepted:
		return a.nc, a.err
	case <-l.failed:
		return nil, l.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close closes the listener, and the connections that have yet to send their header.
func (l *ProxyProtocolListener) Close() error {
	l.init(false)
	l.cancel()
	return l.Listener.Close()
}

// acceptAll accepts connections until the Listener fails for good.
func (l *ProxyProtocolListener) acceptAll() {
	for {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil && l.trusts(nc.RemoteAddr()):
			go l.readHeader(nc) // ends within twice HeaderTimeout, by Close, or when Accept takes the connection
		case err == nil, isTemporary(err):
			l.pass(accepted{nc, err})
		default:
			l.err = err
			close(l.failed)
			return
		}
	}
}

// isTemporary reports whether Accept may be called again after err.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// pass has Accept return a.
func (l *ProxyProtocolListener) pass(a accepted) {
	select {
	case l.accepted <- a:
	case <-l.ctx.Done():
		if a.nc != nil {
			_ = a.nc.Close() // nothing will use it
		}
	}
}

// trusts reports whether the header of a connection from a is believed.
func (l *ProxyProtocolListener) trusts(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// readHeader reads the header of a connection, and what comes first behind it, and has Accept
// return it.
func (l *ProxyProtocolListener) readHeader(nc net.Conn) {
	defer context.AfterFunc(l.ctx, func() { _ = nc.Close() })()
	limit := cmp.Or(l.HeaderTimeout, DefaultProxyHeaderTimeout)
	_ = nc.SetReadDeadline(time.Now().Add(limit)) // where nc refuses or ignores that, the timer closes it
	stop := netconn.CloseAfter(nc, limit)
	h, err := readProxyHeader(nc)
	if err != nil {
		stop()
		if err != io.EOF && l.ctx.Err() == nil && l.Logger != nil { //nolint:errorlint // an error that wraps it is no probe
			l.Logger.Warn("no PROXY protocol header: is it switched on at that load balancer?",
				"from", nc.RemoteAddr().String(), "error", err)
		}
		_ = nc.Close() // the reason is known
		return
	}
	first := make([]byte, 512)
	n, err := nc.Read(first)
	if timely := stop(); !timely || err != nil && n == 0 && !netconn.IsTimeout(err) {
		_ = nc.Close() // a health probe, or lost
		return
	}
	_ = nc.SetReadDeadline(time.Time{})
	c := &proxiedConn{
		PrefixedStream: netconn.PrefixedStream{Prefixed: netconn.Prefixed{Conn: nc, Prefix: first[:n:n]}},
		remote:         nc.RemoteAddr(),
		local:          nc.LocalAddr(),
	}
	if h.source != nil {
		c.remote, c.local = h.source, h.destination
	}
	l.pass(accepted{c, nil})
}

// proxiedConn is a connection with the addresses of its header.
type proxiedConn struct {
	netconn.PrefixedStream
	remote, local net.Addr
}

// RemoteAddr returns the client's address.
func (c *proxiedConn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr returns the address that the client has connected to.
func (c *proxiedConn) LocalAddr() net.Addr { return c.local }

// InterruptibleRead reports what netconn.Interruptible does of the connection below.
func (c *proxiedConn) InterruptibleRead(netconn.Mark) bool { return netconn.Interruptible(c.Conn) }
