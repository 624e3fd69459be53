package tcpstream

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

const (
	c2s = wire.Client
	s2c = wire.Server

	ms = time.Millisecond
)

// again sends a segment again, later, with what its sender has got by then.
func (k *talk) again(s *packet.Segment, later time.Duration) *packet.Segment {
	k.now = k.now.Add(later)
	c := *s
	c.Time = k.now
	d := c2s
	if s.Src == serverAddr {
		d = s2c
	}
	c.Ack = k.seq[d.Other()]
	k.segs = append(k.segs, &c)
	return &c
}

// lose removes the latest segment.
func (k *talk) lose() *packet.Segment {
	s := k.segs[len(k.segs)-1]
	k.segs = k.segs[:len(k.segs)-1]
	return s
}

// swap exchanges the two latest segments.
func (k *talk) swap() {
	n := len(k.segs)
	k.segs[n-1], k.segs[n-2] = k.segs[n-2], k.segs[n-1]
}

// outcome is what is known of a connection in the end.
type outcome struct {
	Client, Server string // octets
	End            [2]wire.How
	Again          []repeat
	Conflicts      uint64 // of both sides
	Duplicates     uint64
	Late           uint64
	Strays         uint64
}

func (r *recorder) outcome() outcome {
	o := outcome{Client: r.octets[0], Server: r.octets[1], End: r.end, Again: r.again}
	for d := range wire.Dir(2) {
		n := r.conn.Counts(d)
		o.Conflicts += n.Conflicts
		o.Duplicates += n.Duplicates
		o.Late += n.Late
		o.Strays += n.Strays
	}
	return o
}

var (
	closed = [2]wire.How{wire.Closed, wire.Closed}
	reset  = [2]wire.How{wire.Reset, wire.Reset}
)

// from is a time since epoch: that many segments, and what was waited.
func from(segments int, waits ...time.Duration) time.Duration {
	t := time.Duration(segments) * 100 * time.Microsecond
	for _, w := range waits {
		t += w
	}
	return t
}

