package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// findUDPTarget sets host and port of a target for UDP. The error is a *Refusal.
func (x *request) findUDPTarget() error {
	if err := checkUDPRequest(x.r); err != nil {
		return badRequest("malformed request for a tunnel for UDP: %v", err)
	}
	host, port, err := udpTarget(x.r)
	if err != nil {
		return badRequest("malformed request for a tunnel for UDP: %v", err)
	}
	t := x.target
	t.Host, t.Port = host, port
	if addr, err := netip.ParseAddr(host); err == nil {
		t.Addr = addr
	}
	return nil
}

// serveUDP answers a request for a tunnel for UDP (RFC 9298).
func (x *request) serveUDP() {
	p := x.p
	if !p.UDP {
		p.refuse(x.w, x.r, x.rec, &Refusal{
			Status: http.StatusForbidden, Type: typeDenied, Details: "this proxy opens no tunnels for UDP",
		})
		return
	}
	if err := x.checkLoop(); err != nil {
		p.refuse(x.w, x.r, x.rec, err)
		return
	}
	ctx, cancel := x.openContext()
	target, err := p.open(ctx, x.target, x.rec)
	cancel(nil)
	if err != nil {
		p.refuse(x.w, x.r, x.rec, err)
		return
	}
	dontFragment(target)
	client, err := x.acceptUDP()
	if err != nil {
		_ = target.Close() // the error of the client says enough
		x.rec.End, x.rec.Error = EndClientGone, err.Error()
		return
	}
	relay := udpRelay{client: client, target: target, wait: p.idleTimeout(), done: make(chan struct{})}
	x.carry(func() { relay.run(p.init().closed, p.MaxTunnelAge, x.rec) })
}

// acceptUDP answers the request and returns the stream that carries capsules from now on.
func (x *request) acceptUDP() (net.Conn, error) {
	h := http.Header{capsuleField: {"?1"}, "Proxy-Status": {x.p.nextHop(x.rec.Addr)}}
	if x.r.ProtoMajor >= 2 {
		x.rec.Status = http.StatusOK
		return x.acceptAny(h)
	}
	x.rec.Status = http.StatusSwitchingProtocols
	nc, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(noDeadline) // fails on a dead connection only, as the Write will
	var head strings.Builder
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + udpProtocol + "\r\n")
	_ = h.Write(&head) // a Builder takes everything
	head.WriteString("\r\n")
	if _, err := io.WriteString(nc, head.String()); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return unread(nc, buffered.Reader)
}

// A udpRelay carries datagrams between a stream of capsules and a UDP socket that is connected to
// the target. Nothing is queued: while the client takes nothing, datagrams of the target wait in
// the socket's buffer, and the system drops what does not fit.
type udpRelay struct {
	client net.Conn // carries the capsules
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

// run relays until something ends it, ctx too, closes both sides and fills in the record.
func (u *udpRelay) run(ctx context.Context, age time.Duration, rec *Record) {
	if u.wait > 0 {
		u.idle = time.AfterFunc(u.wait, func() { u.stop(EndIdle, nil) })
		defer u.idle.Stop()
	}
	if age > 0 {
		defer time.AfterFunc(age, func() { u.stop(EndAge, nil) }).Stop()
	}
	if t, ok := u.client.(interface{ OnEnd(f func(error)) }); ok {
		t.OnEnd(func(err error) { u.stop(endOf(clientSide, err), err) }) // also where no write finds out
	}
	var both sync.WaitGroup
	both.Go(u.toTarget)
	both.Go(u.toClient)
	select {
	case <-u.done:
	case <-ctx.Done():
		u.stop(EndShutdown, nil)
	}
	u.close()
	both.Wait()
	rec.Sent, rec.Received, rec.End = u.sent.Load(), u.received.Load(), u.end
	if u.cause != nil {
		rec.Error = u.cause.Error()
	}
}

// close ends the stream as the reason for the end demands: the client sees END_STREAM, or FIN,
// where nothing is wrong (RFC 9298 §3.1), CONNECT_ERROR where the target cannot be reached, and
// PROTOCOL_ERROR where its capsules are malformed (RFC 9297 §3.3).
func (u *udpRelay) close() {
	_ = u.target.Close() // reads and writes fail from now on
	switch u.end {
	case EndTargetReset, EndTargetLost:
		abort(u.client, frame.ConnectError)
	case EndMalformed:
		abort(u.client, frame.ProtocolError)
	case EndShutdown:
		abort(u.client, frame.Cancel)
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
			u.stop(EndClosed, nil)
			return
		case isMalformed(err):
			u.stop(EndMalformed, err)
			return
		default:
			u.stop(endOf(clientSide, err), err)
			return
		}
		u.active()
		switch _, err := u.target.Write(payload); {
		case err == nil:
			u.sent.Add(int64(len(payload)))
		case !dropsDatagram(err):
			u.stop(endOfUDP(err), err)
			return
		}
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
			end := endOfUDP(err)
			if end == EndClosed {
				err = errEndedBeyond
			}
			u.stop(end, err)
			return
		}
		if _, err := u.client.Write(putUDPHeader(b[:udpCapsuleHeader+n])); err != nil {
			u.stop(endOf(clientSide, err), err)
			return
		}
		u.received.Add(int64(n))
		u.active()
	}
}

// errEndedBeyond is the cause in a Record where Read of the target has returned io.EOF.
var errEndedBeyond = errors.New("the upstream proxy or the inner side has ended the tunnel, as at a limit of its own")

// endOfUDP names the end of a tunnel whose socket has failed, as after ICMP Destination
// Unreachable, or which an upstream proxy has ended: by a reset where its own socket has failed, in
// good order at a limit of its.
func endOfUDP(err error) string {
	var reset *frame.StreamError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &reset):
		return EndTargetReset
	case errors.Is(err, io.EOF):
		return EndClosed
	}
	return EndTargetLost
}

// dropsDatagram reports whether an error of a socket is that of one datagram, which is too long for
// the path or finds no buffer (RFC 9298 §3.1), and says nothing about those that follow.
func dropsDatagram(err error) bool {
	return errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS)
}
