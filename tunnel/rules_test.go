package tunnel

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const testRules = `
# Comment
deny  bad.example.com          # not this one
deny  any in 9.9.9.0/24
allow .example.com
allow *.Example.ORG. port 443,8000-8999
allow BÜCHER.example port any
allow git.corp.example in 10.1.0.0/16,fd12::/16 port 22,443 user anna,ci
allow wiki.corp.example private
allow 192.168.7.0/24 port any
allow [fd00::7] port 8080
allow 8.8.8.8
deny  any port 9000
allow any port 9000-9001 user root
`

var testNames = fakeResolver{
	"example.com": {"8.8.4.4"}, "www.example.com": {"8.8.4.4", "2600::1"}, "bad.example.com": {"8.8.4.4"},
	"quad.example.com": {"9.9.9.9"}, "inside.example.com": {"10.1.0.1"}, "notexample.com": {"8.8.4.4"},
	"example.org": {"8.8.4.4"}, "a.b.example.org": {"8.8.4.4"}, "xn--bcher-kva.example": {"8.8.4.4"},
	"git.corp.example": {"10.1.2.3", "fd12::1"}, "wiki.corp.example": {"172.16.0.1"},
	"meta.corp.example": {"169.254.169.254"}, "seven.example": {"192.168.7.1"}, "eight.example": {"192.168.8.1"},
	"other.example": {"8.8.4.4"},
}

var rulesTests = []struct {
	user, target string
	allow        bool
	rule         string
}{
	{"", "example.com:443", true, "policy.txt:5: allow .example.com"},
	{"", "WWW.example.com.:443", true, "policy.txt:5: allow .example.com"},
	{"", "www.example.com:80", false, "policy.txt:5: allow .example.com: for port 443 only"},
	{"", "bad.example.com:443", false, "policy.txt:3: deny bad.example.com"},
	{"", "bad.example.com:9000", false, "policy.txt:3: deny bad.example.com"},
	{"", "quad.example.com:443", false, "policy.txt:4: deny any in 9.9.9.0/24"},
	{"", "inside.example.com:443", false, "policy.txt:5: allow .example.com: " +
		"10.1.0.1 is not public (10.0.0.0/8, private use)"},
	{"", "notexample.com:443", false, "policy.txt: no line allows it"},
	{"", "example.org:443", false, "policy.txt: no line allows it"},
	{"", "a.b.example.org:8080", true, "policy.txt:6: allow *.Example.ORG. port 443,8000-8999"},
	{"", "a.b.example.org:7999", false, "policy.txt:6: allow *.Example.ORG. port 443,8000-8999: " +
		"for port 443,8000-8999 only"},
	{"", "bücher.example:1", true, "policy.txt:7: allow BÜCHER.example port any"},
	{"anna", "git.corp.example:22", true, "policy.txt:8: allow git.corp.example " +
		"in 10.1.0.0/16,fd12::/16 port 22,443 user anna,ci"},
	{"", "git.corp.example:22", false, "policy.txt: no line allows it"},
	{"ann", "git.corp.example:22", false, "policy.txt: no line allows it"},
	{"", "wiki.corp.example:443", true, "policy.txt:9: allow wiki.corp.example private"},
	{"", "192.168.7.255:1234", true, "policy.txt:10: allow 192.168.7.0/24 port any"},
	{"", "seven.example:1234", true, "policy.txt:10: allow 192.168.7.0/24 port any"},
	{"", "eight.example:1234", false, "policy.txt: no line allows it"},
	{"", "[::ffff:192.168.7.1]:1234", true, "policy.txt:10: allow 192.168.7.0/24 port any"},
	{"", "[64:ff9b::192.168.7.1]:1234", true, "policy.txt:10: allow 192.168.7.0/24 port any"},
	{"", "[fd00::7]:8080", true, "policy.txt:11: allow [fd00::7] port 8080"},
	{"", "[fd00::8]:8080", false, "policy.txt: no line allows it"},
	{"", "8.8.8.8:443", true, "policy.txt:12: allow 8.8.8.8"},
	{"root", "other.example:9000", false, "policy.txt:13: deny any port 9000"},
	{"root", "other.example:9001", true, "policy.txt:14: allow any port 9000-9001 user root"},
	{"root", "eight.example:9001", false, "policy.txt:14: allow any port 9000-9001 user root: " +
		"192.168.8.1 is not public (192.168.0.0/16, private use)"},
}