var segmentTests = []struct {
	name  string
	build func(k *talk)
	want  outcome
}{
	{"a request and its response", func(k *talk) {
		k.send(c2s, "A", "request")
		k.send(s2c, "A", "response")
		k.close()
	}, outcome{Client: "request", Server: "response", End: closed}},
	{"no end", func(k *talk) { k.send(c2s, "A", "request") }, outcome{Client: "request"}},
	{"FIN with octets, before others", func(k *talk) {
		k.send(c2s, "A", "one")
		k.send(c2s, "FA", "two")
		k.swap()
		k.send(s2c, "FA", "")
	}, outcome{Client: "onetwo", End: closed, Late: 1}},
	{"octets behind FIN", func(k *talk) {
		k.send(c2s, "FA", "one")
		k.send(c2s, "A", "two")
		k.send(s2c, "FA", "")
	}, outcome{Client: "one", End: closed, Strays: 1}},
	{"octets behind FIN, which is late", func(k *talk) {
		k.send(c2s, "FA", "one")
		k.send(c2s, "A", "two")
		k.swap()
		k.send(s2c, "FA", "")
	}, outcome{Client: "one", End: closed, Strays: 1, Late: 1}},
	{"FIN is not in the capture", func(k *talk) {
		k.send(c2s, "A", "request")
		k.send(c2s, "FA", "")
		k.lose()
		k.send(s2c, "A", "response")
		k.send(s2c, "FA", "")
		k.send(c2s, "A", "")
	}, outcome{Client: "request", Server: "response", End: closed}},
	{"FIN with octets is not in the capture", func(k *talk) {
		k.send(c2s, "FA", "request")
		k.lose()
		k.send(s2c, "A", "response")
		k.send(s2c, "FA", "")
		k.send(c2s, "A", "")
	}, outcome{Client: "<7 " + WhyMissing + ">", Server: "response", End: closed}},
	{"FIN without octets", func(k *talk) {
		k.send(c2s, "FA", "")
		k.send(s2c, "A", "greeting")
		k.send(s2c, "FA", "")
	}, outcome{Server: "greeting", End: closed}},
	{"RST", func(k *talk) {
		k.send(c2s, "A", "request")
		k.send(s2c, "RA", "")
	}, outcome{Client: "request", End: reset}},
	{"RST before octets", func(k *talk) {
		k.send(c2s, "A", "request")
		k.send(s2c, "RA", "")
		k.swap()
	}, outcome{Client: "request", End: reset}},
	{"a forged RST", func(k *talk) {
		k.send(c2s, "A", "one")
		k.send(c2s, "R", "").Seq -= 2
		k.send(c2s, "A", "two")
		k.close()
	}, outcome{Client: "onetwo", End: closed}},
	{"sent again, seen by the sender", func(k *talk) {
		s := k.send(c2s, "A", "request")
		k.again(s, 200*ms)
		k.again(s, 400*ms)
		k.send(s2c, "A", "")
		k.again(s, 1*ms+1)
	}, outcome{Client: "request", Again: []repeat{
		{c2s, from(4, 200*ms), 7, 200 * ms},
		{c2s, from(4, 600*ms), 7, 400 * ms},
		{c2s, from(5, 601*ms+1), 7, 0},
	}}},
	{"sent again, in other pieces", func(k *talk) {
		k.send(c2s, "A", "abcdefgh")
		k.again(piecewise(k, c2s, 4, "efgh"), 200*ms)
		k.again(piecewise(k, c2s, 6, "ghijkl"), 50*ms)
	}, outcome{Client: "abcdefghijkl", Again: []repeat{
		{c2s, from(4, 200*ms), 4, 200 * ms},
		{c2s, from(4, 250*ms), 2, 50 * ms},
	}}},
	{"sent again, seen by the receiver", func(k *talk) {
		k.send(c2s, "A", "one")
		s := k.send(c2s, "A", "two")
		k.lose()
		k.send(c2s, "A", "three")
		k.again(s, 80*ms)
	}, outcome{Client: "onetwothree", Late: 1, Again: []repeat{{c2s, from(6, 80*ms), 3, 80 * ms}}}},
	{"overtaken", func(k *talk) {
		k.send(c2s, "A", "one")
		k.send(c2s, "A", "two")
		k.swap()
		k.send(c2s, "A", "three")
	}, outcome{Client: "onetwothree", Late: 1}},
	{"captured twice", func(k *talk) {
		for _, p := range []string{"one", "two"} {
			k.again(k.send(c2s, "A", p), 20*time.Microsecond).Interface = 1
		}
	}, outcome{Client: "onetwo", Duplicates: 2}},
	{"overlapping", func(k *talk) {
		k.again(piecewise(k, c2s, 2, "cdef"), 0)
		k.again(piecewise(k, c2s, 8, "ij"), 0)
		k.again(piecewise(k, c2s, 0, "abcdefghijkl"), 0)
	}, outcome{Client: "abcdefghijkl", Late: 2, Again: []repeat{{c2s, from(3), 6, 0}}}},
	{"other octets behind", func(k *talk) {
		k.again(piecewise(k, c2s, 2, "cdef"), 0)
		k.again(piecewise(k, c2s, 0, "ABCDEFGH"), 0)
	}, outcome{Client: "ABcdefGH", Late: 1, Conflicts: 1, Again: []repeat{{c2s, from(3), 4, 0}}}},
	{"other octets at once", func(k *talk) {
		s := k.send(c2s, "A", "abc")
		k.again(s, 10*ms).Payload = []byte("ABC")
	}, outcome{Client: "abc", Conflicts: 1, Again: []repeat{{c2s, from(4, 10*ms), 3, 10 * ms}}}},
	{"keep-alive probes", func(k *talk) {
		k.send(c2s, "A", "one")
		k.send(s2c, "A", "")
		k.again(piecewise(k, c2s, 2, ""), time.Minute)
		k.again(piecewise(k, c2s, 2, "\x00"), time.Minute)
		k.send(s2c, "A", "")
		k.send(c2s, "A", "two")
	}, outcome{Client: "onetwo"}},
	{"zero window probes", func(k *talk) {
		k.send(c2s, "A", "one")
		k.send(s2c, "A", "")
		k.again(piecewise(k, c2s, 3, "t"), 200*ms)
		k.again(piecewise(k, c2s, 3, "t"), 400*ms)
		k.again(piecewise(k, c2s, 3, "two"), 500*ms)
	}, outcome{Client: "onetwo", Again: []repeat{
		{c2s, from(5, 600*ms), 1, 400 * ms},
		{c2s, from(5, 1100*ms), 1, 500 * ms},
	}}},
	{"lost, and never acknowledged", func(k *talk) {
		k.send(c2s, "A", "one")
		k.lose()
		k.send(c2s, "A", "two")
	}, outcome{Client: "<3 " + WhyUnacked + ">two"}},
	{"holes in both directions", func(k *talk) {
		for _, d := range []wire.Dir{c2s, s2c, c2s, s2c} {
			k.send(d, "A", "lost")
			k.lose()
			k.send(d, "A", "here")
		}
		k.close()
	}, outcome{
		Client: strings.Repeat("<4 "+WhyMissing+">here", 2),
		Server: strings.Repeat("<4 "+WhyMissing+">here", 2), End: closed,
	}},
	{"forged segments", func(k *talk) {
		k.send(c2s, "A", "one")
		k.again(piecewise(k, c2s, 4+1<<30, "far"), 0)
		k.again(piecewise(k, c2s, 1<<32-2<<20, "old"), 0)
		k.send(c2s, "A", "two")
	}, outcome{Client: "onetwo", Strays: 1, Again: []repeat{{c2s, from(4), 3, 0}}}},
	{"an acknowledgement of what nobody sent", func(k *talk) {
		s := k.send(c2s, "A", "one")
		s.Ack += 1<<30 + 1
		k.send(s2c, "A", "two")
	}, outcome{Client: "one", Server: "two"}},
}

