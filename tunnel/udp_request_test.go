package tunnel

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestUDPTarget(t *testing.T) {
	const at = "https://proxy.example"
	for _, tt := range []struct {
		url, host string
		port      uint16
		err       string // a part of it
	}{
		{at + "/.well-known/masque/udp/192.0.2.6/443/", "192.0.2.6", 443, ""},
		{at + "/.well-known/masque/udp/2001%3Adb8%3A%3A42/443/", "2001:db8::42", 443, ""},
		{at + "/.well-known/masque/udp/2001%3adb8%3a%3A0042/443/", "2001:db8::42", 443, ""},
		{at + "/.well-known/masque/udp/2001:db8::42/443/", "2001:db8::42", 443, ""},
		{at + "/.well-known/masque/udp/Target.Example./65535/", "target.example", 65535, ""},
		{at + "/.well-known/masque/udp/%74arget/1/?x=y", "target", 1, ""},
		{at + "/.well-known/masque/udp/_dns.example/53/", "_dns.example", 53, ""},
		{at + "/192.0.2.6/443/", "", 0, "the path is not"},
		{at + "/", "", 0, "the path is not"},
		{at + "/.well-known/masque/udp/192.0.2.6/443", "", 0, "lacks a port"},
		{at + "/.well-known/masque/udp/192.0.2.6/", "", 0, "lacks a port"},
		{at + "/.well-known/masque/udp/192.0.2.6", "", 0, "lacks a port"},
		{at + "/.well-known/masque/udp/192.0.2.6//", "", 0, "the port"},
		{at + "/.well-known/masque/udp/192.0.2.6/0/", "", 0, "the port"},
		{at + "/.well-known/masque/udp/192.0.2.6/0443/", "192.0.2.6", 443, ""},
		{at + "/.well-known/masque/udp/192.0.2.6/+443/", "", 0, "the port"},
		{at + "/.well-known/masque/udp/192.0.2.6/65536/", "", 0, "the port"},
		{at + "/.well-known/masque/udp/192.0.2.6/443/x/", "", 0, "the port"},
		{at + "/.well-known/masque/udp/192.0.2.6/443%2F/", "", 0, "the port"},
		{at + "/.well-known/masque/udp//443/", "", 0, "is empty"},
		{at + "/.well-known/masque/udp/a..b/443/", "", 0, "empty label"},
		{at + "/.well-known/masque/udp/" + strings.Repeat("a.", 127) + "a/443/", "", 0, "more than 253"},
		{at + "/.well-known/masque/udp/%5B%3A%3A1%5D/443/", "", 0, "no brackets"},
		{at + "/.well-known/masque/udp/fe80%3A%3A1%25eth0/443/", "", 0, "with a zone"},
		{at + "/.well-known/masque/udp/host%00/443/", "", 0, "has the octet"},
		{at + "/.well-known/masque/udp/a%2Fb/443/", "", 0, "has the octet"},
		{at + "/.well-known/masque/udp/user%40host/443/", "", 0, "has the octet"},
		{at + "/.well-known/masque/udp/0x7f.1/443/", "", 0, "IPv4"},
		{at + "/.well-known/masque/udp/*/443/", "", 0, "has the octet"},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.url, nil)
		host, port, err := udpTarget(r)
		switch {
		case (err != nil) != (tt.err != ""), err != nil && !strings.Contains(err.Error(), tt.err):
			t.Errorf("%s: %v, want %q", tt.url, err, tt.err)
		case host != tt.host || port != tt.port:
			t.Errorf("%s: %s and %d, want %s and %d", tt.url, host, port, tt.host, tt.port)
		}
	}
}

func TestCheckUDPRequest(t *testing.T) {
	request := func(change func(*http.Request)) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/.well-known/masque/udp/192.0.2.6/443/", nil)
		r.Header.Set("Connection", "keep-alive, Upgrade")
		r.Header.Set("Upgrade", "Connect-UDP")
		change(r)
		return r
	}
	for name, tt := range map[string]struct {
		change   func(*http.Request)
		udp, bad bool
	}{
		"as it is":       {func(*http.Request) {}, true, false},
		"POST":           {func(r *http.Request) { r.Method = http.MethodPost }, true, true},
		"HTTP/1.0":       {func(r *http.Request) { r.ProtoMinor = 0 }, true, true},
		"two protocols":  {func(r *http.Request) { r.Header.Add("Upgrade", "websocket") }, true, true},
		"a list":         {func(r *http.Request) { r.Header.Set("Upgrade", "connect-udp, h2c") }, false, true},
		"content":        {func(r *http.Request) { r.ContentLength = 1 }, true, true},
		"chunks":         {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, true, true},
		"content type":   {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, true, true},
		"other protocol": {func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, false, true},
		"no upgrade":     {func(r *http.Request) { r.Header.Del("Connection") }, false, false},
		"HTTP/2": {func(r *http.Request) {
			r.Method, r.ProtoMajor, r.ProtoMinor = http.MethodConnect, 2, 0
			r.Header = http.Header{":protocol": {"connect-udp"}}
		}, true, false},
		"WebSocket on HTTP/2": {func(r *http.Request) {
			r.Method, r.ProtoMajor, r.ProtoMinor = http.MethodConnect, 2, 0
			r.Header = http.Header{":protocol": {"websocket"}}
		}, false, false},
	} {
		r := request(tt.change)
		if got := kindOf(r) == KindUDP; got != tt.udp {
			t.Errorf("%s: kindOf is %v", name, kindOf(r))
		}
		if err := checkUDPRequest(r); (err != nil) != tt.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a path names is a target in its usual form, for which udpPath makes a path that names it.
func FuzzUDPTarget(f *testing.F) {
	for _, s := range []string{
		"192.0.2.6/443/", "2001%3Adb8%3A%3A42/443/", "a.example./1/", "%00/1/", "fe80%3A%3A1%25eth0/443/", "a/0/", "//",
	} {
		f.Add(udpPrefix + s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		host, port, err := udpTarget(&http.Request{URL: u})
		if err != nil {
			return
		}
		addr, err := netip.ParseAddr(host)
		if strings.ContainsAny(host, "/%@[] \x00\r\n") || err != nil && strings.Contains(host, ":") ||
			err == nil && addr.String() != host || port == 0 {
			t.Fatalf("%q: host %q, port %d", path, host, port)
		}
		again, err := url.ParseRequestURI(udpPath(host, strconv.Itoa(int(port))))
		if err != nil {
			t.Fatal(err)
		}
		h, p, err := udpTarget(&http.Request{URL: again})
		if h != host || p != port || err != nil {
			t.Fatalf("%q: %q and %d, then %q and %d, %v", path, host, port, h, p, err)
		}
	})
}
