package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// resolve returns the addresses of a target, each once, in the order of the resolver. The error is
// a *Refusal.
func (p *Proxy) resolve(ctx context.Context, t *Target) ([]netip.Addr, error) {
	if t.Addr.IsValid() {
		return []netip.Addr{t.Addr}, nil
	}
	found, err := p.lookup(ctx, t.Host)
	if err != nil {
		return nil, dnsRefusal(t.Host, err)
	}
	addrs := make([]netip.Addr, 0, len(found))
	seen := make(map[netip.Addr]bool, len(found))
	for _, addr := range found {
		if addr = addr.Unmap(); !seen[addr] {
			seen[addr] = true
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return nil, &Refusal{
			Status: http.StatusBadGateway, Type: "dns_error", Rcode: "NOERROR",
			Details: fmt.Sprintf("the name %s has no address", t.Host),
		}
	}
	return addrs, nil
}

// lookup asks the resolver. One of the system is asked for the absolute name: with the search list
// of resolv.conf, the policy would see another name than the one that is found. An absolute name
// without an inner dot is not looked for in the file of hosts, so that this is asked before.
func (p *Proxy) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	var resolver Resolver = net.DefaultResolver
	if p.Resolver != nil {
		resolver = p.Resolver
	}
	if _, ok := resolver.(*net.Resolver); !ok {
		return resolver.LookupNetIP(ctx, "ip", host)
	}
	if !strings.Contains(host, ".") {
		if found, err := hostsFile.LookupNetIP(ctx, "ip", host); err == nil {
			return found, nil
		}
	}
	return resolver.LookupNetIP(ctx, "ip", host+".")
}

// hostsFile is a resolver that asks no server.
var hostsFile = &net.Resolver{
	PreferGo: true,
	Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no server is asked")
	},
}

// dnsRefusal is the Refusal of a name that was not resolved. It does not tell the client which
// server was asked.
func dnsRefusal(host string, err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	r := &Refusal{Status: http.StatusBadGateway, Type: "dns_error", Err: err}
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), ok && dns.IsTimeout:
		r.Status, r.Type = http.StatusGatewayTimeout, "dns_timeout"
		r.Details = fmt.Sprintf("finding the addresses of %s took too long", host)
	case ok && dns.IsNotFound:
		r.Rcode = "NXDOMAIN"
		r.Details = fmt.Sprintf("the name %s was not found", host)
	case ok && dns.IsTemporary:
		r.Rcode = "SERVFAIL"
		r.Details = fmt.Sprintf("the name servers could not answer for %s", host)
	default:
		r.Details = fmt.Sprintf("the addresses of %s could not be found", host)
	}
	return r
}

// checkAddrs asks the policy about every address and returns the rules that allowed them. The first
// that is not allowed refuses the target: where an address inside stands beside a public one, the
// name is not one to trust. The error is a *Refusal.
func (p *Proxy) checkAddrs(ctx context.Context, t *Target, addrs []netip.Addr) (map[netip.Addr]string, error) {
	rules := make(map[netip.Addr]string, len(addrs))
	policy := p.policy()
	for _, addr := range addrs {
		d := policy.CheckAddr(ctx, t, addr)
		if !d.Allow {
			details := addr.String()
			if !t.Addr.IsValid() {
				details += " of " + t.Host
			}
			return nil, &Refusal{
				Status: http.StatusForbidden, Type: "destination_ip_prohibited", Rule: d.Rule,
				Details: details + " is not allowed",
			}
		}
		rules[addr] = d.Rule
	}
	return rules, nil
}

func (p *Proxy) policy() Policy {
	if p.Policy == nil {
		return (*Rules)(nil)
	}
	return p.Policy
}

// maxDialAddrs bounds the addresses of one target that are dialled; all are checked.
const maxDialAddrs = 16

// dialOrder returns the addresses in the order in which they are dialled: IPv6 and IPv4 by turns,
// IPv6 first (RFC 8305 §4), and each family in the order of the resolver.
func dialOrder(addrs []netip.Addr) []netip.Addr {
	isV4 := func(a netip.Addr) bool { return a.Is4() }
	v6 := slices.DeleteFunc(slices.Clone(addrs), isV4)
	v4 := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !a.Is4() })
	order := make([]netip.Addr, 0, len(addrs))
	for len(order) < min(len(addrs), maxDialAddrs) {
		if len(v6) > 0 && len(order) < maxDialAddrs {
			order, v6 = append(order, v6[0]), v6[1:]
		}
		if len(v4) > 0 && len(order) < maxDialAddrs {
			order, v4 = append(order, v4[0]), v4[1:]
		}
	}
	return order
}
