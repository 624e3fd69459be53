package tunnel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// fakeResolver has the addresses of names.
type fakeResolver map[string][]string

func (f fakeResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, s := range f[host] {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// errDialled is that of a dial that the policy let through.
var errDialled = errors.New("dialled")

// reachable opens the authority with a Proxy whose names come from names, and returns the addresses
// that were dialled and the Refusal.
func reachable(t *testing.T, p *Proxy, names fakeResolver, authority string) (dialled []string, r *Refusal) {
	t.Helper()
	target, err := parseAuthority(authority, 0)
	if err == nil {
		p.Resolver = names
		p.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			return nil, errDialled
		}
		target.Kind = KindTunnel
		_, err = p.open(t.Context(), &target, &Record{})
	}
	if !errors.As(err, &r) {
		t.Fatalf("%s: error %v is no Refusal", authority, err)
	}
	return dialled, r
}

// Addresses that are not public, each with its neighbours outside of the block where these are
// public.
var notPublicAddrs = []struct{ addr, public string }{
	{"0.0.0.0", ""},
	{"0.1.2.3", "1.0.0.0"},
	{"10.0.0.0", "9.255.255.255"},
	{"10.255.255.255", "11.0.0.0"},
	{"100.64.0.0", "100.63.255.255"},
	{"100.127.255.255", "100.128.0.0"},
	{"100.100.100.200", ""},
	{"127.0.0.1", "126.255.255.255"},
	{"127.255.255.255", "128.0.0.0"},
	{"168.63.129.16", "168.63.129.17"},
	{"169.254.0.0", "169.253.255.255"},
	{"169.254.169.254", ""},
	{"169.254.255.255", "169.255.0.0"},
	{"172.16.0.0", "172.15.255.255"},
	{"172.31.255.255", "172.32.0.0"},
	{"192.0.0.0", "191.255.255.255"},
	{"192.0.0.192", ""},
	{"192.0.0.255", "192.0.1.0"},
	{"192.0.2.1", "192.0.3.0"},
	{"192.88.99.1", "192.88.98.255"},
	{"192.168.0.0", "192.167.255.255"},
	{"192.168.255.255", "192.169.0.0"},
	{"198.18.0.0", "198.17.255.255"},
	{"198.19.255.255", "198.20.0.0"},
	{"198.51.100.1", "198.51.101.0"},
	{"203.0.113.1", "203.0.114.0"},
	{"224.0.0.1", "223.255.255.255"},
	{"239.255.255.255", ""},
	{"240.0.0.0", ""},
	{"255.255.255.255", ""},
	{"::", ""},
	{"::1", ""},
	{"::10.0.0.1", ""}, // IPv4-compatible
	{"::8.8.8.8", ""},
	{"::ffff:10.0.0.1", "::ffff:8.8.8.8"},
	{"::ffff:127.0.0.1", ""},
	{"::ffff:169.254.169.254", ""},
	{"::ffff:0:127.0.0.1", ""}, // SIIT, RFC 2765
	{"64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8"},
	{"64:ff9b::127.0.0.1", ""},
	{"64:ff9b::169.254.169.254", ""},
	{"64:ff9b:1::8.8.8.8", ""},
	{"100::1", ""},
	{"2001::1", "2000:ffff::1"},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", ""}, // Teredo
	{"2001:2::1", ""},
	{"2001:10::1", ""},
	{"2001:1ff:ffff::1", "2001:200::1"},
	{"2001:db8::1", "2001:db7:ffff::1"},
	{"2001:db8:ffff::1", "2001:db9::1"},
	{"2002:7f00:1::1", "2003::1"}, // 6to4
	{"2002:808:808::1", ""},
	{"2600::5efe:10.0.0.1", "2600::5eff:10.0.0.1"}, // ISATAP
	{"2600::200:5efe:8.8.8.8", ""},
	{"3fff::1", "3fff:1000::1"},
	{"4000::1", "3ffe:ffff::1"},
	{"5f00::1", ""},
	{"fc00::1", ""},
	{"fd00:ec2::254", ""},
	{"fd20:ce::254", ""},
	{"fdff::1", ""},
	{"fe80::1", ""},
	{"fec0::1", ""},
	{"feff::1", ""},
	{"ff02::1", ""},
}

// Each is refused as address, in brackets, and as address of a name, and nothing is dialled.
func TestNotPublic(t *testing.T) {
	for _, test := range notPublicAddrs {
		refused := []string{"name.example:443"}
		if strings.Contains(test.addr, ":") {
			refused = append(refused, "["+test.addr+"]:443")
		} else {
			refused = append(refused, test.addr+":443", test.addr+".:443", "[::ffff:"+test.addr+"]:443",
				"[64:ff9b::"+test.addr+"]:443")
		}
		names := fakeResolver{"name.example": {test.addr}}
		for _, authority := range refused {
			dialled, r := reachable(t, &Proxy{}, names, authority)
			if dialled != nil || r.Status != 403 || r.Rule == "" {
				t.Errorf("%s (%s): dialled %v, refused with %+v", authority, test.addr, dialled, r)
			}
		}
		if test.public != "" {
			names["name.example"] = []string{test.public}
			if dialled, r := reachable(t, &Proxy{}, names, "name.example:443"); len(dialled) != 1 {
				t.Errorf("%s, which is public: dialled %v, refused with %+v", test.public, dialled, r)
			}
		}
	}
}

var targetFormsTests = []struct{ authority, host string }{
	{"example.com:443", "example.com"},
	{"EXAMPLE.com:443", "example.com"},
	{"example.com.:443", "example.com"},
	{"bücher.example:443", "xn--bcher-kva.example"},
	{"BÜCHER.example:443", "xn--bcher-kva.example"},
	{"xn--bcher-kva.example:443", "xn--bcher-kva.example"},
	{"_srv.example.com:443", "_srv.example.com"},
	{"127.0.0.1:443", "127.0.0.1"},
	{"127.0.0.1.:443", "127.0.0.1"},
	{"①②⑦.0.0.1:443", "127.0.0.1"},
	{"127。0。0。1:443", "127.0.0.1"},
	{"[::1]:443", "::1"},
	{"[0:0:0:0:0:0:0:1]:443", "::1"},
	{"[2001:DB8::1]:443", "2001:db8::1"},
	{"[::ffff:10.0.0.1]:443", "10.0.0.1"},
	{"[::FFFF:a00:1]:443", "10.0.0.1"},
	{"example.com", ""},
	{"example.com:", ""},
	{"example.com:0", ""},
	{"example.com:65536", ""},
	{"example.com:+443", ""},
	{"example.com:-1", ""},
	{"example.com:4_43", ""},
	{"example.com:https", ""},
	{"example.com:443:443", ""},
	{":443", ""},
	{".:443", ""},
	{"..:443", ""},
	{"example..com:443", ""},
	{"example.com..:443", ""},
	{".example.com:443", ""},
	{"user@example.com:443", ""},
	{"public.example@127.0.0.1:443", ""},
	{"127.0.0.1@public.example:443", ""},
	{"host%00.example:443", ""},
	{"host\x00.example:443", ""},
	{"127.0.0.1%00.example:443", ""},
	{"ex ample.com:443", ""},
	{"example.com/:443", ""},
	{"example.com\r\nX: y:443", ""},
	{"127.1:443", ""},
	{"0x7f.1:443", ""},
	{"0X7F.1:443", ""},
	{"0x7f000001:443", ""},
	{"0x7f.0.0.0x1:443", ""},
	{"2130706433:443", ""},
	{"017700000001:443", ""},
	{"0177.0.0.1:443", ""},
	{"127.0.0.01:443", ""},
	{"127.0.0.256:443", ""},
	{"127.0.0.0.1:443", ""},
	{"example.0x:443", ""},
	{"1.2.3.4.5.6:443", ""},
	{"::1:443", ""},
	{"[::1:443", ""},
	{"[::1]", ""},
	{"[::1]x:443", ""},
	{"[127.0.0.1]:443", ""},
	{"[example.com]:443", ""},
	{"[fe80::1%eth0]:443", ""},
	{"[fe80::1%25eth0]:443", ""},
	{"[::ffff:127.0.0.1%1]:443", ""},
	{"xn--\xff.example:443", ""},
	{strings.Repeat("a", 64) + ".example:443", ""},
	{strings.Repeat("a.", 126) + "ab:443", ""},
	{strings.Repeat("a", 100_000) + ":443", ""},
}

// A target is taken in one form, or is refused with 400.
func TestTargetForms(t *testing.T) {
	for _, test := range targetFormsTests {
		target, err := parseAuthority(test.authority, 0)
		var r *Refusal
		if test.host == "" && (!errors.As(err, &r) || r.Status != 400) {
			t.Errorf("%.60q: %+v, error %v; want a Refusal of 400", test.authority, target, err)
		} else if test.host != "" && (err != nil || target.Host != test.host || target.Port != 443) {
			t.Errorf("%q: %+v, error %v; want %s", test.authority, target, err, test.host)
		}
	}
}

// What the addresses of a name are decides, not which comes first.
func TestEveryAddressChecked(t *testing.T) {
	names := fakeResolver{
		"public.example":  {"8.8.8.8", "2600::1"},
		"mixed.example":   {"8.8.8.8", "10.0.0.1"},
		"second.example":  {"2600::1", "::ffff:127.0.0.1"}, // the second address of happy eyeballs
		"inside.example":  {"192.168.1.1"},                 // as behind a CNAME to a name inside
		"zone.example":    {"8.8.8.8", "fe80::1%eth0"},
		"many.example":    append(manyAddrs(200), "10.0.0.1"),
		"localhost":       {"127.0.0.1", "::1"},
		"twice.example":   {"8.8.8.8", "8.8.8.8", "::ffff:8.8.8.8"},
		"hundred.example": manyAddrs(100),
	}
	for _, test := range []struct {
		authority string
		dialled   int
	}{
		{"public.example:443", 2},
		{"PUBLIC.example.:443", 2},
		{"public.example:80", 0},
		{"public.example:25", 0},
		{"mixed.example:443", 0},
		{"second.example:443", 0},
		{"inside.example:443", 0},
		{"zone.example:443", 0},
		{"many.example:443", 0},
		{"localhost:443", 0},
		{"twice.example:443", 1},
		{"hundred.example:443", maxDialAddrs},
		{"none.example:443", 0},
	} {
		dialled, r := reachable(t, &Proxy{}, names, test.authority)
		if len(dialled) != test.dialled {
			t.Errorf("%s: dialled %v, refused with %v; want %d addresses", test.authority, dialled, r, test.dialled)
		}
	}
}

func manyAddrs(n int) []string {
	var addrs []string
	for i := range n {
		addrs = append(addrs, netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}).String())
	}
	return addrs
}

