package tunnel

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scriptOrigin reads what is expected on a connection and writes the answer, step by step.
func scriptOrigin(t *testing.T, steps ...string) (addr string) {
	return tlsOrigin(t, &tls.Config{NextProtos: []string{"http/1.1"}}, func(c *tls.Conn) {
		for i := 0; i+1 < len(steps); i += 2 {
			b := make([]byte, len(steps[i]))
			n, _ := io.ReadFull(c, b)
			if d := cmp.Diff(steps[i], string(b[:n])); d != "" {
				t.Errorf("the origin, step %d (-want +got):\n%s", i/2, d)
				return
			}
			_, _ = io.WriteString(c, steps[i+1])
		}
		_ = c.CloseWrite()
		if rest, _ := io.ReadAll(c); len(rest) > 0 {
			t.Errorf("the origin has got %q", rest)
		}
	})
}

const exactGet = "GET /a?b HTTP/1.1\r\nhOsT:  origin.example \r\nX-y: z\r\n\r\n"

// exactExchanges are what the client sends and what the origin answers, by turns.
var exactExchanges = map[string][]string{
	"content-length": {
		exactGet, "HTTP/1.1 200 okay\r\ncontent-LENGTH: 5\r\n\r\nhello",
		exactGet, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	},
	"chunked": {
		"POST / HTTP/1.1\r\nHost: origin.example\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"3;x=\"y\"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: u\r\n\r\n" +
			"5\r\nhello\r\n0\r\nU: w\r\n\r\n",
		exactGet, "HTTP/1.1 204 No Content\r\n\r\n",
	},
	"pipelined": {
		exactGet + exactGet + exactGet,
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" +
			"HTTP/1.1 404 x\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 204 \r\n\r\n",
	},
	"head": {
		"HEAD / HTTP/1.1\r\nHost: origin.example\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		exactGet, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
	},
	"interim": {
		"PUT / HTTP/1.1\r\nHost: origin.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
		"body", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
	},
	"to the end":  {exactGet, "HTTP/1.1 200 OK\r\n\r\nall that comes"},
	"http/1.0":    {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nold"},
	"empty lines": {"\r\n\r\n" + exactGet, "HTTP/1.1 204 \r\n\r\n"},
	"last word":   {exactGet, "HTTP/1.1 204 \r\n\r\nHTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"},
	"no status":   {exactGet, "220 not HTTP\r\nat all"},
	"long fields": {
		"GET / HTTP/1.1\r\nHost: origin.example\r\nX: " + strings.Repeat("y", 100_000) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("z", 100_000) + "\r\nContent-Length: 0\r\n\r\n",
	},
	"absolute form": {"GET https://origin.example/x HTTP/1.1\r\nHost: origin.example\r\n\r\n", "HTTP/1.1 204 \r\n\r\n"},
	"websocket": {
		"GET /chat HTTP/1.1\r\nHost: origin.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
		"\x81\x85maskxyzab", "\x88\x00", "\x88\x80\x00\x00\x00\x00", "",
	},
	"no upgrade": {
		"GET /chat HTTP/1.1\r\nHost: origin.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", exactGet, "HTTP/1.1 204 \r\n\r\n",
	},
}

// Octets of HTTP/1.1 arrive as they were sent, whatever the messages are.
func TestInterceptHTTP1Exact(t *testing.T) {
	for name, steps := range exactExchanges {
		t.Run(name, func(t *testing.T) {
			e := newIntercepting(t, &Interceptor{})
			c := e.tls(scriptOrigin(t, steps...), "http/1.1")
			for i := 0; i+1 < len(steps); i += 2 {
				if _, err := io.WriteString(c, steps[i]); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, len(steps[i+1]))
				n, err := io.ReadFull(c, b)
				if d := cmp.Diff(steps[i+1], string(b[:n])); d != "" {
					t.Fatalf("the client, step %d: %v (-want +got):\n%s", i/2, err, d)
				}
			}
			if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
			_ = c.Close()
			if r := e.tunnelRecord(); (r.End == EndClosed) == (name == "no status") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A response that is cut off does not look whole: no close_notify of TLS follows it.
func TestInterceptHTTP1CutOff(t *testing.T) {
	for _, test := range []struct {
		response string
		notify   bool // of the origin
		want     string
	}{
		{"HTTP/1.1 200 OK\r\n\r\nhalf", false, EndClosed}, // which crypto/tls does not tell from the whole
		{"HTTP/1.1 200 OK\r\n\r\nwhole", true, EndClosed},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false, EndTargetLost},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true, EndTargetLost},
	} {
		addr := tlsOrigin(t, &tls.Config{}, func(c *tls.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = io.WriteString(c, test.response)
			if test.notify {
				_ = c.CloseWrite()
			}
			_ = c.NetConn().Close()
		})
		e := newIntercepting(t, &Interceptor{})
		below := &countedConn{Conn: e.tunnel("origin.example", addr), a: &activity{}, read: new(atomic.Int64)}
		c := tls.Client(below, &tls.Config{ServerName: "origin.example", RootCAs: e.clientRoots()})
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n")
		got, _ := io.ReadAll(c)
		if notified := !below.ended.Load(); string(got) != test.response ||
			notified != (test.notify && test.want == EndClosed) {
			t.Errorf("%+v: %q, close_notify: %v", test, got, notified)
		}
		if r := e.exchange(); r.End != test.want || r.Status != 200 {
			t.Errorf("%+v: %+v", test, r)
		}
	}
}

// A request that was sent on has a record also where there was no response to it.
func TestInterceptHTTP1Unanswered(t *testing.T) {
	for _, clientCloses := range []bool{false, true} {
		seen := make(chan struct{})
		addr := tlsOrigin(t, &tls.Config{NextProtos: []string{"http/1.1"}}, func(c *tls.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 2*len(exactGet)))
			close(seen)
			if clientCloses {
				_, _ = io.Copy(io.Discard, c)
			}
		})
		e := newIntercepting(t, &Interceptor{})
		c := e.tls(addr, "http/1.1")
		_, _ = io.WriteString(c, exactGet+exactGet)
		<-seen
		if clientCloses {
			_ = c.Close()
		}
		for range 2 {
			if r := e.record(); r.Kind != KindExchange || r.Path != "/a" || r.End != EndTargetLost || r.Error == "" {
				t.Errorf("the client closes: %v: %+v", clientCloses, r)
			}
		}
	}
}

