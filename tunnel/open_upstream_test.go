package tunnel

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/pires/go-proxyproto"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// upstreamURLs are the ways to a proxy as an upstream.
func (e *proxyEnv) upstreamURLs() []string {
	return []string{"http://" + e.plain, "h2c://" + e.plain, "https://" + e.tls}
}

// Tunnels, and requests, go through an upstream of each kind, which gets the credentials of the URL
// and not those of the client.
func TestUpstream(t *testing.T) {
	origin := newOrigin(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer web.Close()
	upstream := newProxy(t, &Proxy{
		Name: "far", Auth: Basic("far", StaticUsers(map[string]string{"near": "secret"})),
	})
	for _, s := range upstream.upstreamURLs() {
		u := mustURL(t, s)
		u.User = url.UserPassword("near", "secret")
		e := newProxy(t, &Proxy{
			Name: "near", Auth: Basic("near", StaticUsers(map[string]string{"anna": "x"})),
			Upstream: func(*Target) (*url.URL, error) { return u, nil }, UpstreamTLS: upstream.clientTLS(),
		})
		for _, way := range allWays {
			c, resp := e.dial(way, origin.addr, "Proxy-Authorization", basicField("anna:x"))
			if c == nil {
				t.Fatalf("%s through %s: %+v", way, s, resp)
			}
			o := origin.accept()
			write(t, c, "there")
			wantRead(t, o, "there")
			write(t, o, "back")
			wantRead(t, c, "back")
			_, _ = c.Close(), o.Close()
			r := e.record()
			if r.Upstream != u.Redacted() || r.Addr != "" || r.User != "anna" || strings.Contains(r.Upstream, "secret") {
				t.Errorf("%s through %s: record %+v", way, s, r)
			}
			if r := upstream.record(); r.User != "near" || r.Target != origin.addr {
				t.Errorf("%s through %s: the upstream's record %+v", way, s, r)
			}
		}
		near := mustURL(t, "http://anna:x@"+e.plain)
		hc := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(near)}}
		resp, err := hc.Get(web.URL + "/page")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != "/page" {
			t.Errorf("GET through %s: %s, %q, %v", s, resp.Status, body, err)
		}
		_ = resp.Body.Close()
		_, _ = e.record(), upstream.record()
		hc.CloseIdleConnections()
	}
}

