package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// open finds, checks and reaches a target. The error is a *Refusal. It sets Addr, Upstream and Rule
// of rec, and Upstream of t.
func (p *Proxy) open(ctx context.Context, t *Target, rec *Record) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.dialTimeout())
	defer cancel()

	c, err := p.openChecked(ctx, t, rec)
	if err == nil {
		return c, nil
	}
	r := asRefusal(err)
	if r.Rule != "" {
		rec.Rule = r.Rule
	}
	return nil, r
}

func (p *Proxy) dialTimeout() time.Duration {
	if p.DialTimeout <= 0 {
		return DefaultDialTimeout
	}
	return p.DialTimeout
}

// asRefusal returns err as the Refusal that it is or wraps.
func asRefusal(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return &Refusal{
		Status: http.StatusInternalServerError, Type: "proxy_internal_error",
		Details: "the proxy failed before it reached the target", Err: err,
	}
}

func (p *Proxy) openChecked(ctx context.Context, t *Target, rec *Record) (net.Conn, error) {
	upstream, err := p.checkTarget(ctx, t, rec)
	if err != nil {
		return nil, err
	}
	if upstream != nil {
		return p.openUpstream(ctx, t, upstream)
	}
	if p.DialTarget != nil {
		return p.openByHook(ctx, t)
	}
	addrs, err := p.resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	rules, err := p.checkAddrs(ctx, t, addrs)
	if err != nil {
		return nil, err
	}
	network := "tcp"
	if t.Kind == KindUDP {
		network = "udp"
	}
	c, addr, err := p.dialAddrs(ctx, network, dialOrder(addrs), t.Port)
	if err != nil {
		return nil, err
	}
	rec.Addr, rec.Rule = netip.AddrPortFrom(addr, t.Port).String(), rules[addr]
	return p.sendHeader(ctx, c, t)
}

// openByHook reaches a target by DialTarget. The error is a *Refusal.
func (p *Proxy) openByHook(ctx context.Context, t *Target) (net.Conn, error) {
	c, err := p.DialTarget(ctx, t)
	if err != nil {
		r, _ := classifyDialError(err)
		return nil, r
	}
	return p.sendHeader(ctx, c, t)
}

// checkTarget finds the upstream proxy, nil for none, and asks the policy by name; of a target that
// is an address and goes to an upstream or to DialTarget, also by address. The error is a *Refusal.
func (p *Proxy) checkTarget(ctx context.Context, t *Target, rec *Record) (*url.URL, error) {
	t.remote = p.DialTarget != nil
	upstream, err := p.upstream(t)
	if err != nil {
		return nil, err
	}
	if upstream != nil {
		t.Upstream = upstream.Redacted()
		rec.Upstream = t.Upstream
	}
	d := p.policy().CheckTarget(ctx, t)
	rec.Rule = d.Rule
	if !d.Allow {
		return nil, &Refusal{
			Status: http.StatusForbidden, Type: "http_request_denied", Rule: d.Rule,
			Details: net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) + " is not allowed",
		}
	}
	if (upstream != nil || t.remote) && t.Addr.IsValid() {
		_, err = p.checkAddrs(ctx, t, []netip.Addr{t.Addr})
	}
	return upstream, err
}

// Attempts at the addresses of a target begin that long after each other, or when one has failed
// (RFC 8305 §5).
const attemptDelay = 250 * time.Millisecond

// originDialer reaches origins. A peer that is gone is noticed after 30 s + 4 × 15 s.
var originDialer = net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 4,
	},
}

func (p *Proxy) dial(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	if p.DialContext != nil {
		return p.DialContext(ctx, network, addr.String())
	}
	return originDialer.DialContext(ctx, network, addr.String())
}

// attempt is the result of dialling one address.
type attempt struct {
	conn net.Conn
	addr netip.Addr
	err  error
}

// dialAddrs dials the addresses, which have been checked, until one answers. The error is a
// *Refusal.
func (p *Proxy) dialAddrs(
	ctx context.Context, network string, addrs []netip.Addr, port uint16,
) (net.Conn, netip.Addr, error) {
	if len(addrs) == 1 {
		c, err := p.dial(ctx, network, netip.AddrPortFrom(addrs[0], port))
		if err != nil {
			return nil, netip.Addr{}, dialRefusal(port, []attempt{{addr: addrs[0], err: err}})
		}
		return c, addrs[0], nil
	}
	race := &dialRace{proxy: p, network: network, port: port, results: make(chan attempt, len(addrs))}
	won, failed := race.run(ctx, addrs)
	if won.conn == nil {
		return nil, netip.Addr{}, dialRefusal(port, failed)
	}
	return won.conn, won.addr, nil
}

// dialRefusal is the Refusal after every address has failed. Where they failed differently, it
// names the cause that came nearest to the target.
func dialRefusal(port uint16, failed []attempt) *Refusal {
	var best *Refusal
	var texts []byte
	rank := 0
	for i, a := range failed {
		r, n := classifyDialError(a.err)
		if i > 0 {
			texts = append(texts, "; "...)
		}
		texts = fmt.Appendf(texts, "%v: %s", netip.AddrPortFrom(a.addr, port), r.Details)
		if n > rank {
			best, rank = r, n
		}
	}
	if rank != rankRefusal { // else the hook's own words
		best.Details = string(texts)
	}
	return best
}

// upstream returns the proxy through which a target is reached, nil for none. The error is a
// *Refusal.
func (p *Proxy) upstream(t *Target) (*url.URL, error) {
	if p.Upstream == nil || p.DialTarget != nil {
		return nil, nil
	}
	u, err := p.Upstream(t)
	if err == nil {
		return u, nil
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return nil, r
	}
	return nil, &Refusal{
		Status: http.StatusBadGateway, Type: "proxy_configuration_error",
		Details: "no upstream proxy could be chosen", Err: err,
	}
}
