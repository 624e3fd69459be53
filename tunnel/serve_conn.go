package tunnel

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// ServeConn carries a connection to a target, "host:port", as a tunnel that its client had asked
// for with CONNECT: for a port that leads to one target. Policy, limits and Audit are as for those;
// Auth is not asked, and Proto is "tcp". It returns when the tunnel has ended and nc is closed. The
// error is a *[Refusal] where there was no tunnel.
func (p *Proxy) ServeConn(nc net.Conn, target string) error {
	t := &Target{Kind: KindTunnel, Proto: "tcp"}
	t.Client, _ = netip.ParseAddrPort(nc.RemoteAddr().String()) // zero for a Unix socket
	x := &request{p: p, kind: KindTunnel, target: t, rec: &Record{
		Time: time.Now(), Client: t.Client, Proto: t.Proto, Kind: t.Kind, Target: bounded(target),
	}}
	defer x.finish()
	to, err := x.openConn(target)
	if err != nil {
		r := refusalOf(err)
		x.rec.End, x.rec.Error = EndRefused, r.Error()
		if r.Err != nil {
			x.rec.Error += ": " + r.Err.Error()
		}
		if x.rec.Rule == "" {
			x.rec.Rule = r.Rule
		}
		abort(nc, frame.Cancel)
		return r
	}
	x.carryTunnel(nc, to)
	return nil
}

// openConn reaches the target of ServeConn.
func (x *request) openConn(target string) (net.Conn, error) {
	if err := x.target.set(target, 0); err != nil {
		return nil, err
	}
	x.rec.Target = x.target.hostPort()
	var err error
	if x.held, err = x.p.enter(x); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(x.p.init().closed)
	defer cancel()
	return x.p.open(ctx, x.target, x.rec)
}
