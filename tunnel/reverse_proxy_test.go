package tunnel

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-go/sluice/server"
)

// newReversePair returns an outer side to which an inner side is connected.
func newReversePair(t *testing.T, inner http.Handler) *ReverseOuter {
	t.Helper()
	outer := &ReverseOuter{Authenticate: BearerToken("secret")}
	srv, l := &server.Server{Handler: outer}, listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() {
		_ = srv.Serve(l)
		done <- struct{}{}
	}()
	_, isProxy := inner.(*Proxy)
	in := &ReverseInner{
		URL: &url.URL{Scheme: "http", Host: l.Addr().String()}, Handler: inner, DrainTimeout: -1,
		HTTP2: server.Config{EnableConnectProtocol: !isProxy}, // a Proxy says by its UDP
		Token: func(context.Context) (string, error) { return "secret", nil },
	}
	go func() {
		_ = in.Run(ctx)
		done <- struct{}{}
	}()
	t.Cleanup(func() {
		cancel()
		_, _ = outer.Close(), srv.Close()
		<-done
		<-done
	})
	return outer
}

// A proxy at the outer side reaches by every way what the inner side allows: names are resolved
// there, what it refuses is passed on, and the outer side's own policy decides by name.
func TestReverseProxy(t *testing.T) {
	origin := newOrigin(t)
	_, port, err := net.SplitHostPort(origin.addr)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	}))
	defer web.Close()
	rules := func(s string) *Rules {
		r, err := ParseRules(strings.NewReader(s), "rules")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	names := fakeResolver{
		"in.example": {
			"127.0.0.1",
		}, "closed.example": {"127.0.0.9"}, "denied.example": {"127.0.0.8"}, "no.example": {"127.0.0.1"},
	}
	outer := newReversePair(t, &Proxy{
		Name: "inner", Resolver: names,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "127.0.0.9:") {
				return nil, syscall.ECONNREFUSED
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		Policy: rules("allow in.example port any private\nallow closed.example port any private\nallow 127.0.0.1 port any\n"),
	})
	e := newProxy(t, &Proxy{
		Name: "outer", DialTarget: outer.DialTarget, Policy: rules("deny no.example\nallow any port any private\n"),
		Upstream: func(*Target) (*url.URL, error) { return nil, errors.New("it is not asked") },
		Resolver: fakeResolver{},
	})
	for _, way := range allWays {
		for _, target := range []string{"in.example:" + port, origin.addr} {
			c, resp := e.dial(way, target)
			if c == nil {
				t.Fatalf("%s: %+v", target, resp)
			}
			o := origin.accept()
			write(t, c, "there")
			wantRead(t, o, "there")
			write(t, o, "back")
			wantRead(t, c, "back")
			_, _ = c.Close(), o.Close()
			if r := e.record(); r.Target != target || r.Addr != "" || r.Sent != 5 || r.Received != 4 {
				t.Errorf("record %+v", r)
			}
		}
		for target, want := range map[string]struct {
			status int
			parts  string
		}{
			"denied.example:" + port: {403, "inner;"},
			"no.example:" + port:     {403, "outer;error=http_request_denied"},
			"closed.example:1":       {502, "inner;error=connection_refused"},
		} {
			c, resp := e.dial(way, target)
			if c != nil || resp.StatusCode != want.status ||
				!strings.Contains(strings.Join(resp.Header["Proxy-Status"], ", "), want.parts) {
				t.Errorf("%s: %+v", target, resp)
			}
			_ = e.record()
		}
	}
	hc := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(mustURL(t, "http://"+e.plain))}}
	defer hc.CloseIdleConnections()
	u := strings.Replace(web.URL, "127.0.0.1", "in.example", 1)
	resp, err := hc.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || "http://"+string(b) != u {
		t.Errorf("GET: %s %q, %v", resp.Status, b, err)
	}
	if text, err := e.p.Explain(t.Context(), "in.example:443", ""); err != nil || text.Refusal != nil ||
		!strings.Contains(text.String(), "DialTarget") {
		t.Errorf("Explain: %v, %v", text, err)
	}
}