// The name is resolved once, and what is dialled is an address that was checked.
func TestRebinding(t *testing.T) {
	var lookups int
	var dialled []string
	p := &Proxy{
		Resolver: resolverFunc(func(string) ([]netip.Addr, error) {
			lookups++
			if lookups == 1 {
				return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}),
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			return nil, errDialled
		},
	}
	_, _ = p.open(t.Context(), &Target{Host: "rebind.example", Port: 443}, &Record{})
	if lookups != 1 || len(dialled) != 1 || dialled[0] != "8.8.8.8:443" {
		t.Errorf("%d lookups, dialled %v; want one of 8.8.8.8:443", lookups, dialled)
	}
}

type resolverFunc func(host string) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return f(host)
}

// The addresses of the proxy's own interfaces count as not public.
func TestOwnAddress(t *testing.T) {
	h := hostAddrs{read: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("8.8.4.4")} }}
	if !h.contains(netip.MustParseAddr("8.8.4.4")) || !h.contains(netip.MustParseAddr("::ffff:8.8.4.4")) ||
		h.contains(netip.MustParseAddr("8.8.4.5")) {
		t.Error("contains does not tell 8.8.4.4 from 8.8.4.5")
	}
	if !(&hostAddrs{read: interfaceAddrs}).contains(netip.MustParseAddr("127.0.0.1")) {
		t.Error("127.0.0.1 is no address of this machine")
	}
}

// The resolver of the system is asked for absolute names, and knows the file of hosts with them.
func TestSystemResolver(t *testing.T) {
	for _, resolver := range []Resolver{nil, net.DefaultResolver, &net.Resolver{PreferGo: true}} {
		p := &Proxy{Resolver: resolver}
		addrs, err := p.resolve(t.Context(), &Target{Host: "localhost", Port: 443})
		if err != nil {
			t.Errorf("%T: %v", resolver, err)
		}
		for _, addr := range addrs {
			if !addr.IsLoopback() {
				t.Errorf("localhost is %v", addr)
			}
		}
		if _, err := p.open(t.Context(), &Target{Host: "localhost", Port: 443}, &Record{}); asRefusal(err).Status != 403 {
			t.Errorf("localhost: %v", err)
		}
	}
}