// piecewise is a segment of octets that begin a number of octets behind the handshake.
func piecewise(k *talk, d wire.Dir, at uint32, octets string) *packet.Segment {
	s := k.send(d, "A", octets)
	k.seq[d] -= uint32(len(octets))
	k.now = k.now.Add(-100 * time.Microsecond)
	k.lose()
	s.Seq = isn(d) + 1 + at
	return s
}

func isn(d wire.Dir) uint32 { return []uint32{0xfffffffb, 7}[d] }

func TestSegments(t *testing.T) {
	for _, test := range segmentTests {
		t.Run(test.name, func(t *testing.T) {
			k := newTalk(isn(c2s), isn(s2c))
			k.open()
			test.build(k)
			got := one(t, assemble(t, Options{}, k.segs)).outcome()
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestTimes has octets that came before others, and became available with them.
func TestTimes(t *testing.T) {
	k := newTalk(1, 2)
	k.open()
	first := k.send(c2s, "A", "one")
	s := k.send(c2s, "A", "two")
	k.lose()
	k.send(c2s, "A", "three")
	fill := k.again(s, 80*ms)
	last := k.send(c2s, "A", "four")

	r := &timed{}
	a := New(func(*Conn) wire.Sink { return r }, Options{})
	for i, s := range k.segs {
		s.Number = uint64(i + 1)
		a.Add(s)
	}
	want := []time.Time{first.Time, fill.Time, fill.Time, last.Time}
	if d := cmp.Diff(want, r.times); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// timed keeps the times of octets.
type timed struct {
	nothing
	times []time.Time
}

func (r *timed) Octets(_ wire.Dir, t time.Time, _ []byte) { r.times = append(r.times, t) }