// The first line that matches decides, and the Refusal names it.
func TestRules(t *testing.T) {
	rules, err := ParseRules(strings.NewReader(testRules), "policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range rulesTests {
		p := &Proxy{Policy: rules, Resolver: testNames}
		e, err := p.Explain(t.Context(), test.target, test.user)
		if err != nil {
			t.Fatal(err)
		}
		rule := e.Decision.Rule
		if len(e.Addrs) > 0 {
			rule = e.Addrs[0].Decision.Rule
		}
		if allow := e.Refusal == nil; allow != test.allow || rule != test.rule {
			t.Errorf("%s for %q: allow %v by %q; want %v by %q", test.target, test.user, allow, rule, test.allow, test.rule)
		}
	}
}

// The fields of Rules open what they say, and no more.
func TestRulesFields(t *testing.T) {
	file := func(s string) *Rules {
		rules, err := ParseRules(strings.NewReader(s), "p")
		if err != nil {
			t.Fatal(err)
		}
		return rules
	}
	private := file("allow any")
	private.AllowPrivate = true
	ports := file("allow any\ndeny any")
	ports.Ports = Ports{{80, 90}}
	for _, test := range []struct {
		rules  *Rules
		target string
		allow  bool
	}{
		{nil, "8.8.8.8:443", true},
		{nil, "8.8.8.8:80", false},
		{&Rules{Ports: anyPort}, "8.8.8.8:25", true},
		{&Rules{Ports: Ports{}}, "8.8.8.8:443", false},
		{&Rules{AllowPrivate: true}, "10.0.0.1:443", true},
		{&Rules{AllowPrivate: true}, "127.0.0.1:443", true},
		{&Rules{AllowPrivate: true}, "[::1]:443", true},
		{&Rules{AllowPrivate: true}, "[fd00::1]:443", true},
		{&Rules{AllowPrivate: true}, "10.0.0.1:80", false},
		{&Rules{AllowPrivate: true}, "169.254.169.254:443", false},
		{&Rules{AllowPrivate: true}, "[fd00:ec2::254]:443", false},
		{&Rules{AllowPrivate: true}, "[2002:a00:1::]:443", false},
		{&Rules{AllowPrivate: true}, "0.0.0.0:443", false},
		{&Rules{AllowPrivate: true}, "[::]:443", false},
		{&Rules{AllowPrivate: true}, "224.0.0.1:443", false},
		{private, "10.0.0.1:443", true},
		{private, "169.254.169.254:443", false},
		{ports, "8.8.8.8:90", true},
		{ports, "8.8.8.8:443", false},
		{file(""), "8.8.8.8:443", false},
		{file("allow 0.0.0.0/0"), "8.8.8.8:443", true},
		{file("allow 0.0.0.0/0"), "10.0.0.1:443", false},
		{file("allow 0.0.0.0/0 private"), "10.0.0.1:443", true},
		{file("allow 0.0.0.0/0 private"), "169.254.169.254:443", false},
		{file("allow 169.254.169.254"), "169.254.169.254:443", true},
		{file("allow 100.64.0.0/10"), "100.64.0.1:443", true},
		{file("allow 100.64.0.0/10"), "100.100.100.200:443", false},
		{file("allow 0.0.0.0"), "0.0.0.0:443", false},
		{file("allow 2001:db8::/32"), "[2001:db8::1]:443", true},
		{file("allow ::ffff:10.0.0.0/104"), "10.0.0.1:443", true},
		{file("allow 64:ff9b::10.0.0.0/104"), "10.0.0.1:443", true},
		{file("deny 64:ff9b::/96\nallow any"), "[64:ff9b::8.8.8.8]:443", false},
		{file("deny 8.8.8.8\nallow any"), "[64:ff9b::8.8.8.8]:443", false},
		{file("allow any in 10.0.0.0/8,8.8.8.0/24"), "10.0.0.1:443", true},
		{file("allow any in 10.0.0.0/8,8.8.8.0/24"), "8.8.8.8:443", true},
		{file("allow any in 10.0.0.0/8,8.8.8.0/24"), "8.8.4.4:443", false},
	} {
		p := &Proxy{Policy: test.rules}
		e, err := p.Explain(t.Context(), test.target, "")
		if err != nil {
			t.Fatal(err)
		}
		if allow := e.Refusal == nil; allow != test.allow {
			t.Errorf("%+v, %s: %v", test.rules, test.target, e)
		}
	}
}

// Behind an upstream, lines with networks say nothing about names.
func TestRulesUpstream(t *testing.T) {
	rules, err := ParseRules(strings.NewReader("allow 10.0.0.0/8\ndeny a.example\nallow .example"), "p")
	if err != nil {
		t.Fatal(err)
	}
	for host, allow := range map[string]bool{
		"a.example": false, "b.example": true, "other.test": false, "10.0.0.1": true, "127.0.0.1": false,
	} {
		target, err := parseAuthority(host, 443)
		if err != nil {
			t.Fatal(err)
		}
		target.Upstream = "http://proxy.example"
		if d := rules.CheckTarget(t.Context(), &target); d.Allow != allow {
			t.Errorf("%s: %v", host, d)
		}
	}
}