// What an upstream refuses is passed on with its status, its Proxy-Status and its words; where it
// is the upstream that fails, the answer says so.
func TestUpstreamRefusals(t *testing.T) {
	const dead = "127.0.0.9:9"
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == dead {
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	origin := newOrigin(t)
	names := fakeResolver{"name.example": {"127.0.0.9"}}
	file := func(s string) *Rules {
		rules, err := ParseRules(strings.NewReader(s), "far.txt")
		if err != nil {
			t.Fatal(err)
		}
		return rules
	}
	far := newProxy(t, &Proxy{Name: "far", Resolver: names, Policy: file(
		"allow 127.0.0.0/8 port any\nallow none.example port any\n",
	), DialContext: dial})
	locked := newProxy(t, &Proxy{Name: "locked", Auth: Basic("x", StaticUsers(nil))})
	httpServer := httptest.NewServer(http.NotFoundHandler())
	defer httpServer.Close()
	for _, test := range []struct {
		name, upstream, target string
		status                 int
		proxyStatus, body      string // that are contained
	}{
		{
			"name that leads to " + dead, "http://" + far.plain, "name.example:9", 502,
			`far;error=connection_refused`, "answered 502 Bad Gateway: " + dead + ": connection refused",
		},
		{
			"policy of the upstream", "h2c://" + far.plain, "8.8.8.8:443", 403,
			`far;error=http_request_denied;details="8.8.8.8:443 is not allowed (far.txt: no line allows it)", ` +
				`near;error=http_request_denied`,
			"the upstream proxy " + far.plain + " answered 403 Forbidden: 8.8.8.8:443 is not allowed",
		},
		{
			"name", "https://" + far.tls, "none.example:443", 502,
			`far;error=dns_error;rcode="NXDOMAIN"`, "answered 502 Bad Gateway",
		},
		{
			"credentials", "http://" + locked.plain, origin.addr, 502,
			`near;error=proxy_configuration_error`, "wants other credentials (407)",
		},
		{
			"upstream down", "http://" + dead, origin.addr, 502,
			`near;error=connection_refused`, "the upstream proxy " + dead + ": " + dead + ": connection refused",
		},
		{
			"upstream without a name", "https://nowhere.example", origin.addr, 502,
			`near;error=dns_error;rcode="NXDOMAIN"`,
			"the upstream proxy nowhere.example:443: the name nowhere.example was not found",
		},
		{
			"certificate", "https://" + locked.tls, origin.addr, 502,
			`near;error=tls_certificate_error`, "its certificate is not trusted",
		},
		{
			"no proxy", httpServer.URL, origin.addr, 502,
			`near;error=destination_unavailable`, "answered 404 Not Found",
		},
		{
			"scheme", "ftp://" + dead, origin.addr, 502,
			`near;error=proxy_configuration_error`, "an upstream proxy has a scheme of http, https, h2c or socks5",
		},
	} {
		u := mustURL(t, test.upstream)
		e := newProxy(t, &Proxy{
			Name: "near", Upstream: func(*Target) (*url.URL, error) { return u, nil }, UpstreamTLS: far.clientTLS(),
			Resolver: names, DialContext: dial,
		})
		c, resp := e.dial(overHTTP1, test.target)
		if c != nil {
			t.Errorf("%s: there is a tunnel", test.name)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		status := strings.Join(resp.Header["Proxy-Status"], ", ")
		if resp.StatusCode != test.status || !strings.Contains(status, test.proxyStatus) ||
			!strings.Contains(string(body), test.body) || resp.Header.Get("Proxy-Authenticate") != "" {
			t.Errorf("%s: %s\nProxy-Status: %s\n%s", test.name, resp.Status, status, body)
		}
	}
}

// The upstream reads the header of the PROXY protocol first, for each tunnel.
func TestProxyProtocolToUpstream(t *testing.T) {
	l := newOrigin(t)
	e := newProxy(t, &Proxy{
		Upstream:      func(*Target) (*url.URL, error) { return &url.URL{Scheme: "http", Host: l.addr}, nil },
		ProxyProtocol: func(*Target) int { return 2 },
	})
	for range 2 {
		done := make(chan string, 1)
		go func() {
			c, err := l.l.Accept()
			if err != nil {
				done <- err.Error()
				return
			}
			b := bufio.NewReader(c)
			h, err := proxyproto.Read(b)
			if err != nil {
				done <- err.Error()
				return
			}
			req, err := http.ReadRequest(b)
			if err != nil {
				done <- err.Error()
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
			_, _ = io.Copy(io.Discard, b) // until the tunnel ends
			_ = c.Close()
			done <- h.SourceAddr.String() + " asks for " + req.Host
		}()
		c, resp := e.dial(overHTTP1, "8.8.8.8:443")
		if c == nil {
			t.Fatalf("%+v", resp)
		}
		wantRead(t, c, "hello")
		_ = c.CloseWrite()
		wantEOF(t, c)
		if got, want := <-done, c.LocalAddr().String()+" asks for 8.8.8.8:443"; got != want {
			t.Errorf("the upstream saw %q, want %q", got, want)
		}
	}
}

// An address that the client gives is checked also where the upstream dials it, and NO_PROXY goes
// directly.
func TestUpstreamPolicy(t *testing.T) {
	u := mustURL(t, "http://proxy.example:3128")
	p := &Proxy{
		Upstream: UpstreamProxy(u, "direct.example,.inside.example,8.8.4.0/24,mail.example:25"),
		Policy:   &Rules{Ports: anyPort},
		Resolver: fakeResolver{
			"direct.example": {"8.8.8.8"}, "a.inside.example": {"10.0.0.1"}, "mail.example": {"8.8.8.8"},
		},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errDialled },
	}
	for target, want := range map[string]string{
		"www.example:443":      "upstream",
		"8.8.8.8:443":          "upstream",
		"10.0.0.1:443":         "refused",
		"[::1]:443":            "refused",
		"direct.example:443":   "direct",
		"a.inside.example:443": "refused",
		"8.8.4.4:443":          "direct",
		"mail.example:25":      "direct",
		"mail.example:26":      "upstream",
	} {
		e, err := p.Explain(t.Context(), target, "")
		if err != nil {
			t.Fatal(err)
		}
		got := "direct"
		switch {
		case e.Refusal != nil:
			got = "refused"
		case e.Target.Upstream == u.String():
			got = "upstream"
		}
		if got != want {
			t.Errorf("%s is %s, want %s\n%v", target, got, want, e)
		}
	}
	p.Upstream = func(*Target) (*url.URL, error) { return nil, io.ErrUnexpectedEOF }
	_, err := p.open(t.Context(), &Target{Host: "8.8.8.8", Port: 443, Addr: netip.MustParseAddr("8.8.8.8")}, &Record{})
	if r := asRefusal(err); r.Status != 502 || r.Type != typeConfiguration {
		t.Errorf("a hook that fails: %+v", r)
	}
	p.Upstream = func(*Target) (*url.URL, error) { return mustURL(t, "socks5://proxy.example:1080"), nil }
	_, err = p.open(t.Context(), &Target{Kind: KindUDP, Host: "www.example", Port: 443}, &Record{})
	if r := asRefusal(err); r.Status != 502 || r.Type != typeConfiguration || !strings.Contains(r.Details, "socks5") {
		t.Errorf("UDP: %+v", r)
	}
}

// The Dialers are bounded.
func TestUpstreamsBounded(t *testing.T) {
	p := &Proxy{}
	for i := range 2 * maxUpstreams {
		p.upstreamDialer(&url.URL{Scheme: "http", Host: netip.AddrFrom4([4]byte{127, 0, 0, byte(i)}).String()})
	}
	if n := len(p.state.upstreams.byURL); n > maxUpstreams {
		t.Errorf("%d Dialers are kept, want at most %d", n, maxUpstreams)
	}
}