// The default policy at the outer side refuses addresses that are not public, and a line with a
// network does not let through names; no inner side has an answer of its own.
func TestDialTargetPolicy(t *testing.T) {
	called := ""
	hook := func(_ context.Context, t *Target) (net.Conn, error) {
		called = t.hostPort()
		return nil, net.ErrClosed
	}
	network, err := ParseRules(strings.NewReader("allow 10.0.0.0/8 private\n"), "rules")
	if err != nil {
		t.Fatal(err)
	}
	outer := &ReverseOuter{WaitTimeout: -1}
	for name, tt := range map[string]struct {
		p      *Proxy
		target Target
		status int
		called bool
	}{
		"private":          {&Proxy{DialTarget: hook}, Target{Host: "10.0.0.1", Port: 443}, 403, false},
		"port":             {&Proxy{DialTarget: hook}, Target{Host: "a.example", Port: 22}, 403, false},
		"name":             {&Proxy{DialTarget: hook}, Target{Host: "a.example", Port: 443}, 502, true},
		"network, name":    {&Proxy{DialTarget: hook, Policy: network}, Target{Host: "a.example", Port: 443}, 403, false},
		"network, its own": {&Proxy{DialTarget: hook, Policy: network}, Target{Host: "10.0.0.1", Port: 443}, 502, true},
		"no inner side":    {&Proxy{DialTarget: outer.DialTarget}, Target{Host: "a.example", Port: 443}, 503, false},
		"no inner side for UDP": {
			&Proxy{DialTarget: outer.DialTarget}, Target{Host: "a.example", Port: 443, Kind: KindUDP}, 503, false,
		},
	} {
		called = ""
		tt.target.Addr, _ = netip.ParseAddr(tt.target.Host)
		_, err := tt.p.open(t.Context(), &tt.target, &Record{})
		if r := asRefusal(err); r.Status != tt.status || (called != "") != tt.called {
			t.Errorf("%s: %d %s, called for %q", name, r.Status, r.Details, called)
		}
	}
}

// A port that leads to one target has the policy, the limits and the records of a proxy.
func TestServeConn(t *testing.T) {
	origin := newOrigin(t)
	records := make(chan *Record, 10)
	p := &Proxy{Policy: allowAll(), MaxTunnelsPerUser: 1, MaxTunnelsPerConn: 1, Audit: func(r *Record) { records <- r }}
	l := listen(t)
	defer l.Close()
	serve := func(target string) (net.Conn, chan error) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- p.ServeConn(nc, target) }()
		return c, served
	}
	c, served := serve(origin.addr)
	o := origin.accept()
	write(t, c, "there")
	wantRead(t, o, "there")
	for target, status := range map[string]int{origin.addr: 429, "no target": 400} {
		c, served := serve(target)
		var r *Refusal
		if err := <-served; !errors.As(err, &r) || r.Status != status {
			t.Errorf("%s: %v", target, err)
		}
		if _, err := bufio.NewReader(c).ReadByte(); err == nil {
			t.Error("it goes on")
		}
		_ = c.Close()
		if rec := <-records; rec.End != EndRefused || rec.Error == "" || rec.Proto != "tcp" || rec.Kind != KindTunnel {
			t.Errorf("record %+v", rec)
		}
	}
	write(t, o, "back")
	wantRead(t, c, "back")
	_, _ = c.Close(), o.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if rec := <-records; rec.Sent != 5 || rec.Received != 4 || rec.Target != origin.addr || !rec.Client.IsValid() {
		t.Errorf("record %+v", rec)
	}
	_ = p.Close()
	_, served = serve(origin.addr)
	if err := <-served; err == nil {
		t.Error("a tunnel after Close")
	}
}
