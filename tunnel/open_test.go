package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"
)

// A fakeNet dials addresses as it is told: after a time, with a result.
type fakeNet struct {
	hosts  map[string]fakeHost
	start  time.Time
	events chan string
}

type fakeHost struct {
	after time.Duration
	err   error
	deaf  bool // does not see that its context is done
}

func (n *fakeNet) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	h := n.hosts[addr]
	n.events <- fmt.Sprintf("%v dial %s", time.Since(n.start), addr)
	var done <-chan struct{}
	if !h.deaf {
		done = ctx.Done()
	}
	select {
	case <-time.After(h.after):
	case <-done:
		n.events <- fmt.Sprintf("%v left %s", time.Since(n.start), addr)
		return nil, ctx.Err()
	}
	if h.err != nil {
		return nil, h.err
	}
	return &fakeConn{n: n, addr: addr}, nil
}

type fakeConn struct {
	net.Conn
	n    *fakeNet
	addr string
}

func (c *fakeConn) Close() error {
	c.n.events <- fmt.Sprintf("%v close %s", time.Since(c.n.start), c.addr)
	return nil
}

const (
	a6 = "[2600::1]:443"
	b6 = "[2600::2]:443"
	a4 = "8.8.8.1:443"
	b4 = "8.8.8.2:443"
)

// Happy eyeballs: IPv6 first, the next address after 250 ms or a failure, and what is too late is
// closed.
func TestHappyEyeballs(t *testing.T) {
	const never = time.Hour
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	unreachable := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	ms := time.Millisecond
	for _, test := range []struct {
		name   string
		hosts  map[string]fakeHost
		events string // as far as they come after each other
		status int    // 0 where there is a connection
		kind   string
		text   string
	}{
		{
			name:   "the first answers",
			hosts:  map[string]fakeHost{a6: {after: 10 * ms}},
			events: "0s dial " + a6,
		},
		{
			name:   "the second answers while the first is silent",
			hosts:  map[string]fakeHost{a6: {after: never}, a4: {after: 10 * ms}},
			events: "0s dial " + a6 + ", 250ms dial " + a4 + ", 260ms left " + a6,
		},
		{
			name:   "the first answers after the second has been dialled",
			hosts:  map[string]fakeHost{a6: {after: 300 * ms}, a4: {after: 100 * ms, deaf: true}},
			events: "0s dial " + a6 + ", 250ms dial " + a4 + ", 350ms close " + a4,
		},
		{
			name: "a failure starts the next at once",
			hosts: map[string]fakeHost{
				a6: {after: 10 * ms, err: refused}, a4: {after: 20 * ms, err: unreachable}, b6: {after: 5 * ms},
			},
			events: "0s dial " + a6 + ", 10ms dial " + a4 + ", 30ms dial " + b6,
		},
		{
			name: "all fail",
			hosts: map[string]fakeHost{
				a6: {err: unreachable}, a4: {err: refused}, b6: {err: unreachable}, b4: {err: refused},
			},
			events: "0s dial " + a6 + ", 0s dial " + a4 + ", 0s dial " + b6 + ", 0s dial " + b4,
			status: 502, kind: "connection_refused",
			text: a6 + ": no route to this address; " + a4 + ": connection refused; " +
				b6 + ": no route to this address; " + b4 + ": connection refused",
		},
		{
			name: "no one answers",
			hosts: map[string]fakeHost{
				a6: {after: never}, a4: {err: refused}, b6: {after: never}, b4: {after: never, deaf: true},
			},
			events: "0s dial " + a6 + ", 250ms dial " + a4 + ", 250ms dial " + b6 + ", 500ms dial " + b4 + ", 5s left",
			status: 502, kind: "connection_refused",
			text: a4 + ": connection refused; " + a6 + ": no answer in time; " + b6 + ": no answer in time; " +
				b4 + ": no answer in time",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &fakeNet{hosts: test.hosts, start: time.Now(), events: make(chan string, 100)}
				p := &Proxy{
					Resolver:    fakeResolver{"name.example": {"8.8.8.1", "2600::1", "2600::2", "8.8.8.2"}},
					DialContext: n.dial, DialTimeout: 5 * time.Second,
				}
				rec := &Record{}
				c, err := p.open(t.Context(), &Target{Host: "name.example", Port: 443}, rec)
				if test.status == 0 && (err != nil || rec.Addr != c.(*fakeConn).addr || rec.Rule != "default") {
					t.Errorf("conn %v, error %v, record %+v", c, err, rec)
				}
				if r := asRefusal(err); test.status != 0 &&
					(r.Status != test.status || r.Type != test.kind || r.Details != test.text) {
					t.Errorf("%d %s %s", r.Status, r.Type, r.Details)
				}
				if test.status == 0 {
					time.Sleep(time.Second) // the losers end by then
				}
				synctest.Wait()
				if got := joinEvents(n.events); got != test.events &&
					!(strings.HasSuffix(test.events, " left") && strings.HasPrefix(got, test.events)) {
					t.Errorf("events\n got %s\nwant %s", got, test.events)
				}
				time.Sleep(2 * never) // the deaf end, too
			})
		})
	}
}

