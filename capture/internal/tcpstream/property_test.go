package tcpstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// seeds runs a test on conversations.
func seeds(t *testing.T, f func(t *testing.T, r *rand.Rand, k *talk, sent [2]string)) {
	n := 100
	if testing.Short() {
		n = 30
	}
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 1))
		k, sent := conversation(r)
		if ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, r, k, sent) }); !ok {
			return
		}
	}
}

// one is the only connection.
func one(t *testing.T, got []*recorder) *recorder {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%d connections, not 1", len(got))
	}
	return got[0]
}

// whole checks that nothing is missing.
func (r *recorder) whole(sent [2]string) {
	r.t.Helper()
	for d := range wire.Dir(2) {
		if r.octets[d] != sent[d] {
			got, want := differ(r.octets[d], sent[d])
			r.t.Errorf("the octets of the %v differ: %s\nwere sent: %s", d, got, want)
		}
		if r.end[d] != wire.Closed {
			r.t.Errorf("the %v has ended with %v, not with FIN", d, r.end[d])
		}
	}
	if r.conn.Client != clientAddr || r.conn.Server != serverAddr {
		r.t.Errorf("client %v and server %v", r.conn.Client, r.conn.Server)
	}
	if len(r.again) > 0 {
		r.t.Errorf("retransmissions: %v", r.again)
	}
}

// differ returns what is left of two strings from where they differ, 200 octets at most.
func differ(a, b string) (string, string) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	return a[:min(200, len(a))], b[:min(200, len(b))]
}

func TestInOrder(t *testing.T) {
	seeds(t, func(t *testing.T, _ *rand.Rand, k *talk, sent [2]string) {
		r := one(t, assemble(t, Options{}, k.segs))
		r.whole(sent)
		want := ""
		for _, s := range k.segs {
			want += string(s.Payload)
		}
		if r.order != want {
			t.Error("the octets of both sides are not in the order of the capture")
		}
		if !r.conn.SYN || r.conn.Number != 1 || !r.conn.Start.Equal(k.segs[0].Time) {
			t.Errorf("the connection is %+v", r.conn)
		}
	})
}

func TestShuffledAndDoubled(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, sent [2]string) {
		for name, segs := range map[string][]*packet.Segment{
			"shuffled":           shuffled(r, k.segs, 20),
			"doubled":            doubled(k.segs),
			"shuffled, doubled":  doubled(shuffled(r, k.segs, 20)),
			"doubled, shuffled":  shuffled(r, doubled(k.segs), 20),
			"displaced":          displaced(r, k.segs, 20),
			"displaced, doubled": doubled(displaced(r, k.segs, 20)),
			"shuffled, slowly":   slow(shuffled(r, k.segs, 20), 3*time.Second),
		} {
			got := one(t, assemble(t, Options{}, segs))
			if strings.Contains(name, "slowly") { // what is late by seconds looks as if it was sent again
				got.again = nil
			}
			got.whole(sent)
			if t.Failed() {
				t.Fatal(name)
			}
			if len(k.segs) < 80 {
				causal(t, k, got)
			}
		}
	})
}

// slow gives each segment a time of its own, as if the capture had them in this order.
func slow(in []*packet.Segment, step time.Duration) []*packet.Segment {
	var out []*packet.Segment
	for i, s := range in {
		c := *s
		c.Time = epoch.Add(time.Duration(i) * step)
		out = append(out, &c)
	}
	return out
}

// causal checks that no segment was handed on before what it acknowledges.
func causal(t *testing.T, k *talk, r *recorder) {
	t.Helper()
	for i, s := range k.segs {
		if len(s.Payload) == 0 {
			continue
		}
		at := strings.Index(r.order, string(s.Payload))
		for _, before := range k.segs[:i] {
			if before.Src == s.Dst && len(before.Payload) > 0 && strings.Index(r.order, string(before.Payload)) > at {
				t.Fatalf("%q was handed on before %q", s.Payload, before.Payload)
			}
		}
	}
}

