package capture

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

var http1ProblemsTests = []struct{ name, octets, want string }{
	{
		"obsolete folding", "> GET / HTTP/1.1\r\nA: b\r\n\tc\r\n  d\r\n\r\n",
		"client 1 GET / HTTP/1.1 [A: b c d] (a field goes on in a line that begins with whitespace: " +
			"obsolete line folding (RFC 9112 §5.2))",
	},
	{
		"whitespace before the first field", "> GET / HTTP/1.1\r\n A: b\r\n\r\n",
		"client 1 GET / HTTP/1.1 [A: b: ] (whitespace stands before the first field (RFC 9112 §2.2))",
	},
	{
		"whitespace before a colon", "> GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"client 1 GET / HTTP/1.1 [A: b] (there is whitespace before the colon of a field (RFC 9112 §5.1))",
	},
	{
		"no token", "> GET / HTTP/1.1\r\na b: c\r\n\r\n",
		"client 1 GET / HTTP/1.1 [a b: c] (the name of a field is not a token (RFC 9110 §5.1))",
	},
	{
		"NUL", "> GET / HTTP/1.1\r\na: b\x00c\r\n\r\n",
		"client 1 GET / HTTP/1.1 [a: b\x00c] (the value of a field has CR or NUL (RFC 9110 §5.5))",
	},
	{
		"LF", "> GET / HTTP/1.1\nA: b\n\n",
		"client 1 GET / HTTP/1.1 [A: b] (lines end with LF alone (RFC 9112 §2.2))",
	},
	{
		"spaces in the target", "> GET /a b HTTP/1.1\r\n\r\n",
		"client 1 GET /a b HTTP/1.1 (there is more whitespace in the request line than two spaces (RFC 9112 §3))",
	},
	{
		"no space behind the status", "< HTTP/1.1 204\r\n\r\n",
		"server 1 HTTP/1.1 204 (the status line has no space behind the status code (RFC 9112 §4))",
	},
	{
		"two lengths", "> POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
		"client 1 POST / HTTP/1.1 [Content-Length: 1] [content-length: 2] " +
			"(there are several values of Content-Length (RFC 9112 §6.3))",
	},
	{
		"the same length twice", "> POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
		"client 1 POST / HTTP/1.1 [Content-Length: 1, 1]",
	},
	{
		"no length", "< HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"server 1 HTTP/1.1 200 OK [Content-Length: x] (the value of Content-Length is not valid (RFC 9110 §8.6))",
	},
	{
		"both framings", "> POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"client 1 POST / HTTP/1.1 [Content-Length: 1] [Transfer-Encoding: chunked] " +
			"(there are both Transfer-Encoding and Content-Length (RFC 9112 §6.3))",
	},
	{
		"not chunked", "> POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
		"client 1 POST / HTTP/1.1 [Transfer-Encoding: chunked, gzip] " +
			"(the last transfer coding of the request is not chunked (RFC 9112 §6.3))",
	},
	{
		"a long line", "> GET / HTTP/1.1\r\nA: " + strings.Repeat("b", 70_000) + "\r\n\r\n",
		"client 1 GET / HTTP/1.1 [A: " + strings.Repeat("b", maxHTTP1Line-3) +
			"] (a line is longer than 65536 octets: its end is not shown)",
	},
	{
		"the end of a header section is missing", "> GET / HTTP/1.1\r\nA: b\r\n",
		"client 1 GET / HTTP/1.1 [A: b] (the connection ends in it)",
	},
	{"no HTTP", "> SSH-2.0-x\r\ny", "client 0  (12 octets at the end are no message of HTTP/1.1)"},
}

// What is wrong with a message is noted in it, and the message is shown.
func TestHTTP1Problems(t *testing.T) {
	for _, tt := range http1ProblemsTests {
		t.Run(tt.name, func(t *testing.T) {
			p := newHTTP1Play(t, false)
			p.play(tt.octets, ">.", "<.")
			var got []string
			for _, e := range p.events {
				if m, ok := e.(*Message); ok {
					got = append(got, messageLine(m))
				}
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Content that is not framed as it must be is given up, and the next message is found.
func TestHTTP1BrokenChunks(t *testing.T) {
	for _, tt := range []struct{ name, chunk, problem string }{
		{"no size", "xyz\r\n", "a chunk has no valid size"},
		{"a negative size", "-1\r\n", "a chunk has no valid size"},
		{"too large", "ffffffffffffffff\r\n", "a chunk has no valid size"},
		{"longer than its size", "1\r\nab\r\n", "a chunk is longer than its size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newHTTP1Play(t, false)
			p.play(getRoot, "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+tt.chunk)
			p.play(get2, "< HTTP/1.1 204 N\r\n\r\n", ">.", "<.")
			requests := p.requests()
			if len(requests) != 2 {
				t.Fatalf("%d requests, want 2", len(requests))
			}
			want := tt.problem + ": the content of the response is not followed further"
			if r := requests[0]; r.Problem != want || r.Complete {
				t.Errorf("the first has problem %q, complete %t; want %q", r.Problem, r.Complete, want)
			}
			if got := line(requests[1]); got != "2 GET /2 204 complete" {
				t.Errorf("the second is %q", got)
			}
		})
	}
}

// Header sections that do not end, of many connections, are bounded.
func TestHTTP1Bounds(t *testing.T) {
	var problems int
	a := &analyzer{handler: func(e Event) {
		if m, ok := e.(*Message); ok && len(m.Problems) == 2 {
			problems++
		}
	}}
	var conns []*http1
	for range 50 {
		s := a.open(netip.AddrPort{}, netip.AddrPort{}, at0)
		s.found(HTTP1, "text")
		h := newHTTP1(s)
		conns = append(conns, h)
		h.Octets(wire.Client, at0, []byte("GET / HTTP/1.1\r\n"))
		for i := range 2000 {
			h.Octets(wire.Client, at0, fmt.Appendf(nil, "a%d: %s\r\n", i, strings.Repeat("b", 1000)))
		}
		if used := a.held.used.Load(); used > maxHeld {
			t.Fatalf("%d octets are held, at most %d may", used, maxHeld)
		}
	}
	for _, h := range conns {
		h.End(wire.Client, at0, wire.Closed)
		h.End(wire.Server, at0, wire.Closed)
	}
	if used, held := a.held.used.Load(), a.requestsHeld.Load(); used != 0 || held != 0 || problems != 50 {
		t.Errorf("%d and %d octets are held at the end; %d messages say that they are cut", used, held, problems)
	}
}

// Targets in absolute form name the origin; the scheme is else that of the connection.
func TestHTTP1Targets(t *testing.T) {
	for _, tt := range []struct {
		line string
		tls  bool
		want string
	}{
		{"GET /a?b HTTP/1.1", false, "http h /a?b"},
		{"GET /a?b HTTP/1.1", true, "https h /a?b"},
		{"GET https://o:1/a?b HTTP/1.1", false, "https o:1 /a?b"},
		{"GET http://o HTTP/1.1", false, "http o "},
		{"GET http://o?q HTTP/1.1", false, "http o ?q"},
		{"OPTIONS * HTTP/1.1", false, "http h *"},
		{"CONNECT o:443 HTTP/1.1", false, " o:443 "},
		{"GET a HTTP/1.1", false, "http h a"},
	} {
		p := newHTTP1Play(t, false)
		if tt.tls {
			p.s.info.TLS = &TLS{}
		}
		p.play("> "+tt.line+"\r\nHost: h\r\n\r\n", ">.", "<.")
		r := p.requests()[0]
		if got := r.Scheme + " " + r.Authority + " " + r.Path; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
}
