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

	"github.com/icholy/digest"

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

// The user of the URL goes along with the first request, as in net/http; where the proxy does not
// take it, that is said, and no second request made.
func TestUserOfURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startScripted(t, func(_, _ int, req *http.Request) string {
			if req.Header.Get("Proxy-Authorization") == userBasic {
				return ok200
			}
			return basic407
		})
		if err := dialEcho(t, s.dialer(url.UserPassword("us", "er"))); err != nil {
			t.Error(err)
		}
		s.want(t, "1: "+userBasic)
		var e *Error
		if err := dialEcho(t, s.dialer(url.UserPassword("us", "other"))); !errors.As(err, &e) || e.StatusCode != 407 ||
			string(e.Body) != "who?\n" {
			t.Errorf("the wrong password: %v", err)
		}
		if err := dialEcho(t, s.dialer(nil)); !errors.As(err, &e) || e.StatusCode != 407 {
			t.Errorf("no user: %v", err)
		}
		s.want(t, "2: Basic dXM6b3RoZXI=", "3: ")
	})
}

// After a 407 the callback is asked, and the request sent again, once, on the same connection if
// the proxy keeps it. What the proxy has taken is used for later tunnels.
func TestCredentialsCallback(t *testing.T) {
	for name, tt := range map[string]struct {
		challenge string
		second    string // connection of the second request
	}{
		"kept":              {basic407, "1: "},
		"chunked":           {plain407 + "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", "1: "},
		"long body":         {plain407 + "Content-Length: 60000\r\n\r\n" + strings.Repeat("x", 60_000), "1: "},
		"closed":            {strings.Replace(basic407, "Content", "Connection: close\r\nContent", 1) + "close", "2: "},
		"closed, unsaid":    {basic407 + "close", ""},
		"Proxy-Connection":  {strings.Replace(basic407, "Content", "Proxy-Connection: close\r\nContent", 1), "2: "},
		"HTTP/1.0":          {strings.Replace(basic407, "1.1", "1.0", 1), "2: "},
		"no length":         {plain407 + "\r\nwho?close", "2: "},
		"body without end":  {plain407 + "Content-Length: 10\r\n\r\nwho?", "2: "},
		"body beyond bound": {plain407 + "Content-Length: 900000\r\n\r\n" + strings.Repeat("x", 70_000), "2: "},
		"octets behind":     {basic407 + "HTTP/1.1 200 OK\r\n\r\nsmuggled", "2: "},
		"among others":      {strings.Replace(basic407, "Basic", "Negotiate, New realm=\"x\\\", Basic\", Basic", 1), "1: "},
	} {
		if tt.second == "" {
			continue // see TestCloseBehindChallenge
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startScripted(t, func(_, _ int, req *http.Request) string {
					if req.Header.Get("Proxy-Authorization") == userBasic {
						return ok200
					}
					return tt.challenge
				})
				d := s.dialer(nil)
				calls := 0
				d.Credentials = func(_ context.Context, c *Challenge) (*url.Userinfo, error) {
					if calls++; c.Target != "target.test:443" || c.Round != 1 || len(c.Values) != 1 {
						t.Errorf("%+v", c)
					}
					return url.UserPassword("us", "er"), nil
				}
				for range 2 {
					if err := dialEcho(t, d); err != nil {
						t.Fatal(err)
					}
				}
				n := tt.second[0] - '0'
				s.want(t, "1: ", tt.second+userBasic, fmt.Sprintf("%d: %s", n+1, userBasic))
				if calls != 1 {
					t.Errorf("%d calls", calls)
				}
			})
		})
	}
}

// Credentials that are refused are not sent for ever, and an error of the callback, or nothing,
// ends the dial.
func TestCredentialsRefused(t *testing.T) {
	errStop := errors.New("stop")
	for _, tt := range []struct {
		give *url.Userinfo
		err  error
		want []string
	}{
		{url.UserPassword("us", "er"), nil, []string{"1: ", "1: " + userBasic}},
		{nil, nil, []string{"1: "}},
		{nil, errStop, []string{"1: "}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := startScripted(t, func(_, _ int, _ *http.Request) string { return basic407 })
			d := s.dialer(nil)
			d.Credentials = func(context.Context, *Challenge) (*url.Userinfo, error) { return tt.give, tt.err }
			err := dialEcho(t, d)
			var e *Error
			if tt.err != nil && !errors.Is(err, tt.err) || tt.err == nil && (!errors.As(err, &e) || e.StatusCode != 407) {
				t.Errorf("%v", err)
			}
			s.want(t, tt.want...)
		})
	}
}