func joinEvents(events chan string) string {
	var list []string
	for len(events) > 0 {
		list = append(list, <-events)
	}
	return strings.Join(list, ", ")
}

// The failures of resolving and dialling, and what a client is told.
func TestOpenRefusals(t *testing.T) {
	syscallErr := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	dnsErr := func(e net.DNSError) error { return &e }
	hook := &Refusal{Status: 451, Type: "http_request_denied", Details: "for reasons", Rule: "hook"}
	for _, test := range []struct {
		name            string
		resolve, dial   error
		status          int
		kind, rcode     string
		details, inside string // inside must not be told
	}{
		{
			"no such name", dnsErr(net.DNSError{Err: "no such host", IsNotFound: true, Server: "10.0.0.53:53"}), nil,
			502, "dns_error", "NXDOMAIN", "the name name.example was not found", "10.0.0.53",
		},
		{
			"server failed", dnsErr(net.DNSError{Err: "server misbehaving", IsTemporary: true, Server: "10.0.0.53:53"}), nil,
			502, "dns_error", "SERVFAIL", "the name servers could not answer for name.example", "10.0.0.53",
		},
		{
			"DNS timeout", dnsErr(net.DNSError{Err: "i/o timeout", IsTimeout: true}), nil,
			504, "dns_timeout", "", "finding the addresses of name.example took too long", "",
		},
		{
			"DNS deadline", context.DeadlineExceeded, nil,
			504, "dns_timeout", "", "finding the addresses of name.example took too long", "",
		},
		{
			"other resolver", errors.New("token secret"), nil,
			502, "dns_error", "", "the addresses of name.example could not be found", "secret",
		},
		{"refusal of a resolver", hook, nil, 451, "http_request_denied", "", "for reasons", ""},
		{
			"refused", nil, syscallErr(syscall.ECONNREFUSED),
			502, "connection_refused", "", "8.8.8.8:443: connection refused", "",
		},
		{
			"reset", nil, syscallErr(syscall.ECONNRESET),
			502, "connection_terminated", "", "8.8.8.8:443: connection reset", "",
		},
		{
			"no route", nil, syscallErr(syscall.EHOSTUNREACH),
			502, "destination_ip_unroutable", "", "8.8.8.8:443: no route to this address", "",
		},
		{
			"kernel's timeout", nil, syscallErr(syscall.ETIMEDOUT),
			504, "connection_timeout", "", "8.8.8.8:443: no answer in time", "",
		},
		{
			"deadline", nil, context.DeadlineExceeded,
			504, "connection_timeout", "", "8.8.8.8:443: no answer in time", "",
		},
		{
			"descriptors", nil, syscallErr(syscall.EMFILE),
			500, "proxy_internal_error", "", "8.8.8.8:443: the proxy has no room", "",
		},
		{
			"other", nil, errors.New("token secret"),
			502, "destination_unavailable", "", "8.8.8.8:443: no connection", "secret",
		},
		{"refusal of a dialer", nil, fmt.Errorf("wrapped: %w", hook), 451, "http_request_denied", "", "for reasons", ""},
	} {
		p := &Proxy{
			Resolver: resolverFunc(func(string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, test.resolve
			}),
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, test.dial },
		}
		_, err := p.open(t.Context(), &Target{Host: "name.example", Port: 443}, &Record{})
		var r *Refusal
		if !errors.As(err, &r) || r.Status != test.status || r.Type != test.kind || r.Rcode != test.rcode ||
			r.Details != test.details {
			t.Errorf("%s: %+v", test.name, r)
			continue
		}
		cause := test.resolve
		if cause == nil {
			cause = test.dial
		}
		if r != hook && !errors.Is(r, cause) {
			t.Errorf("%s: %v does not wrap %v", test.name, r, cause)
		}
		if test.inside != "" && strings.Contains(r.Error(), test.inside) {
			t.Errorf("%s: the client is told %q", test.name, r)
		}
	}
}

