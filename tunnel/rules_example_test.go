package tunnel_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

// names is a Resolver with the addresses of names in memory.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addrs := n[host]; addrs != nil {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func ExampleParseRules() {
	rules, err := tunnel.ParseRules(strings.NewReader(`
deny  ads.example.com
allow .example.com
allow git.corp.example in 10.1.0.0/16 port 22,443
`), "policy.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	p := &tunnel.Proxy{
		Policy:   rules,
		Resolver: names{"www.example.com": {netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1")}},
	}
	e, err := p.Explain(context.Background(), "www.example.com:443", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(e)
	// Output:
	// target   www.example.com:443
	// name     allowed by policy.txt:3: allow .example.com
	// address  8.8.8.8 allowed by policy.txt:3: allow .example.com
	// address  10.0.0.1 refused by policy.txt:3: allow .example.com: 10.0.0.1 is not public (10.0.0.0/8, private use)
	// result   refused with 403 destination_ip_prohibited: 10.0.0.1 of www.example.com is not allowed
}

// office allows in working hours what the Rules inside allow.
type office struct {
	*tunnel.Rules
	now func() time.Time
}

func (o office) CheckTarget(ctx context.Context, t *tunnel.Target) tunnel.Decision {
	if h := o.now().Hour(); h < 8 || h >= 18 {
		return tunnel.Decision{Rule: "office: open from 8 to 18"}
	}
	return o.Rules.CheckTarget(ctx, t)
}

func ExamplePolicy() {
	evening := func() time.Time { return time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC) }
	p := &tunnel.Proxy{Policy: office{Rules: &tunnel.Rules{}, now: evening}}
	e, err := p.Explain(context.Background(), "192.0.2.1:443", "anna")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Refusal)
	// Output:
	// 192.0.2.1:443 is not allowed (office: open from 8 to 18)
}