// Digest is answered as RFC 7616 says, the strongest that is offered, and the nonce used for later
// tunnels until it is stale.
func TestDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nonce := "first"
		var last *digest.Credentials
		s := startScripted(t, func(_, _ int, req *http.Request) string {
			offer := "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"" + nonce +
				"\", algorithm=MD5, qop=\"auth\", Digest realm=\"r\", nonce=\"" + nonce +
				"\", algorithm=SHA-256, qop=\"auth-int, auth\"\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
			c, err := digest.ParseCredentials(req.Header.Get("Proxy-Authorization"))
			if err != nil || c.Nonce != nonce {
				return offer
			}
			chal := &digest.Challenge{Realm: "r", Nonce: nonce, Algorithm: "SHA-256", QOP: []string{"auth"}}
			want, err := digest.Digest(chal, digest.Options{
				Method: "CONNECT", URI: "target.test:443", Username: "us", Password: "er", Count: c.Nc, Cnonce: c.Cnonce,
			})
			if err != nil || want.Response != c.Response || c.Algorithm != "SHA-256" {
				return offer
			}
			last = c
			return ok200
		})
		d := s.dialer(url.UserPassword("us", "er"))
		for n, tt := range []struct {
			nonce string
			count int
		}{{"first", 1}, {"first", 2}, {"second", 1}, {"second", 2}} {
			nonce = tt.nonce
			if err := dialEcho(t, d); err != nil {
				t.Fatal(err)
			}
			if last.Nc != tt.count {
				t.Errorf("tunnel %d: nc is %d, want %d", n, last.Nc, tt.count)
			}
		}
		s.mu.Lock()
		if n := len(s.seen); n != 6 { // two of them were answered with a challenge
			t.Errorf("%d requests", n)
		}
		s.mu.Unlock()
		d = s.dialer(url.UserPassword("us", "wrong"))
		var e *Error
		if err := dialEcho(t, d); !errors.As(err, &e) || e.StatusCode != 407 {
			t.Errorf("%v", err)
		}
	})
}

// The rounds of Authenticate go over one connection, with its state.
func TestAuthenticateRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startScripted(t, func(_, n int, req *http.Request) string {
			switch n {
			case 1:
				return "HTTP/1.1 407 A\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 2\r\n\r\nno"
			case 2:
				return "HTTP/1.1 407 A\r\nProxy-Authenticate: NTLM " + req.Header.Get("Proxy-Authorization")[5:] +
					"challenge\r\nContent-Length: 0\r\n\r\n"
			default:
				return ok200
			}
		})
		d := s.dialer(url.UserPassword("not", "used"))
		d.Authenticate = func(_ context.Context, c *Challenge) (string, error) {
			if c.Round == 1 {
				c.State = "begun"
				return "NTLM negotiate", nil
			}
			if c.State != "begun" || c.Values[0] != "NTLM negotiatechallenge" {
				t.Errorf("%+v", c)
			}
			return "NTLM authenticate", nil
		}
		if err := dialEcho(t, d); err != nil {
			t.Error(err)
		}
		s.want(t, "1: ", "1: NTLM negotiate", "1: NTLM authenticate")
	})
}

// A proxy that wants ever more rounds gets eight, one that closes within them none on another
// connection, and one whose first challenge closes gets them on the next.
func TestAuthenticateEnds(t *testing.T) {
	for _, tt := range []struct {
		closeAfter int
		want       int
	}{{0, 9}, {2, 2}, {1, 9}} {
		synctest.Test(t, func(t *testing.T) {
			total := 0
			s := startScripted(t, func(_, _ int, _ *http.Request) string {
				if total++; total == tt.closeAfter {
					return "HTTP/1.1 407 A\r\nProxy-Authenticate: NTLM\r\nConnection: close\r\nContent-Length: 0\r\n\r\nclose"
				}
				return "HTTP/1.1 407 A\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"
			})
			d := s.dialer(nil)
			d.Authenticate = func(context.Context, *Challenge) (string, error) { return "NTLM x", nil }
			var e *Error
			if err := dialEcho(t, d); !errors.As(err, &e) || e.StatusCode != 407 || total != tt.want {
				t.Errorf("closed after %d: %v after %d requests", tt.closeAfter, err, total)
			}
		})
	}
	d := &Dialer{Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"}}
	d.Authenticate = func(context.Context, *Challenge) (string, error) { return "", nil }
	if _, err := d.DialContext(t.Context(), "tcp", "target.test:443"); !errors.Is(err, errHTTP1Only) {
		t.Errorf("h2c: %v", err)
	}
}

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
