package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// End of the Record of a tunnel for UDP.
const (
	udpEndClient     = "client ended"
	udpEndClientLost = "client lost"
	udpEndMalformed  = "client sent malformed capsules"
	udpEndTarget     = "target unreachable"
	udpEndIdle       = "idle limit"
	udpEndAge        = "age limit"
	udpEndDrain      = "drain"
)

// serveUDP answers a request for a tunnel for UDP (RFC 9298), and returns when the tunnel has
// ended.
func (p *Proxy) serveUDP(w http.ResponseWriter, r *http.Request, t *Target, rec *Record) {
	target, err := p.openUDP(r, t, rec)
	if err != nil {
		p.refuseUDP(w, rec, err)
		return
	}
	client, reset, err := acceptUDP(w, r)
	if err != nil {
		_ = target.Close() // the error of the client says enough
		rec.End, rec.Error = udpEndClientLost, err.Error()
		return
	}
	rec.Status = http.StatusOK
	if r.ProtoMajor == 1 {
		rec.Status = http.StatusSwitchingProtocols
	}
	relay := udpRelay{client: client, reset: reset, target: target, wait: p.idleTimeoutUDP(), done: make(chan struct{})}
	relay.run(r.Context(), p.MaxTunnelAge)
	rec.Sent, rec.Received, rec.End = relay.sent.Load(), relay.received.Load(), relay.end
	if relay.cause != nil {
		rec.Error = relay.cause.Error()
	}
}

// openUDP checks the request and opens a socket that is connected to the target. The error is a
// *Refusal.
func (p *Proxy) openUDP(r *http.Request, t *Target, rec *Record) (net.Conn, error) {
	if !p.UDP {
		return nil, &Refusal{
			Status: http.StatusForbidden, Type: "http_request_denied",
			Details: "this proxy opens no tunnels for UDP",
		}
	}
	if err := checkUDPRequest(r); err != nil {
		return nil, &Refusal{
			Status: http.StatusBadRequest, Type: "http_request_error",
			Details: "malformed request for a tunnel for UDP: " + err.Error(), Err: err,
		}
	}
	target, err := p.open(r.Context(), t, rec)
	if err != nil {
		return nil, err
	}
	dontFragment(target)
	return target, nil
}

// refuseUDP answers with a refusal.
func (p *Proxy) refuseUDP(w http.ResponseWriter, rec *Record, err error) {
	refusal := &Refusal{Status: http.StatusInternalServerError, Details: err.Error(), Err: err}
	_ = errors.As(err, &refusal) // an error of another kind stays one of the proxy
	rec.Status, rec.Error = refusal.Status, refusal.Error()
	if refusal.Rule != "" {
		rec.Rule = refusal.Rule
	}
	http.Error(w, refusal.Error(), refusal.Status)
}

// idleTimeoutUDP is the idle limit, 0 for none.
func (p *Proxy) idleTimeoutUDP() time.Duration {
	switch {
	case p.IdleTimeout < 0:
		return 0
	case p.IdleTimeout == 0:
		return DefaultIdleTimeout
	}
	return p.IdleTimeout
}

// acceptUDP answers the request and returns the stream that carries capsules from now on, and what
// resets it.
func acceptUDP(w http.ResponseWriter, r *http.Request) (net.Conn, func(frame.Code), error) {
	if r.ProtoMajor == 2 {
		w.Header().Set(capsuleField, "?1")
		t, err := server.AcceptConnect(w)
		if err != nil {
			return nil, nil, err
		}
		return t, func(code frame.Code) { _ = t.Abort(code) }, nil // returns nil
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	reset := func(frame.Code) { _ = nc.Close() } // HTTP/1.1 has no other way
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err == nil {
		_, err = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
			"Upgrade: "+udpProtocol+"\r\n"+capsuleField+": ?1\r\n\r\n")
	}
	if err != nil {
		reset(0)
		return nil, nil, err
	}
	return &earlyConn{Conn: nc, early: early}, reset, nil
}

