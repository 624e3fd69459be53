package proxydial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// scripted is a proxy of HTTP/1.1 whose connections answer by a function.
type scripted struct {
	l    *memconn.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	conns int
	seen  []string // "connection: Proxy-Authorization" of each request
}

// startScripted answers the request n of the connection c, both from 1 on, with what answer
// returns; "close" at its end closes the connection. After a 200 the connection echoes.
func startScripted(t *testing.T, answer func(c, n int, req *http.Request) string) *scripted {
	s := &scripted{l: memconn.Listen(memconn.Options{})}
	s.done.Go(func() {
		for {
			nc, err := s.l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			c := s.conns
			s.mu.Unlock()
			s.done.Go(func() { s.serve(nc, c, answer) })
		}
	})
	t.Cleanup(func() {
		_ = s.l.Close()
		s.done.Wait()
	})
	return s
}

func (s *scripted) serve(nc net.Conn, c int, answer func(c, n int, req *http.Request) string) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	for n := 1; ; n++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, fmt.Sprintf("%d: %s", c, req.Header.Get("Proxy-Authorization")))
		s.mu.Unlock()
		text, closes := strings.CutSuffix(answer(c, n, req), "close")
		_, _ = io.WriteString(nc, text)
		if closes {
			return
		}
		if strings.HasPrefix(text, "HTTP/1.1 2") {
			_, _ = io.Copy(nc, r)
			return
		}
	}
}

func (s *scripted) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.seen, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the proxy got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	s.seen = nil
}

func (s *scripted) dialer(u *url.Userinfo) *Dialer {
	return &Dialer{Proxy: &url.URL{Scheme: "http", Host: "proxy.test", User: u}, Dial: s.l.Dial}
}

// dialEcho dials, has something echoed and closes.
func dialEcho(t *testing.T, d *Dialer) error {
	t.Helper()
	nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
	if err != nil {
		return err
	}
	defer nc.Close()
	b := make([]byte, 4)
	if _, err := io.WriteString(nc, "ping"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "ping" {
		t.Errorf("echo %q, %v", b, err)
	}
	return nil
}

const (
	ok200    = "HTTP/1.1 200 OK\r\n\r\n"
	plain407 = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n"
	basic407 = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"a, b\", charset=\"UTF-8\"\r\n" +
		"Content-Length: 5\r\n\r\nwho?\n"
	userBasic = "Basic dXM6ZXI=" // us:er
)

// What may not get into a head does not get as far as the proxy.
func TestInjection(t *testing.T) {
	errDialled := errors.New("the proxy was dialled")
	d := &Dialer{
		Proxy: &url.URL{Scheme: "http", Host: "proxy.test"},
		Dial:  func(context.Context, string, string) (net.Conn, error) { return nil, errDialled },
	}
	for _, addr := range []string{
		"", ":443", "target.test", "target.test:", "target.test:0", "target.test:65536", "target.test:+443", "target.test:-1",
		"target.test:443 ", "target.test: 443", "target.test:https", "target.test:0x1bb", "target.test:４４３",
		"target.test\r\nA: b:443", "target.test\n:443", "target.test\x00:443",
		"target.test :443", " target.test:443", "a b:443",
		"target.test:443\r\nA: b", "target.test:443\r\n\r\nGET / HTTP/1.1", "us:er@target.test:443", "us@target.test:443",
		"target.test/:443", "target.test/path:443", "target.test?:443", "target.test#:443", `target.test\:443`, "%00:443",
		"target%2etest:443", "http://target.test:443", "a,b:443", "*:443", "a;b:443", "\"a\":443", "<a>:443", "a\tb:443",
		"fe80::1%eth0:443", "[fe80::1%eth0]:443", "[::1:443", "::1:443", "[target.test:443", "[::g]:443", ".target.test:443",
		".:443", strings.Repeat("a.", 128) + "test:443", "target.test\x7f:443",
		"target.\xfftest:443", "target.test\u2028:443",
	} {
		if _, err := d.DialContext(t.Context(), "tcp", addr); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%q is a target", addr)
		}
	}
	for _, h := range []http.Header{
		{"A": {"b\r\nC: d"}},
		{"A": {"b\nC: d"}},
		{"A": {"b\x00"}},
		{"A\r\nB": {"c"}},
		{"A B": {"c"}},
		{"A:": {"c"}},
		{"": {"c"}},
		{"A": {"fine", "b\rc"}},
		{"Proxy-Authorization": {"Basic\r\n"}},
		{"A\u00e9": {"b"}},
	} {
		d.Header = func(context.Context, string) (http.Header, error) { return h, nil }
		if _, err := d.DialContext(t.Context(), "tcp", "target.test:443"); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%q is a header", h)
		}
	}
	d.Header = nil
	for _, network := range []string{"udp", "unix", "", "tcp5"} {
		if _, err := d.DialContext(t.Context(), network, "target.test:443"); err == nil || errors.Is(err, errDialled) {
			t.Errorf("%q is a network", network)
		}
	}
	d.Proxy = &url.URL{Scheme: "ftp", Host: "proxy.test", User: url.UserPassword("us", "secret")}
	if _, err := d.DialContext(t.Context(), "tcp", "target.test:443"); err == nil ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("a proxy by ftp: %v", err)
	}
}

// What Authenticate returns goes into the head only where it is a value.
func TestInjectionByAuthenticate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startScripted(t, func(_, _ int, _ *http.Request) string { return basic407 })
		d := s.dialer(nil)
		d.Authenticate = func(context.Context, *Challenge) (string, error) { return "x\r\nEvil: yes", nil }
		if err := dialEcho(t, d); err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("%v", err)
		}
		s.want(t, "1: ")
	})
}

// A dial that is cancelled ends at once, in each of its phases, and leaves no connection.
func TestCancelHTTP1(t *testing.T) {
	for name, answer := range map[string]string{
		"no answer": "", "half a head": "HTTP/1.1 2", "half a body": "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno",
		"half a body of a challenge": basic407[:len(basic407)-1],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startScripted(t, func(_, _ int, _ *http.Request) string { return answer })
				d := s.dialer(url.UserPassword("us", "er"))
				d.Credentials = func(context.Context, *Challenge) (*url.Userinfo, error) { return url.User("a"), nil }
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				_, err := d.DialContext(ctx, "tcp", "target.test:443")
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
					t.Errorf("%v after %v", err, time.Since(begin))
				}
			}) // the bubble's end waits for the proxy, whose connections have ended
		})
	}
}

// A proxy that is not reached is named as net/http names it.
func TestProxyUnreachable(t *testing.T) {
	refused := errors.New("connection refused")
	for _, scheme := range []string{"http", "https", "h2c", "socks5"} {
		for _, tt := range []struct{ give, want error }{{refused, refused}, {nil, errNoConn}} {
			d := &Dialer{
				Proxy: &url.URL{Scheme: scheme, Host: "proxy.test"},
				Dial:  func(context.Context, string, string) (net.Conn, error) { return nil, tt.give },
			}
			_, err := d.DialContext(t.Context(), "tcp", "target.test:443")
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "proxyconnect" || !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", scheme, err)
			}
		}
	}
}