// Fields that are set take the place of the client's; requests for another host are refused, behind
// the responses to those before.
func TestInterceptHTTP1SetFields(t *testing.T) {
	first := "GET / HTTP/1.1\r\nHost: origin.example\r\nA: b\r\nAuthorization: secret\r\n\r\n"
	addr := scriptOrigin(t, first, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	e := newIntercepting(t, &Interceptor{SetFields: setForAll("authorization", "secret")})
	c := e.tls(addr, "http/1.1")
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: origin.example\r\nauthorization: mine\r\nA: b\r\n\r\n"+
		"GET / HTTP/1.1\r\nHost: evil.example\r\nAuthorization: mine\r\n\r\n")
	r := bufio.NewReader(c)
	for _, want := range []int{200, 421} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// What a request is for is found in each form of its target (RFC 9112 §3.2): the fields that are
// set are there also where a query has a URL in it, and a Host of another name than the tunnel's is
// refused in each.
func TestInterceptHTTP1Targets(t *testing.T) {
	for _, test := range []struct {
		target, host string
		want         int
	}{
		{"/r?u=https://x.example/", "origin.example", 200},
		{"/r?u=https://x.example/", "evil.example", 421},
		{"/r#https://origin.example/", "evil.example", 421},
		{"https://origin.example/", "origin.example", 200},
		{"https://origin.example/", "evil.example", 421},
		{"https://evil.example/", "origin.example", 421},
		{"https://origin.example@evil.example/", "origin.example", 421},
		{"*", "evil.example", 421},
		{"https:/r", "origin.example", 400},
		{"r?u=https://origin.example/", "origin.example", 400},
	} {
		addr := httpOrigin(t, false, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if a := r.Header["Authorization"]; test.want != 200 || len(a) != 1 || a[0] != "secret" {
				t.Errorf("%s with Host %s: the origin has got %v", test.target, test.host, r.Header)
			}
		}))
		e := newIntercepting(t, &Interceptor{SetFields: setForAll("authorization", "secret")})
		c := e.tls(addr, "http/1.1")
		resp := roundTripRaw(t, c, "GET "+test.target+" HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
		if resp.StatusCode != test.want {
			t.Errorf("%s with Host %s: %s", test.target, test.host, resp.Status)
		}
	}
}