func TestOneSegmentDeleted(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, sent [2]string) {
		n := r.IntN(len(k.segs))
		gone := k.segs[n]
		segs := append(append([]*packet.Segment(nil), k.segs[:n]...), k.segs[n+1:]...)
		if r.IntN(2) == 0 {
			segs = shuffled(r, segs, 20)
		}
		if r.IntN(2) == 0 {
			segs = doubled(segs)
		}
		d := wire.Client
		if gone.Src == serverAddr {
			d = wire.Server
		}
		if p := string(gone.Payload); p != "" {
			sent[d] = strings.Replace(sent[d], p, fmt.Sprintf("<%d %s>", len(p), WhyMissing), 1)
		}
		one(t, assemble(t, Options{}, segs)).whole(sent)
	})
}

func TestResetShuffled(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, sent [2]string) {
		k.segs = k.segs[:len(k.segs)-3]
		for d := range k.seq {
			k.seq[d]-- // there is no FIN
		}
		k.send(wire.Dir(r.IntN(2)), "RA", "")
		got := one(t, assemble(t, Options{}, doubled(displaced(r, k.segs, 20))))
		if got.end != reset {
			t.Errorf("the ends are %v", got.end)
		}
		got.end = closed
		got.whole(sent)
	})
}

// TestSegmentsDeleted loses some in a hundred: each hole is told once, with its octets.
func TestSegmentsDeleted(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, _ [2]string) {
		var kept []*packet.Segment
		var want [2]string
		var gone [2]int
		flush := func(d wire.Dir) {
			if gone[d] > 0 {
				want[d] += fmt.Sprintf("<%d %s>", gone[d], WhyMissing)
			}
			gone[d] = 0
		}
		rate := 1 + r.IntN(20)
		for _, s := range k.segs {
			d := c2s
			if s.Src == serverAddr {
				d = s2c
			}
			if len(s.Payload) > 0 && r.IntN(100) < rate {
				gone[d] += len(s.Payload)
				continue
			}
			if len(s.Payload) > 0 {
				flush(d)
				want[d] += string(s.Payload)
			}
			kept = append(kept, s)
		}
		flush(c2s)
		flush(s2c)
		if r.IntN(2) == 0 {
			kept = doubled(shuffled(r, kept, 20))
		}
		got := assemble(t, Options{}, kept)
		if len(got) == 0 && want == [2]string{} {
			return
		}
		one(t, got).whole(want)
	})
}

func TestCutPackets(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, _ [2]string) {
		const snap = 134
		var sent [2]string
		for i, s := range k.segs {
			c := *s
			mark := ""
			if n := len(c.Payload) - snap; n > 0 {
				c.Payload, c.Cut = c.Payload[:snap], n
				mark = fmt.Sprintf("<%d %s>", n, WhyCut)
			}
			k.segs[i] = &c
			d := wire.Client
			if c.Src == serverAddr {
				d = wire.Server
			}
			sent[d] += string(c.Payload) + mark
		}
		one(t, assemble(t, Options{}, doubled(shuffled(r, k.segs, 20)))).whole(sent)
	})
}

func TestCutInTheMiddle(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, sent [2]string) {
		n := 3 + r.IntN(len(k.segs)-6)
		got := assemble(t, Options{}, shuffled(r, k.segs[:n], 20))
		if len(got) == 0 {
			return // nothing was sent by then
		}
		g := one(t, got)
		for d := range wire.Dir(2) {
			if !strings.HasPrefix(sent[d], g.octets[d]) || g.end[d] != wire.Open {
				t.Errorf("%v, with the end %v: %q", d, g.end[d], g.octets[d])
			}
		}
	})
}

func TestMissingStart(t *testing.T) {
	seeds(t, func(t *testing.T, r *rand.Rand, k *talk, sent [2]string) {
		n := 3 + r.IntN(len(k.segs)-6)
		var want [2]string
		for _, s := range k.segs[n:] {
			if s.Src == clientAddr {
				want[0] += string(s.Payload)
			} else {
				want[1] += string(s.Payload)
			}
		}
		got := assemble(t, Options{}, doubled(shuffled(r, k.segs[n:], 20)))
		if want[0]+want[1] == "" && len(got) == 0 {
			return
		}
		g := one(t, got)
		g.whole(want)
		if g.conn.SYN {
			t.Error("a beginning was seen that is not there")
		}
	})
}