// An earlyConn is a connection of which something was read before.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// A udpRelay carries datagrams between a stream of capsules and a UDP socket that is connected to
// the target. Nothing is queued: while the client takes nothing, datagrams of the target wait in
// the socket's buffer, and the system drops what does not fit.
type udpRelay struct {
	client net.Conn // carries the capsules; reset aborts it
	reset  func(frame.Code)
	target net.Conn

	idle *time.Timer // ends the relay; nil where there is no limit
	wait time.Duration

	sent, received atomic.Int64 // octets of payloads, to the target and to the client

	once  sync.Once
	cause error  // why it ended; set once, before done is closed
	end   string // of the Record
	done  chan struct{}
}

// stop ends the relay for a reason. The first one counts.
func (u *udpRelay) stop(end string, err error) {
	u.once.Do(func() {
		u.end, u.cause = end, err
		close(u.done)
	})
}

// run relays until something ends it, and closes both sides.
func (u *udpRelay) run(ctx context.Context, age time.Duration) {
	if u.wait > 0 {
		u.idle = time.AfterFunc(u.wait, func() { u.stop(udpEndIdle, nil) })
		defer u.idle.Stop()
	}
	if age > 0 {
		defer time.AfterFunc(age, func() { u.stop(udpEndAge, nil) }).Stop()
	}
	var both sync.WaitGroup
	both.Go(u.toTarget)
	both.Go(u.toClient)
	select {
	case <-u.done:
	case <-ctx.Done():
		u.stop(udpEndDrain, context.Cause(ctx))
	}
	u.close()
	both.Wait()
}

// close ends the stream as the reason for the end demands: the client sees END_STREAM, or FIN,
// where nothing is wrong (RFC 9298 §3.1), CONNECT_ERROR where the target cannot be reached, and
// PROTOCOL_ERROR where its capsules are malformed (RFC 9297 §3.3).
func (u *udpRelay) close() {
	_ = u.target.Close() // reads and writes fail from now on
	switch u.end {
	case udpEndTarget:
		u.reset(frame.ConnectError)
	case udpEndMalformed:
		u.reset(frame.ProtocolError)
	default:
		_ = u.client.Close() // the stream ends, in one way or another
	}
}

// active puts off the idle limit.
func (u *udpRelay) active() {
	if u.idle != nil {
		u.idle.Reset(u.wait)
	}
}

// toTarget sends what the client's capsules carry.
func (u *udpRelay) toTarget() {
	capsules := capsuleReader{r: u.client}
	for {
		payload, err := capsules.next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			u.stop(udpEndClient, nil)
			return
		case isMalformed(err):
			u.stop(udpEndMalformed, err)
			return
		default:
			u.stop(udpEndClientLost, err)
			return
		}
		if _, err := u.target.Write(payload); err != nil && !dropsDatagram(err) {
			u.stop(udpEndTarget, err)
			return
		}
		u.sent.Add(int64(len(payload)))
		u.active()
	}
}

// toClient sends what the target's datagrams carry.
func (u *udpRelay) toClient() {
	b := make([]byte, udpCapsuleHeader+maxUDPPayload)
	for {
		n, err := u.target.Read(b[udpCapsuleHeader:])
		if err != nil {
			if dropsDatagram(err) {
				continue
			}
			u.stop(udpEndTarget, err)
			return
		}
		if _, err := u.client.Write(putUDPHeader(b[:udpCapsuleHeader+n])); err != nil {
			u.stop(udpEndClientLost, err)
			return
		}
		u.received.Add(int64(n))
		u.active()
	}
}

// dropsDatagram reports whether an error of a socket is that of one datagram, which is too long for
// the path or finds no buffer (RFC 9298 §3.1), and says nothing about those that follow.
func dropsDatagram(err error) bool {
	return errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS)
}
