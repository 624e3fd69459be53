package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTunnelLimits has one tunnel too many for a user, and for a connection of HTTP/2.
func TestTunnelLimits(t *testing.T) {
	for name, p := range map[string]*Proxy{
		"client 127.0.0.1": {MaxTunnelsPerUser: 2},
		"the connection":   {MaxTunnelsPerConn: 2},
	} {
		t.Run(name, func(t *testing.T) {
			e, o := newProxy(t, p), newOrigin(t)
			tr := e.transport(overH2)
			header := make(http.Header)
			first, _ := e.dialH2(tr, overH2, o.addr, header)
			second, _ := e.dialH2(tr, overH2, o.addr, header)
			if first == nil || second == nil {
				t.Fatal("two tunnels are refused")
			}
			third, resp := e.dialH2(tr, overH2, o.addr, header)
			want := "sluice;error=connection_limit_reached;details=\"" + name + " has 2 tunnels, which is the limit\""
			if third != nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Proxy-Status") != want {
				t.Errorf("the third: %s, %v", resp.Status, resp.Header)
			}
			_ = resp.Body.Close()
			if r := e.record(); r.End != EndRefused || r.Status != http.StatusTooManyRequests {
				t.Errorf("record: %+v", r)
			}
			_ = first.Close()
			_ = o.accept().Close()
			e.record()
			if third, _ = e.dialH2(tr, overH2, o.addr, header); third == nil {
				t.Error("refused after one has ended")
			}
			if p.MaxTunnelsPerConn > 0 {
				if c, _ := e.dial(overH2C, o.addr); c == nil {
					t.Error("refused on another connection")
				}
			}
			if st := p.Stats(); st.Refused != 1 || st.Open < 2 {
				t.Errorf("stats: %+v", st)
			}
		})
	}
}

// Clients without a user are counted by IPv4 address or IPv6 network.
func TestLimitKey(t *testing.T) {
	for _, tt := range []struct{ user, client, want string }{
		{"", "192.0.2.1:1", "client 192.0.2.1"},
		{"", "[2001:db8:0:1:2::3]:1", "client 2001:db8:0:1::/64"},
		{"", "[::1]:1", "client ::1"},
		{"", "[::ffff:192.0.2.1]:1", "client ::ffff:192.0.2.1"},
		{"anna", "[2001:db8:0:1:2::3]:1", "user anna"},
	} {
		if got := limitKey(&Target{User: tt.user, Client: netip.MustParseAddrPort(tt.client)}); got != tt.want {
			t.Errorf("%s at %s: %s, want %s", tt.user, tt.client, got, tt.want)
		}
	}
}

// TestDrain shuts a proxy down that has a tunnel: it goes on, while others are refused.
func TestDrain(t *testing.T) {
	for _, way := range allWays {
		t.Run(way, func(t *testing.T) {
			e, o := newProxy(t, &Proxy{}), newOrigin(t)
			c, _ := e.dial(way, o.addr)
			s := o.accept()
			served := make(chan error, 2)
			go func() { served <- e.p.Shutdown(t.Context()) }()
			for drains := false; !drains; { // refused once Shutdown has begun
				other, resp := e.dial(way, o.addr)
				if other != nil {
					_ = other.Close()
					_ = o.accept().Close()
					continue
				}
				drains = resp.StatusCode == http.StatusServiceUnavailable
				if !strings.Contains(resp.Header.Get("Proxy-Status"), "shuts down") {
					t.Fatalf("%s, %v", resp.Status, resp.Header)
				}
			}
			go func() { served <- e.srv.Shutdown(t.Context()) }()
			write(t, c, "question") // through the tunnel
			wantRead(t, s, "question")
			write(t, s, "answer")
			wantRead(t, c, "answer")
			_ = c.CloseWrite()
			wantEOF(t, s)
			_ = s.Close()
			wantEOF(t, c)
			_ = c.Close()
			for range 2 {
				if err := <-served; err != nil {
					t.Error(err)
				}
			}
			if err := e.p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEarlyOctets sends octets of the tunnel together with the request, and keeps the target from
// being reached for a while: 200 comes after that, and the octets are not lost.
func TestEarlyOctets(t *testing.T) {
	p := &Proxy{}
	e, o := newProxy(t, p), newOrigin(t)
	dial := make(chan struct{})
	p.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		<-dial
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	c := e.dialRaw(overHTTP1)
	large := strings.Repeat("0123456789", 1000) // more than is read ahead
	write(t, c, fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\nProxy-Connection: keep-alive\r\n\r\n%s", o.addr, large))
	close(dial)
	wantRead(t, o.accept(), large)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 200 Connection established\r\n" {
		t.Errorf("%q, %v", line, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(line), r)), nil)
	if err != nil || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Date") != "" {
		t.Errorf("%v, %v", resp, err)
	}
}

// TestConnectFailures asks for targets that cannot be reached.
func TestConnectFailures(t *testing.T) {
	p := &Proxy{}
	e, o := newProxy(t, p), newOrigin(t)
	errs := map[string]error{
		"sluice;error=connection_timeout":   context.DeadlineExceeded,
		"sluice;error=proxy_internal_error": &Refusal{Status: 502, Type: "proxy_internal_error", Details: "as the hook says"},
	}
	for want, failure := range errs {
		for _, way := range allWays {
			p.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, failure }
			c, resp := e.dial(way, o.addr)
			if c != nil || !strings.HasPrefix(resp.Header.Get("Proxy-Status"), want) || resp.StatusCode/100 != 5 {
				t.Errorf("%s: %s, Proxy-Status %s, want %s", way, resp.Status, resp.Header.Get("Proxy-Status"), want)
			}
			if r := e.record(); r.End != EndRefused || r.Error == "" {
				t.Errorf("record: %+v", r)
			}
		}
	}
}

// TestClientGone has the client leave while the target is looked for.
func TestClientGone(t *testing.T) {
	for _, way := range []string{overHTTP1, overHTTPS1, overH2, overH2C} {
		t.Run(way, func(t *testing.T) {
			p := &Proxy{}
			e := newProxy(t, p)
			dialling := make(chan struct{})
			p.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				close(dialling)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			if way == overHTTP1 || way == overHTTPS1 {
				c := e.dialRaw(way)
				write(t, c, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n")
				<-dialling
				_ = c.Close()
			} else {
				ctx, cancel := context.WithCancel(t.Context())
				url := "http://" + e.plain
				if way == overH2 {
					url = "https://" + e.tls
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodConnect, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "127.0.0.1:1"
				go func() {
					<-dialling
					cancel()
				}()
				if _, _, err := e.transport(way).Connect(req); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
			if r := e.record(); r.End != EndClientGone {
				t.Errorf("record: %+v", r)
			}
		})
	}
}

// Shutdown returns when the last record has been written.
func TestShutdownAwaitsAudit(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var recorded atomic.Bool
	e, o := newProxy(t, &Proxy{}), newOrigin(t)
	e.p.Audit = func(*Record) {
		close(entered)
		<-release
		recorded.Store(true)
	}
	c, _ := e.dial(allWays[0], o.addr)
	_ = o.accept().Close()
	_ = c.Close()
	<-entered
	ended := make(chan bool, 1)
	go func() {
		if err := e.p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		ended <- recorded.Load()
	}()
	select {
	case <-ended:
		t.Error("Shutdown has returned, and the record was not written")
	case <-time.After(50 * time.Millisecond): // it waits
	}
	close(release)
	if !t.Failed() && !<-ended {
		t.Error("Shutdown has returned before the record was written")
	}
}
