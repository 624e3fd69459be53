package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// An Explanation is what a Proxy would do about a target. It has a String method for people.
type Explanation struct {
	Target   Target
	Decision Decision       // by name, port and user
	Addrs    []AddrDecision // that were found, first those that would be dialled, in that order
	Refusal  *Refusal       // that a client would get; nil where the target would be dialled
}

// AddrDecision is what the policy says about an address of a target.
type AddrDecision struct {
	Addr     netip.Addr
	Decision Decision
}

// Explain says what the proxy would do if user, "" for nobody, asked for a tunnel to target, a host
// and port such as "example.com:443", without a port 443. It resolves the name, but connects to
// nothing. The error is a *Refusal of a target that is no host and port.
func (p *Proxy) Explain(ctx context.Context, target, user string) (*Explanation, error) {
	t, err := parseAuthority(target, 443)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.dialTimeout())
	defer cancel()

	t.Kind, t.User = KindTunnel, user
	e := &Explanation{Target: t}
	rec := &Record{}
	upstream, err := p.checkTarget(ctx, &e.Target, rec)
	e.Decision = Decision{Allow: err == nil, Rule: rec.Rule}
	if err == nil && upstream == nil && !e.Target.remote {
		err = p.explainAddrs(ctx, e)
	}
	if err != nil {
		e.Refusal = asRefusal(err)
	}
	return e, nil
}

// explainAddrs sets Addrs. The error is that of checkAddrs.
func (p *Proxy) explainAddrs(ctx context.Context, e *Explanation) error {
	addrs, err := p.resolve(ctx, &e.Target)
	if err != nil {
		return err
	}
	order := dialOrder(addrs)
	seen := make(map[netip.Addr]bool, len(addrs))
	for _, addr := range append(order, addrs...) {
		if !seen[addr] {
			seen[addr] = true
			e.Addrs = append(e.Addrs, AddrDecision{addr, p.policy().CheckAddr(ctx, &e.Target, addr)})
		}
	}
	_, err = p.checkAddrs(ctx, &e.Target, addrs)
	return err
}

// String returns several lines, such as
//
//	target   git.example.com:443
//	name     allowed by policy.txt:3: allow .example.com
//	address  10.1.2.3 refused by policy.txt:3: allow .example.com: 10.1.2.3 is not public (10.0.0.0/8, private use)
//	result   refused with 403 destination_ip_prohibited
func (e *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "target   %s", net.JoinHostPort(e.Target.Host, strconv.Itoa(int(e.Target.Port))))
	if e.Target.User != "" {
		fmt.Fprintf(&b, " for user %s", e.Target.User)
	}
	fmt.Fprintf(&b, "\nname     %v\n", e.Decision)
	for _, a := range e.Addrs {
		fmt.Fprintf(&b, "address  %v %v\n", a.Addr, a.Decision)
	}
	switch {
	case e.Refusal != nil:
		fmt.Fprintf(&b, "result   refused with %d %s: %s\n", e.Refusal.Status, e.Refusal.Type, e.Refusal.Details)
	case e.Target.Upstream != "":
		fmt.Fprintf(&b, "result   reached through %s, which finds the address\n", e.Target.Upstream)
	case e.Target.remote:
		fmt.Fprintf(&b, "result   reached by DialTarget, which finds the address\n")
	case len(e.Addrs) > 1:
		fmt.Fprintf(&b, "result   reached by the first address that answers\n")
	default:
		fmt.Fprintf(&b, "result   reached by this address\n")
	}
	return b.String()
}

// String returns a phrase such as "allowed by policy.txt:12: allow .example.com".
func (d Decision) String() string {
	verb := "refused"
	if d.Allow {
		verb = "allowed"
	}
	if d.Rule == "" {
		return verb
	}
	return verb + " by " + d.Rule
}
