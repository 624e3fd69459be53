package capture

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// An http1Play is a connection of HTTP/1.1 of which a test says the octets.
type http1Play struct {
	*played
	h *http1
}

func newHTTP1Play(t *testing.T, missing bool) *http1Play {
	p := newPlayed(t, Options{Bodies: true, ShowSecrets: true})
	p.s.info.StartMissing = missing
	p.s.found(HTTP1, "text")
	return &http1Play{p, newHTTP1(p.s)}
}

// play takes steps: "> text" of the client, "< text" of the server, ">! 5" and "<! 5" for lost
// octets, ">." and "<." for the end of a direction.
func (p *http1Play) play(steps ...string) {
	for _, s := range steps {
		p.now = p.now.Add(time.Millisecond)
		d := wire.Client
		if s[0] == '<' {
			d = wire.Server
		}
		switch s[1] {
		case '!':
			var n int64
			_, _ = fmt.Sscan(s[2:], &n)
			p.h.Lost(d, p.now, n, "lost")
		case '.':
			p.h.End(d, p.now, wire.Closed)
		default:
			p.h.Octets(d, p.now, []byte(s[2:]))
		}
	}
}

// lines are the events, each in one line.
func (p *http1Play) lines() []string {
	var list []string
	for _, e := range p.events {
		switch e := e.(type) {
		case *Request:
			list = append(list, "request "+line(e))
		case *Message:
			list = append(list, messageLine(e))
		case *Body:
			s := fmt.Sprintf("%s %d body %q", e.Dir, e.Stream, e.Octets)
			if e.Lost != 0 {
				s += fmt.Sprintf(" lost %d", e.Lost)
			}
			if e.End {
				s += " end"
			}
			list = append(list, s)
		}
	}
	return list
}

func messageLine(m *Message) string {
	s := fmt.Sprintf("%s %d %s", m.Dir, m.Stream, m.Line)
	if m.Trailer {
		s += "trailers"
	}
	for _, f := range m.Fields {
		s += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
	}
	for _, p := range m.Problems {
		s += " (" + p + ")"
	}
	return s
}

const (
	getRoot = "> GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	gotRoot = "client 1 GET / HTTP/1.1 [Host: a]"
)

var http1Tests = []struct {
	name  string
	steps []string
	want  []string
}{
	{
		"content of known length",
		[]string{getRoot, "< HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK [Content-Length: 3]", `server 1 body "abc"`,
			`server 1 body "" end`, "request 1 GET / 200 body=0/3 complete",
		},
	},
	{
		"chunks with extensions and trailers",
		[]string{
			"> POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nab", "> c\r\n0\r\nA: b\r\n\r\n",
			"< HTTP/1.0 204 \r\n\r\n",
		},
		[]string{
			"client 1 POST /x HTTP/1.1 [Transfer-Encoding: chunked]", `client 1 body "ab"`, `client 1 body "c"`,
			"client 1 trailers [A: b]", `client 1 body "" end`, "server 1 HTTP/1.0 204 ",
			"request 1 POST /x 204 body=3/0 complete",
		},
	},
	{
		"content up to the end",
		[]string{getRoot, "< HTTP/1.1 200 OK\r\n\r\na", "< b", "<."},
		[]string{
			gotRoot, "server 1 HTTP/1.1 200 OK", `server 1 body "a"`, `server 1 body "b"`,
			`server 1 body "" end`, "request 1 GET / 200 body=0/2 complete",
		},
	},
	{
		"HEAD, 304 and 1xx without content, pipelined",
		[]string{
			"> HEAD /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n",
			"< HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 304 N\r\n\r\n" +
				"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		},
		[]string{
			"client 1 HEAD /1 HTTP/1.1", "client 2 GET /2 HTTP/1.1", "client 3 GET /3 HTTP/1.1",
			"server 1 HTTP/1.1 200 OK [Content-Length: 9]", "request 1 HEAD /1 200 complete",
			"server 2 HTTP/1.1 103 E [Link: x]", "server 2 HTTP/1.1 304 N", "request 2 GET /2 103 304 complete",
			"server 3 HTTP/1.1 200 OK [Content-Length: 0]", "request 3 GET /3 200 complete",
		},
	},
	{
		"the response comes first",
		[]string{"< HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", getRoot},
		[]string{
			"server 1 HTTP/1.1 200 OK [Content-Length: 1]", `server 1 body "a"`, `server 1 body "" end`, gotRoot,
			"request 1 GET / 200 body=0/1 complete",
		},
	},
	{
		"WebSocket",
		[]string{
			"> GET / HTTP/1.1\r\nConnection: x, Upgrade\r\nUpgrade: websocket\r\n\r\n",
			"< HTTP/1.1 101 S\r\nUpgrade: WebSocket\r\n\r\n\x81", "> \x82", ">.", "<.",
		},
		[]string{
			"client 1 GET / HTTP/1.1 [Connection: x, Upgrade] [Upgrade: websocket]",
			"server 1 HTTP/1.1 101 S [Upgrade: WebSocket]", `server 1 body "\x81"`, `client 1 body "\x82"`,
			`client 1 body "" end`, `server 1 body "" end`, "request 1 GET / 101 body=1/1 complete",
		},
	},
	{
		"an Upgrade that is not taken, pipelined",
		[]string{
			"> GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
			"< HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "<.", ">.",
		},
		[]string{
			"client 1 GET / HTTP/1.1 [Connection: Upgrade] [Upgrade: h2c]",
			"server 1 HTTP/1.1 200 OK [Content-Length: 0]", "client 2 GET /2 HTTP/1.1", "request 1 GET / 200 complete",
			"request 2 GET /2",
		},
	},
}

func TestHTTP1(t *testing.T) {
	for _, tt := range http1Tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, octetwise := range []bool{false, true} {
				p := newHTTP1Play(t, false)
				for _, s := range tt.steps {
					if !octetwise || s[1] != ' ' {
						p.play(s)
						continue
					}
					for i := range len(s[2:]) {
						p.play(s[:2] + s[2+i:3+i])
					}
				}
				got := p.lines()
				want := tt.want
				if octetwise {
					got, want = withoutContent(got), withoutContent(want)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("octetwise %t (-want +got)\n%s", octetwise, diff)
				}
			}
		})
	}
}

// withoutContent leaves Body events away, which come in other pieces.
func withoutContent(lines []string) []string {
	var list []string
	for _, l := range lines {
		if !strings.Contains(l, ` body "`) {
			list = append(list, l)
		}
	}
	return list
}
