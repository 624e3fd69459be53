package proxydial

import (
	"net/url"
	"testing"
)

// Targets in the form in which they are sent.
func TestTargets(t *testing.T) {
	for addr, want := range map[string]string{
		"target.test:443":         "target.test:443",
		"Target.TEST.:0443":       "Target.TEST.:443",
		"_service._tcp.test:1":    "_service._tcp.test:1",
		"192.0.2.1:65535":         "192.0.2.1:65535",
		"[2001:db8::1]:443":       "[2001:db8::1]:443",
		"[::ffff:192.0.2.1]:443":  "[::ffff:192.0.2.1]:443",
		"münchen.test:443":        "xn--mnchen-3ya.test:443",
		"xn--mnchen-3ya.test:443": "xn--mnchen-3ya.test:443",
	} {
		if got, err := checkTarget(addr); got != want || err != nil {
			t.Errorf("%q: %q, %v", addr, got, err)
		}
	}
}

// Addresses of proxies.
func TestProxyAddr(t *testing.T) {
	for raw, want := range map[string]string{
		"http://a.test": "a.test:80", "https://a.test": "a.test:443", "h2c://a.test": "a.test:80",
		"socks5h://a.test":        "a.test:1080",
		"http://us:er@[::1]:3128": "[::1]:3128", "http://[::1]": "[::1]:80", "http://": "", "http://:80": "",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ProxyAddr(u); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
}
