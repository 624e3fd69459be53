package capture

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// DefaultMaxConnections is the default of Live.MaxConnections: what is kept of a connection is
// about 16 KiB where it carries little, and some MiB at most.
const DefaultMaxConnections = 2000

// A Live makes events from connections while they run. It is a Tracer for a server.Config, a
// client.Transport or a conn.Config, and by Intercept for a proxy that ends TLS; one Live may be
// set in several of them at once. The fields are set before its first use.
//
// A connection calls the Handler from its own goroutines, and waits for it: a slow Handler slows
// the connections. A connection of HTTP/1.1 has no frames, and is seen within an
// intercepted tunnel only.
type Live struct {
	// Options are as for Read; KeyLog has no use.
	Options Options

	// Handler gets the events, and must be set. It must not wait for a connection that is traced.
	Handler Handler

	// MaxConnections bounds the connections that are shown at the same time, and the legs of
	// tunnels; default DefaultMaxConnections. One that is opened beyond it is never shown.
	MaxConnections int

	conns   sync.Map // *conn.Conn → *liveConn, *tunnel.InterceptedConn → *liveTunnel
	skipped atomic.Uint64
	mu      struct {
		sync.Mutex // held while the Handler is called; acquired with that of a liveConn held
		a          *analyzer
		shown      int  // connections
		closed     bool // by Close
	}
}

// Skipped is the number of connections that were not shown because of MaxConnections.
func (l *Live) Skipped() uint64 { return l.skipped.Load() }

// TraceFrame implements conn.Tracer.
func (l *Live) TraceFrame(c *conn.Conn, f conn.FrameTrace) {
	if v, ok := l.conns.Load(c); ok {
		v.(*liveConn).frame(f)
		return
	}
	l.start(c, f.Time, func(lc *liveConn) {
		// Each side begins with SETTINGS (RFC 9113 §3.4), but the peer may not.
		lc.s.info.StartMissing = f.Header.Type != frame.TypeSettings &&
			(f.Direction == conn.Out || c.Stats().FramesIn > 1)
		lc.begin(lc.s.info.Found)
	}).frame(f)
}

// TraceUpgrade implements conn.UpgradeTracer.
func (l *Live) TraceUpgrade(c *conn.Conn, u *conn.Upgrade) {
	now := time.Now()
	l.start(c, now, func(lc *liveConn) {
		lc.begin("upgrade")
		lc.s.upgrade(upgradedRequest(&u.Request, now), parseSettings(u.Settings))
	})
}

// start returns what is kept of a connection; begin is called for one that is new, and shown.
func (l *Live) start(c *conn.Conn, t time.Time, begin func(*liveConn)) *liveConn {
	lc := &liveConn{received: Client}
	if c.IsClient() {
		lc.received = Server
	}
	lc.mu.Lock() // until it has begun, the other direction waits
	defer lc.mu.Unlock()
	if v, ok := l.conns.LoadOrStore(c, lc); ok {
		return v.(*liveConn)
	}
	if lc.s = l.open(t); lc.s != nil {
		describe(&lc.s.info, c)
		begin(lc)
	}
	return lc
}

// TraceEnd implements conn.EndTracer.
func (l *Live) TraceEnd(c *conn.Conn, err error) {
	if v, ok := l.conns.LoadAndDelete(c); ok {
		l.end(v.(*liveConn), howEnded(err))
	}
}

// Close ends what is still open, for the Handler: it is not called any more when Close has
// returned. Connections go on.
func (l *Live) Close() {
	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	l.conns.Range(func(_, v any) bool {
		switch v := v.(type) {
		case *liveConn:
			l.end(v, wire.Open)
		case *liveTunnel:
			for i := range v {
				l.end(&v[i], wire.Open)
			}
		}
		return true
	})
}

// open begins a connection; nil is one that is not shown.
func (l *Live) open(t time.Time) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.MaxConnections
	if most <= 0 {
		most = DefaultMaxConnections
	}
	if l.mu.closed || l.mu.shown >= most {
		if !l.mu.closed {
			l.skipped.Add(1)
		}
		return nil
	}
	if l.mu.a == nil {
		l.mu.a = &analyzer{opts: l.Options, handler: l.deliver}
	}
	l.mu.shown++
	return l.mu.a.open(netip.AddrPort{}, netip.AddrPort{}, t)
}

// deliver calls the Handler.
func (l *Live) deliver(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Handler(e)
}

// end ends a connection for the Handler.
func (l *Live) end(c *liveConn, how wire.How) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	if s == nil {
		return
	}
	c.s = nil
	l.mu.Lock()
	l.mu.shown--
	l.mu.Unlock()
	now := time.Now()
	if c.octets {
		s.End(wire.Client, now, how)
		s.End(wire.Server, now, how)
		return
	}
	s.end(now, how)
}

// A liveConn is a connection, or a leg of a tunnel, of a Live.
type liveConn struct {
	received Dir // of what this side has received; never changes

	mu     sync.Mutex // guards the fields below, and all of the session
	s      *session   // nil where it is not shown, or has ended
	octets bool       // the session takes octets, and no frames
}

// begin begins a connection of HTTP/2, of which the session takes the frames.
func (c *liveConn) begin(found string) {
	c.s.stage = ignored{} // no octets come
	c.s.found(HTTP2, found)
}

// dir returns the side that has sent something.
func (c *liveConn) dir(d conn.Direction) Dir {
	if d == conn.Out {
		return c.received.Other()
	}
	return c.received
}

// frame takes a frame, in either direction.
func (c *liveConn) frame(f conn.FrameTrace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s != nil {
		c.s.frame(c.dir(f.Direction), f.Time, f.Time, f.Header, f.Payload, 0)
	}
}

// takeOctets takes octets, in either direction.
func (c *liveConn) takeOctets(d conn.Direction, t time.Time, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s != nil && c.octets {
		c.s.Octets(wire.Dir(c.dir(d)), t, p)
	}
}

// describe says what is known of a connection.
func describe(info *Connection, c *conn.Conn) {
	nc := c.NetConn()
	client, server := addrPort(nc.RemoteAddr()), addrPort(nc.LocalAddr())
	if c.IsClient() {
		client, server = server, client
	}
	info.Client, info.Server, info.Found = client, server, "preface"
	if t, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		info.TLS = describeTLS(t.ConnectionState())
		if info.TLS.ALPN == "h2" {
			info.Found = "alpn"
		}
	}
}

// upgradedRequest returns the request of an Upgrade.
func upgradedRequest(m *header.Message, t time.Time) *Request {
	r := &Request{
		Method: m.Method, Scheme: m.Scheme, Authority: m.Authority, Path: m.Path, Start: t, RequestEnd: t, End: t,
	}
	for _, f := range m.Fields {
		r.Fields[Client] = append(r.Fields[Client], Field{Name: f.Name, Value: f.Value, NeverIndex: f.Sensitive})
	}
	return r
}

// describeTLS returns what a handshake has agreed on.
func describeTLS(s tls.ConnectionState) *TLS {
	return &TLS{
		Version: s.Version, CipherSuite: s.CipherSuite, ALPN: s.NegotiatedProtocol, ServerName: s.ServerName,
		Resumed: s.DidResume, HelloRetry: s.HelloRetryRequest,
	}
}

// addrPort returns an address as netip has it; the zero one is unknown.
func addrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// howEnded says how a connection has ended, of which err is why.
func howEnded(err error) wire.How {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return wire.Reset
	}
	return wire.Closed
}
