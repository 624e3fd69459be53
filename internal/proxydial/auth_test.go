package proxydial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/icholy/digest"
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