// A name server and an origin that do not answer are given up after DialTimeout.
func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{
			Resolver: lookupFunc(func(ctx context.Context) ([]netip.Addr, error) {
				<-ctx.Done()
				return nil, &net.DNSError{Err: ctx.Err().Error(), IsTimeout: true}
			}),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		for host, kind := range map[string]string{"name.example": "dns_timeout", "8.8.8.8": "connection_timeout"} {
			target, err := parseAuthority(host, 443)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = p.open(t.Context(), &target, &Record{})
			if r := asRefusal(err); r.Status != 504 || r.Type != kind || time.Since(start) != DefaultDialTimeout {
				t.Errorf("%s: %+v after %v", host, r, time.Since(start))
			}
		}
	})
}

type lookupFunc func(ctx context.Context) ([]netip.Addr, error)

func (f lookupFunc) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return f(ctx)
}

// The origin reads the header of the PROXY protocol first.
func TestProxyProtocolOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	target, err := parseAuthority("127.0.0.1:"+port, 0)
	if err != nil {
		t.Fatal(err)
	}
	target.Client = netip.MustParseAddrPort("192.0.2.7:1234")
	for version, kinds := range map[int][]Kind{1: {KindTunnel, KindWebSocket}, 2: {KindTunnel}, 0: {KindTunnel}} {
		for _, kind := range kinds {
			p := &Proxy{
				Policy:        &Rules{Ports: anyPort, AllowPrivate: true},
				ProxyProtocol: func(*Target) int { return version },
			}
			target.Kind = kind
			c, err := p.open(t.Context(), &target, &Record{})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
			in, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			b := bufio.NewReader(in)
			h, err := proxyproto.Read(b)
			if version == 0 {
				if !errors.Is(err, proxyproto.ErrNoProxyProtocol) {
					t.Errorf("version 0, %s: %v, %v", kind, h, err)
				}
			} else if err != nil || int(h.Version) != version || h.SourceAddr.String() != "192.0.2.7:1234" ||
				h.DestinationAddr.String() != l.Addr().String() {
				t.Errorf("version %d: %+v, %v", version, h, err)
			}
			if rest, err := b.Peek(5); string(rest) != "hello" {
				t.Errorf("version %d: after the header %q, %v", version, rest, err)
			}
			_ = in.Close()
		}
	}
}

// The header has both addresses in one family, or says that they are unknown.
func TestProxyProtocolAddrs(t *testing.T) {
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	for _, test := range []struct {
		client string
		remote net.Addr
		want   string
	}{
		{"192.0.2.7:1234", tcp("8.8.8.8:443"), "PROXY TCP4 192.0.2.7 8.8.8.8 1234 443\r\n"},
		{"[::ffff:192.0.2.7]:1234", tcp("8.8.8.8:443"), "PROXY TCP4 192.0.2.7 8.8.8.8 1234 443\r\n"},
		{"192.0.2.7:1234", tcp("[2600::1]:443"), "PROXY TCP6 ::ffff:192.0.2.7 2600::1 1234 443\r\n"},
		{"[2001:db8::7]:1234", tcp("8.8.8.8:443"), "PROXY TCP6 2001:db8::7 ::ffff:8.8.8.8 1234 443\r\n"},
		{"[fe80::7%eth0]:1234", tcp("[2600::1]:443"), "PROXY TCP6 fe80::7 2600::1 1234 443\r\n"},
		{"", tcp("8.8.8.8:443"), "PROXY UNKNOWN\r\n"},
		{"192.0.2.7:1234", &net.UnixAddr{Name: "/x"}, "PROXY UNKNOWN\r\n"},
	} {
		client, _ := netip.ParseAddrPort(test.client)
		got, err := formatHeader(1, client, test.remote)
		if err != nil || string(got) != test.want {
			t.Errorf("%q to %v: %q, %v; want %q", test.client, test.remote, got, err, test.want)
		}
		if got, err = formatHeader(2, client, test.remote); err != nil {
			t.Errorf("version 2 of %q: %v", test.want, err)
		} else if h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(got))); err != nil || h.Version != 2 {
			t.Errorf("version 2 of %q: %+v, %v", test.want, h, err)
		}
	}
}
