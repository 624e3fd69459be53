package capture

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// FuzzHTTP1 plays lines, each of which begins with one of the marks of http1Play. What comes of
// them does not depend on the pieces that octets come in, and nothing is kept at the end.
func FuzzHTTP1(f *testing.F) {
	for _, seed := range []string{
		getRoot + "\n< HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n\n>! 4\n" +
			"< HTTP/1.0 200 OK\r\n\r\nx\n<.\n>.",
		"> CONNECT a:1 HTTP/1.1\r\n\r\nx\n< HTTP/1.1 200\r\n\r\ny\n<! 3\n>! 2",
		"> GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\n\r\n\n" +
			"< HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\nz",
		"<! 5\n>! -1\n> GET / HTTP/1.1\r\n A: b\r\nA : b\r\n\n>! 1\n" + getRoot + "\n< junk HTTP/1.1 404 N\r\n\r\n",
		"> HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n\n" +
			"< HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 N\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			t.Skip("too long to be played an octet at a time")
		}
		var steps []string
		for step := range strings.SplitSeq(s, "\n") {
			if len(step) > 1 && (step[0] == '>' || step[0] == '<') {
				steps = append(steps, step+"\n")
			}
		}
		whole, single := newHTTP1Play(t, false), newHTTP1Play(t, false)
		whole.play(steps...)
		for _, step := range steps {
			if step[1] == '!' || step[1] == '.' {
				single.play(step)
				continue
			}
			for i := range len(step) - 2 {
				single.play(step[:2] + step[2+i:3+i])
			}
		}
		for _, p := range []*http1Play{whole, single} {
			p.play(">.", "<.")
			n, held, waiting := len(p.h.open), p.s.a.requestsHeld.Load(), p.s.a.held.used.Load()
			if n != 0 || held != 0 || waiting != 0 {
				t.Errorf("%d requests, %d octets of them and %d others are kept at the end", n, held, waiting)
			}
		}
		if diff := cmp.Diff(withoutContent(whole.lines()), withoutContent(single.lines())); diff != "" {
			t.Errorf("events of octets at once (-) and one at a time (+):\n%s", diff)
		}
		wantOctets(t, whole, steps)
	})
}

// wantOctets checks that no more octets are counted than were played.
func wantOctets(t *testing.T, p *http1Play, steps []string) {
	t.Helper()
	var sent, counted [2]int64
	for _, s := range steps {
		if s[1] != '!' && s[1] != '.' {
			sent[strings.IndexByte("><", s[0])] += int64(len(s) - 2)
		}
	}
	for _, r := range p.requests() {
		for d := range r.Wire {
			counted[d] += r.Wire[d]
			if r.Body[d] > r.Wire[d] {
				t.Errorf("request %d: %d octets of content in %d octets", r.Stream, r.Body[d], r.Wire[d])
			}
		}
	}
	for _, d := range []wire.Dir{wire.Client, wire.Server} {
		if counted[d] > sent[d] {
			t.Errorf("requests have %d octets of the %s, which sent %d", counted[d], d, sent[d])
		}
	}
}
