package capture

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

const get2 = "> GET /2 HTTP/1.1\r\n\r\n"

var http1LostTests = []struct {
	name    string
	missing bool // the start
	steps   []string
	want    []string
}{
	{
		"within content of known length", false,
		[]string{getRoot, "< HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "<! 4", "< hiHTTP/1.1 200 OK\r\n\r\n"},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK [Content-Length: 9]", `server 1 body "abc"`, `server 1 body "" lost 4`,
			`server 1 body "hi"`, `server 1 body "" end`, "request 1 GET / 200 body=0/5 lossy complete",
			"server 2 HTTP/1.1 200 OK",
		},
	},
	{
		"the end of content with it", false,
		[]string{getRoot, "< HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "<! 6", get2},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK [Content-Length: 9]", `server 1 body "abc"`, `server 1 body "" lost 6`,
			`server 1 body "" end`, "request 1 GET / 200 body=0/3 lossy complete", "client 2 GET /2 HTTP/1.1",
		},
	},
	{
		"within a chunk, then its end", false,
		[]string{
			getRoot, "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "<! 3", "< \r\n4\r\nx", "<! 8",
			"< junk HTTP/1.1 200 no\r\n", get2, "< HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n",
		},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK [Transfer-Encoding: chunked]", `server 1 body "ab"`, `server 1 body "" lost 3`,
			`server 1 body "x"`, `server 1 body "" lost 8`, "request 1 GET / 200 body=0/3 lossy",
			"client 2 GET /2 HTTP/1.1",
			"server 2 HTTP/1.1 200 no [HTTP/1.1 404 N: ] [Content-Length: 0] (5 octets before it are no message of HTTP/1.1) " +
				"(a line of the header section has no colon)",
			"request 2 GET /2 200 complete",
		},
	},
	{
		"a response, and the next request finds its own", false,
		[]string{getRoot, "<! 100", get2, "< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		[]string{
			gotRoot, "client 2 GET /2 HTTP/1.1", "request 1 GET / lossy", "server 2 HTTP/1.1 200 OK [Content-Length: 0]",
			"request 2 GET /2 200 complete",
		},
	},
	{
		"a request, and its response is without", false,
		[]string{
			getRoot, "< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ">! 20",
			"< HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n", "> }GET /3 HTTP/1.1\r\n\r\n", "< HTTP/1.1 203 OK\r\n\r\n",
		},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK [Content-Length: 0]", "request 1 GET / 200 complete",
			"server 2 HTTP/1.1 201 OK [Content-Length: 0]", "request 2 201 start missing",
			"client 3 GET /3 HTTP/1.1 (1 octets before it are no message of HTTP/1.1)", "server 3 HTTP/1.1 203 OK",
		},
	},
	{
		"in a header section", false,
		[]string{
			"> GET / HTTP/1.1\r\nA: b\r\nC", ">! 2", "> x: y\r\n\r\n", get2,
			"< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		},
		[]string{
			"client 1 GET / HTTP/1.1 [A: b] (octets of it are missing)",
			"client 2 GET /2 HTTP/1.1 (9 octets before it are no message of HTTP/1.1)",
			"server 1 HTTP/1.1 200 OK [Content-Length: 0]", "request 1 GET / 200 lossy complete",
		},
	},
	{
		"the beginning", true,
		[]string{"< junk\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", getRoot, "< HTTP/1.1 204 N\r\n\r\n"},
		[]string{
			"server 1 HTTP/1.1 200 OK [Content-Length: 0] (5 octets before it are no message of HTTP/1.1)",
			"request 1 200 start missing", "client 2 GET / HTTP/1.1 [Host: a]", "server 2 HTTP/1.1 204 N",
			"request 2 GET / 204 complete",
		},
	},
}

