package tunnel

import (
	"net/netip"
	"strings"
	"testing"
)

// insideByNetip reports, by what netip knows of addresses and not by the tables of this package,
// whether an address is not public.
func insideByNetip(addr netip.Addr) bool {
	if b := addr.As16(); addr.Is6() && strings.HasPrefix(addr.StringExpanded(), "0064:ff9b:0000:0000:0000:0000:") {
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	addr = addr.Unmap()
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() ||
		addr.IsUnspecified() || !addr.IsGlobalUnicast() || addr.Zone() != "" ||
		addr.Is4() && (addr.As4()[0] == 0 || addr.As4()[0] >= 240 ||
			addr.As4()[0] == 100 && addr.As4()[1]&0xc0 == 64) ||
		addr.Is6() && (addr.As16()[0]>>5 != 1 || addr.As16()[0] == 0x20 && addr.As16()[1] == 2)
}

// Whatever a client writes is no way to an address inside, and its canonical form is one.
func FuzzTarget(f *testing.F) {
	for _, test := range notPublicAddrs {
		f.Add("[" + test.addr + "]:443")
		f.Add(test.addr + ":443")
	}
	f.Add("EXAMPLE.com.:443")
	f.Add("bücher.example:443")
	f.Add("①②⑦.0.0.1:443")
	f.Add("0x7f.1:443")
	f.Add("a@[::1]:443")
	f.Fuzz(func(t *testing.T, authority string) {
		target, err := parseAuthority(authority, 0)
		if err != nil {
			if asRefusal(err).Status != 400 {
				t.Errorf("%q: %v", authority, err)
			}
			return
		}
		if target.Port == 0 || target.Host == "" || target.Host != strings.ToLower(target.Host) ||
			strings.ContainsAny(target.Host, "[]%@/\\ \x00") || strings.HasSuffix(target.Host, ".") {
			t.Errorf("%q: %+v", authority, target)
		}
		again, err := parseAuthority(target.hostPort(), 0)
		if err != nil || again.Host != target.Host || again.Addr != target.Addr || again.Port != target.Port {
			t.Errorf("%q: %+v, and again %+v, %v", authority, target, again, err)
		}
		parsed, err := netip.ParseAddr(target.Host)
		if (err == nil) != target.Addr.IsValid() || err == nil && parsed != target.Addr {
			t.Errorf("%q: %+v; Addr is not that of Host", authority, target)
		}
		if !target.Addr.IsValid() {
			return
		}
		rules := &Rules{Ports: anyPort}
		if insideByNetip(target.Addr) &&
			(rules.CheckTarget(t.Context(), &target).Allow || rules.CheckAddr(t.Context(), &target, target.Addr).Allow) {
			t.Errorf("%q: %+v is allowed", authority, target)
		}
	})
}

// No address that netip knows to be inside is public, in any form.
func FuzzClassify(f *testing.F) {
	for _, test := range notPublicAddrs {
		b := netip.MustParseAddr(test.addr).As16()
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		if d := (*Rules)(nil).CheckAddr(t.Context(), &Target{Port: 443}, addr); d.Allow && insideByNetip(addr) {
			t.Errorf("%v: %v", addr, d)
		}
	})
}

// Rules that parse decide without panicking, and not for an address inside without a line that
// says so.
func FuzzParseRules(f *testing.F) {
	f.Add(testRules, "www.example.com:443", "10.0.0.1")
	f.Add("allow any port any\n", "127.0.0.1:80", "127.0.0.1")
	f.Add("allow 0.0.0.0/0 in ::/0 user a,b port 1-2", "a.example:1", "::1")
	f.Add("\ufeffdeny .ÄB.example # x", "x.example:443", "8.8.8.8")
	f.Fuzz(func(t *testing.T, file, authority, addr string) {
		rules, err := ParseRules(strings.NewReader(file), "policy.txt")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy.txt:") {
				t.Errorf("%q: %v has no file and line", file, err)
			}
			return
		}
		target, err := parseAuthority(authority, 443)
		if err != nil {
			return
		}
		d := rules.CheckTarget(t.Context(), &target)
		if d.Rule == "" {
			t.Errorf("%q: no rule for %q", file, authority)
		}
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		d = rules.CheckAddr(t.Context(), &target, a)
		if d.Allow && (!strings.Contains(d.Rule, "allow") || !strings.Contains(file, "allow")) {
			t.Errorf("%q: %v", file, d)
		}
		if d.Allow && insideByNetip(a) && !strings.Contains(d.Rule, "private") &&
			!strings.ContainsAny(d.Rule[10:], "0123456789:") {
			t.Errorf("%q: %v is allowed by %v", file, a, d)
		}
	})
}