// Chunks and trailers that peers may read in different ways do not get through.
func TestInterceptHTTP1MalformedChunks(t *testing.T) {
	for _, content := range []string{
		"0\r\na b\r\n\r\n", "0\r\na: b\r\n\r\r\n", "0\r\n c\r\n\r\n", "1;a\rb\r\nx\r\n0\r\n\r\n",
	} {
		got := make(chan string, 1)
		e := newIntercepting(t, &Interceptor{})
		c := e.tls(tlsOrigin(t, &tls.Config{NextProtos: []string{"http/1.1"}}, func(c *tls.Conn) {
			b, _ := io.ReadAll(c)
			got <- string(b)
		}), "http/1.1")
		head := "POST / HTTP/1.1\r\nHost: origin.example\r\nTransfer-Encoding: chunked\r\n\r\n"
		_, _ = io.WriteString(c, head+content+exactGet)
		_ = c.CloseWrite()
		if rest := strings.TrimPrefix(<-got, head); rest != "" && rest != "0\r\n" {
			t.Errorf("%q: the origin has got %q", content, rest)
		}
	}
}

// Requests that peers may read in different ways are refused.
func TestInterceptHTTP1Malformed(t *testing.T) {
	for _, fields := range []string{
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
		"Content-Length: +1\r\n", "Content-Length: 1, 1\r\n", "Transfer-Encoding: gzip\r\n", "A : b\r\n", "A: b\r\n c\r\n",
		"A: b\x00\r\n", "A: b\rC: d\r\n", "Host: b\r\n", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\n",
		"Transfer-Encoding: \r\nContent-Length: 1\r\n",
	} {
		raw := "POST / HTTP/1.1\r\nHost: origin.example\r\n" + fields + "\r\n"
		if _, refusal := parseH1Request([]byte(raw), nil); refusal == nil || refusal.Status != http.StatusBadRequest {
			t.Errorf("%q: %v", fields, refusal)
		}
	}
	e := newIntercepting(t, &Interceptor{})
	c := e.tls(tlsOrigin(t, &tls.Config{NextProtos: []string{"http/1.1"}}, func(c *tls.Conn) {
		if got, _ := io.ReadAll(c); len(got) > 0 {
			t.Errorf("the origin has got %q", got)
		}
	}), "http/1.1")
	resp := roundTripRaw(t, c, "GET /\r\nHost: origin.example\r\n\r\n")
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Proxy-Status") == "" {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
}

// Lines of a head that end in LF alone are sent on with CRLF, so that no origin joins two of them.
func TestInterceptHTTP1LineFeeds(t *testing.T) {
	got := make(chan string, 1)
	e := newIntercepting(t, &Interceptor{})
	c := e.tls(tlsOrigin(t, &tls.Config{NextProtos: []string{"http/1.1"}}, func(c *tls.Conn) {
		b, _ := io.ReadAll(c)
		got <- string(b)
	}), "http/1.1")
	_, _ = io.WriteString(c, "GET / HTTP/1.1\nHost: origin.example\r\nA: b\nC: d\n\n")
	_ = c.CloseWrite()
	if want := "GET / HTTP/1.1\r\nHost: origin.example\r\nA: b\r\nC: d\r\n\r\n"; <-got != want {
		t.Error("the head is not sent on with CRLF")
	}
}

// What is no HTTP within TLS is relayed, with half-closes, whichever side begins.
func TestInterceptNoHTTP(t *testing.T) {
	for _, originFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("origin first ", originFirst), func(t *testing.T) {
			addr := tlsOrigin(t, &tls.Config{}, func(c *tls.Conn) {
				if originFirst {
					_, _ = io.WriteString(c, "* OK IMAP\r\n")
				}
				got, _ := io.ReadAll(c)
				_, _ = c.Write(got)
				_ = c.CloseWrite()
			})
			e := newIntercepting(t, &Interceptor{})
			c := e.tls(addr)
			want := "\x10\x00binary"
			if originFirst {
				b := make([]byte, 11)
				if _, err := io.ReadFull(c, b); err != nil {
					t.Fatal(err)
				}
				want = "a1 LOGOUT HTTP/1.1\r\n"
			}
			_, _ = io.WriteString(c, want)
			_ = c.CloseWrite()
			if got, err := io.ReadAll(c); string(got) != want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Go's client and both versions of HTTP, with content both ways.
func TestInterceptNetHTTP(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			addr := httpOrigin(t, http2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "Sum")
				n, _ := io.Copy(w, r.Body)
				w.Header().Set("Sum", fmt.Sprint(n))
			}))
			e := newIntercepting(t, &Interceptor{})
			hc := e.http(http2)
			for range 3 {
				const size = 1 << 20
				resp, err := hc.Post(urlOf(addr, "/"), "text/plain", strings.NewReader(strings.Repeat("x", size)))
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if n != size || err != nil || resp.Trailer.Get("Sum") != fmt.Sprint(size) || resp.ProtoMajor == 2 != http2 {
					t.Errorf("%s: %d octets, %v, %v", resp.Proto, n, err, resp.Trailer)
				}
			}
		})
	}
}