func TestHTTP1Lost(t *testing.T) {
	for _, tt := range http1LostTests {
		t.Run(tt.name, func(t *testing.T) {
			p := newHTTP1Play(t, tt.missing)
			p.play(tt.steps...)
			if diff := cmp.Diff(tt.want, p.lines()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// However many requests are open, a loss looks only at those since the one before it.
func TestHTTP1LostManyTimes(t *testing.T) {
	p := newHTTP1Play(t, false)
	p.play("> " + strings.Repeat("GET / HTTP/1.1\r\n\r\n", 5000))
	p.play("<! 5", "< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") // pipelined: it is that of 1
	p.play("< HTTP/1.1 100 C\r\n\r\n")
	for i := range 4000 {
		p.play(">! 5", get2)
		if at := uint32(5001 + i); p.h.swept != [2]uint32{at, 0} {
			t.Fatalf("swept up to %v, want %d", p.h.swept, at)
		}
	}
	if n := len(p.h.open); n != 8999 {
		t.Errorf("%d requests are open", n)
	}
	x := p.h.open[2]
	x.asked = false // so that a second look would be seen
	if p.h.sweep(Client, 9001); x.stopped[Client] {
		t.Error("a request was looked at twice")
	}
}

// A response to a request that is given up already is not waited for by another loss.
func TestHTTP1LostBehindSweep(t *testing.T) {
	p := newHTTP1Play(t, false)
	p.play(
		getRoot, get2, "< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ">! 20", get2, get2, ">! 30", get2,
	)
	p.h.finish(p.h.open[2]) // as where too many are open
	p.play("< HTTP/1.1 201 OK\r\nContent-Length: 9\r\n\r\nabc", "<! 100")
	var got []string
	for _, r := range p.requests() {
		got = append(got, line(r))
	}
	want := []string{"1 GET / 200 complete", "2 GET /2 lossy", "2 201 body=0/3 start missing lossy"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func BenchmarkHTTP1Lost(b *testing.B) {
	a := &analyzer{handler: func(Event) {}}
	s := a.open(netip.AddrPort{}, netip.AddrPort{}, at0)
	s.found(HTTP1, "text")
	h := newHTTP1(s)
	h.Octets(wire.Client, at0, []byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 9000)))
	for b.Loop() {
		h.Lost(wire.Client, at0, 5, "")
		h.Octets(wire.Client, at0, []byte("GET / HTTP/1.1\r\n\r\n"))
	}
}

// A sinkLog writes down what it gets.
type sinkLog struct{ lines []string }

func (l *sinkLog) Octets(d wire.Dir, _ time.Time, p []byte) {
	l.lines = append(l.lines, fmt.Sprintf("%s %q", d, p))
}

func (l *sinkLog) Lost(d wire.Dir, _ time.Time, n int64, _ string) {
	l.lines = append(l.lines, fmt.Sprintf("%s lost %d", d, n))
}

func (l *sinkLog) End(d wire.Dir, _ time.Time, _ wire.How) {
	l.lines = append(l.lines, d.String()+" end")
}

func TestHTTP1Switch(t *testing.T) {
	const upgrade = "> GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
	for _, tt := range []struct {
		name  string
		steps []string
		sink  []string
		sw    string
		want  []string // requests
	}{
		{
			"CONNECT with octets before the answer",
			[]string{
				"> CONNECT a:443 HTTP/1.1\r\n\r\nearly", ">! 3", "> x",
				"< HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nback", "> more", "<! 2", ">.", "<.",
			},
			[]string{
				`client "early"`, "client lost 3", `client "x"`, `server "back"`, `client "more"`, "server lost 2", "client end",
				"server end",
			},
			"CONNECT a:443",
			[]string{"1 CONNECT 200 body=10/4 lossy complete"},
		},
		{
			"CONNECT refused",
			[]string{
				"> CONNECT a:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 407 P\r\nContent-Length: 0\r\n\r\n",
				"> CONNECT a:443 HTTP/1.1\r\n\r\n", "< HTTP/1.1 200\r\n\r\n", "> t", ">.", "<.",
			},
			[]string{`client "t"`, "client end", "server end"},
			"CONNECT a:443",
			[]string{"1 CONNECT 407 complete", "2 CONNECT 200 body=1/0 complete"},
		},
		{
			"h2c",
			[]string{upgrade, "< HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nS", "> PRI", "<.", ">."},
			[]string{`server "S"`, `client "PRI"`, "server end", "client end"},
			"h2c", nil,
		},
		{
			"h2c with content, after 101",
			[]string{
				"> POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\na",
				"< HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\nS", "> bPRI", "<.", ">.",
			},
			[]string{`server "S"`, `client "PRI"`, "server end", "client end"},
			"h2c", nil,
		},
		{
			"no answer to CONNECT",
			[]string{
				"> CONNECT a:443 HTTP/1.1\r\n\r\n", "> " + strings.Repeat("x", 40_000),
				"> " + strings.Repeat("y", 40_000), ">.", "<.",
			},
			[]string{
				fmt.Sprintf("client %q", strings.Repeat("x", 40_000)), fmt.Sprintf("client %q", strings.Repeat("y", 25_472)),
				fmt.Sprintf("client %q", strings.Repeat("y", 14_528)), "client end", "server end",
			},
			"CONNECT a:443",
			[]string{"1 CONNECT body=80000/0 complete"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newHTTP1Play(t, false)
			sink, sw := &sinkLog{}, ""
			p.h.onSwitch = func(s http1Switch) wire.Sink {
				sw, p.h.silent = s.Upgrade, s.Upgrade == "h2c"
				if s.Connect != "" {
					sw = "CONNECT " + s.Connect
				}
				return sink
			}
			p.play(tt.steps...)
			if sw != tt.sw {
				t.Errorf("switched to %q, want %q", sw, tt.sw)
			}
			if diff := cmp.Diff(tt.sink, sink.lines); diff != "" {
				t.Errorf("what is handed on (-want +got)\n%s", diff)
			}
			var got []string
			for _, r := range p.requests() {
				got = append(got, line(r))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requests (-want +got)\n%s", diff)
			}
		})
	}
}