// An error says where it is, and what is wrong.
func TestParseRulesErrors(t *testing.T) {
	for line, want := range map[string]string{
		"permit any":                `a line begins with allow or deny, not with "permit"`,
		"allow":                     "allow needs a destination: any, a name, .suffix, an address or a network",
		"allow example.com:443":     `"example.com:443" is no destination: write example.com port 443`,
		"allow https://example.com": `"https://example.com" is no address and no network such as 192.0.2.0/24`,
		"allow 10.0.0.1/8":          `"10.0.0.1/8" has bits behind the length: write 10.0.0.0/8 or 10.0.0.1/32`,
		"allow 10.0.0.0/33":         `"10.0.0.0/33" is no address and no network such as 192.0.2.0/24`,
		"allow fe80::1%eth0":        `"fe80::1%eth0" is no address and no network such as 192.0.2.0/24`,
		"allow 0x7f.1": `"0x7f.1" is no destination: ` +
			"an IPv4 address is written as four decimal numbers from 0 to 255",
		"allow www.*.example":          `"www.*.example" is no destination: the name has the octet '*'`,
		"allow .*.example":             `".*.example" is no destination: write .example or *.example`,
		"allow .10.0.0.1":              `".10.0.0.1" is no destination: an address has no names below it`,
		"allow any port":               "port needs a list",
		"allow any port 0":             `the port "0" is not from 1 to 65535`,
		"allow any port 90-80":         `the range of ports "90-80" ends before it begins`,
		"allow any port 80, 90":        `the port "" is not from 1 to 65535`,
		"allow any port 80 port 90":    "port is there twice; write a list with commas",
		"allow any user a,,b":          `the list of users "a,,b" has an empty name`,
		"allow any in example.com":     `"example.com" is no address and no network such as 192.0.2.0/24`,
		"allow any ports 80":           `"ports" is none of port, user, in and private`,
		"deny any private":             "private is for allow lines; a deny line is for all addresses",
		strings.Repeat("x", 70_000):    "the line has more than 65536 octets",
		"allow ex\x00ample.com":        `"ex\x00ample.com" is no destination: the name has the octet '\x00'`,
		"allow \u200bexample.com.\xff": `"\u200bexample.com.\xff" is no destination: the name is too long, or not UTF-8`,
	} {
		_, err := ParseRules(strings.NewReader("# first\n\nallow any\n"+line+"\n"), "policy.txt")
		if err == nil || err.Error() != "policy.txt:4: "+want {
			t.Errorf("%.80q:\n got %v\nwant policy.txt:4: %s", line, err, want)
		}
	}
}

// Rules are swapped while they are used, and stay where the file is wrong.
func TestPolicyFileReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.txt")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &PolicyFile{Path: path}
	target := &Target{Host: "8.8.8.8", Port: 443, Addr: netip.MustParseAddr("8.8.8.8")}
	if d := f.CheckTarget(t.Context(), target); d.Allow {
		t.Errorf("before Load: %v", d)
	}
	if err := f.Load(); !os.IsNotExist(err) {
		t.Errorf("Load without a file: %v", err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f.CheckTarget(t.Context(), target)
					f.CheckAddr(t.Context(), target, target.Addr)
				}
			}
		})
	}
	for i := range 20 {
		action := []string{"allow", "deny"}[i%2]
		write(action + " any\n")
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
		if d := f.CheckAddr(t.Context(), target, target.Addr); d.Allow != (action == "allow") {
			t.Errorf("after Load of %s: %v", action, d)
		}
	}
	write("allow any\nallow\n")
	want := path + ":2: allow needs a destination: any, a name, .suffix, an address or a network"
	if err := f.Load(); err == nil || err.Error() != want {
		t.Errorf("Load of a wrong file: %v; want %s", err, want)
	}
	if d := f.CheckTarget(t.Context(), target); d.Allow || d.Rule != path+":1: deny any" {
		t.Errorf("after a Load that failed: %v", d)
	}
	close(stop)
	readers.Wait()
}

func TestParsePorts(t *testing.T) {
	for in, want := range map[string]string{
		"443": "443", "443,8443": "443,8443", "1-65535": "any", "any": "any", "8000-8999, 22": "8000-8999,22",
		"": "error", "0": "error", "x": "error", "1-": "error", "-1": "error", "2-1": "error", "1,": "error",
	} {
		ports, err := ParsePorts(in)
		got := ports.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
