package tunnel

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/server"
)

// serveConnect answers CONNECT with a tunnel.
func (x *request) serveConnect() {
	p := x.p
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
	client, err := x.accept(http.Header{"Proxy-Status": {p.nextHop(x.rec.Addr)}})
	if err != nil {
		abort(target, frame.Cancel)
		return
	}
	x.carry(func() { x.carryTunnel(client, target) })
}

// carryTunnel carries what a tunnel for TCP carries, until it has ended.
func (x *request) carryTunnel(client, target net.Conn) {
	if in := x.p.Intercept; in != nil {
		in.serve(x.p, client, target, x.target, x.rec)
		return
	}
	x.p.relay(client, target, x.rec)
}

// openContext returns the context for finding and reaching the target: it ends with the client, and
// when the proxy is closed.
func (x *request) openContext() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	stop := context.AfterFunc(x.p.init().closed, func() { cancel(errClosed) })
	return ctx, func(cause error) { stop(); cancel(cause) }
}

// accept answers with 200 and the fields of h, and returns the client's side of the tunnel.
func (x *request) accept(h http.Header) (net.Conn, error) {
	client, err := x.acceptAny(h)
	if err != nil {
		x.rec.End, x.rec.Error = EndClientGone, err.Error()
		return nil, err
	}
	x.rec.Status = http.StatusOK
	return client, nil
}

func (x *request) acceptAny(h http.Header) (net.Conn, error) {
	if x.r.ProtoMajor < 2 {
		return acceptHTTP1(x.w, "200 Connection established", h)
	}
	for name, values := range h {
		x.w.Header()[name] = values
	}
	return server.AcceptConnect(x.w)
}

// acceptHTTP1 takes the connection over and writes the response. What came behind the request's
// head is read first.
func acceptHTTP1(w http.ResponseWriter, status string, h http.Header) (net.Conn, error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(noDeadline) // fails on a dead connection only, as the Write will
	head := bufio.NewWriter(nc)
	_, _ = head.WriteString("HTTP/1.1 " + status + "\r\n")
	_ = h.Write(head)
	_, _ = head.WriteString("\r\n")
	if err := head.Flush(); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return unread(nc, rw.Reader)
}

// unread returns nc with what r has read ahead in front.
func unread(nc net.Conn, r *bufio.Reader) (net.Conn, error) {
	n := r.Buffered()
	if n == 0 {
		return nc, nil
	}
	ahead := make([]byte, n)
	if _, err := io.ReadFull(r, ahead); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return &netconn.Prefixed{Conn: nc, Prefix: ahead}, nil
}

// carry calls f, which carries the tunnel, and ends the request. Over HTTP/1.1 that is done by
// another goroutine, so that the handler's, and the buffers that net/http has for it, are free.
func (x *request) carry(f func()) {
	if x.r.ProtoMajor >= 2 {
		f()
		return
	}
	x.handedOver = true
	go func() { // ends with the tunnel
		defer x.finish()
		f()
	}()
}
