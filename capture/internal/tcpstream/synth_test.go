package tcpstream

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:40000")
	serverAddr = netip.MustParseAddrPort("192.0.2.2:443")
	epoch      = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// talk makes the segments of a connection, as both sides see them.
type talk struct {
	segs []*packet.Segment
	seq  [2]uint32 // next of each side
	now  time.Time
}

func newTalk(isnClient, isnServer uint32) *talk {
	return &talk{seq: [2]uint32{isnClient, isnServer}, now: epoch}
}

// send appends a segment of one side, with flags of "SFRA".
func (k *talk) send(d wire.Dir, flags, payload string) *packet.Segment {
	k.now = k.now.Add(100 * time.Microsecond)
	s := &packet.Segment{Time: k.now, Src: clientAddr, Dst: serverAddr, Seq: k.seq[d], Payload: []byte(payload)}
	if d == wire.Server {
		s.Src, s.Dst = s.Dst, s.Src
	}
	for _, f := range flags {
		switch f {
		case 'S':
			s.SYN = true
		case 'F':
			s.FIN = true
		case 'R':
			s.RST = true
		case 'A':
			s.ACK, s.Ack = true, k.seq[d.Other()]
		}
	}
	k.seq[d] += uint32(len(payload))
	if s.SYN {
		k.seq[d]++
	}
	if s.FIN {
		k.seq[d]++
	}
	k.segs = append(k.segs, s)
	return s
}

func (k *talk) open() {
	k.send(wire.Client, "S", "")
	k.send(wire.Server, "SA", "")
	k.send(wire.Client, "A", "")
}

func (k *talk) close() {
	k.send(wire.Client, "FA", "")
	k.send(wire.Server, "FA", "")
	k.send(wire.Client, "A", "")
}

// conversation is a connection of some hundred segments, with what each side has sent.
func conversation(r *rand.Rand) (*talk, [2]string) {
	k := newTalk(r.Uint32(), r.Uint32())
	if r.IntN(3) == 0 {
		k.seq[r.IntN(2)] = -uint32(r.IntN(5000)) // wraps around
	}
	k.open()
	var sent [2]string
	unacked := [2]int{}
	for n := range 20 + r.IntN(400) {
		d := wire.Dir(r.IntN(2))
		if r.IntN(4) == 0 || unacked[d.Other()] > 4 {
			k.send(d, "A", "")
		} else {
			p := fmt.Sprintf("[%d:%d:%0*d]", d, n, 1+r.IntN(300), n)
			sent[d] += p
			k.send(d, "A", p)
			unacked[d]++
		}
		unacked[d.Other()] = 0
	}
	for d := range wire.Dir(2) { // all is acknowledged
		k.send(d, "A", "")
	}
	k.close()
	return k, sent
}

// shuffled moves each segment by less than n places.
func shuffled(r *rand.Rand, in []*packet.Segment, n int) []*packet.Segment {
	out := append([]*packet.Segment(nil), in...)
	for from := 0; from < len(out); from += n {
		part := out[from:min(from+n, len(out))]
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return out
}

// displaced moves each segment by less than n places, and some across each other by twice as much.
func displaced(r *rand.Rand, in []*packet.Segment, n int) []*packet.Segment {
	type place struct {
		at int
		s  *packet.Segment
	}
	var places []place
	for i, s := range in {
		places = append(places, place{i + r.IntN(2*n-1), s})
	}
	slices.SortStableFunc(places, func(a, b place) int { return a.at - b.at })
	var out []*packet.Segment
	for _, p := range places {
		out = append(out, p.s)
	}
	return out
}

// doubled has each segment twice.
func doubled(in []*packet.Segment) []*packet.Segment {
	var out []*packet.Segment
	for _, s := range in {
		out = append(out, s, s)
	}
	return out
}

// recorder is a Sink that keeps what it gets.
type recorder struct {
	t      *testing.T
	conn   *Conn
	octets [2]string // with "<n lost: why>" where some were lost
	order  string    // of the octets of both sides
	lost   [2][]int64
	end    [2]wire.How
	ended  [2]int
	last   [2]time.Time
	again  []repeat
}

type repeat struct {
	Dir    wire.Dir
	At     time.Duration // since epoch
	Octets int
	Filled time.Duration
}

func (r *recorder) at(d wire.Dir, t time.Time) {
	if t.Before(r.last[d]) {
		r.t.Errorf("the time of the %v goes back from %v to %v", d, r.last[d], t)
	}
	if r.ended[d] > 0 {
		r.t.Errorf("something behind the end of the %v", d)
	}
	r.last[d] = t
}

func (r *recorder) Octets(d wire.Dir, t time.Time, p []byte) {
	r.at(d, t)
	if len(p) == 0 {
		r.t.Errorf("no octets of the %v", d)
	}
	r.octets[d] += string(p)
	r.order += string(p)
}

func (r *recorder) Lost(d wire.Dir, t time.Time, n int64, why string) {
	r.at(d, t)
	if n < 1 {
		r.t.Errorf("%d octets of the %v lost", n, d)
	}
	r.lost[d] = append(r.lost[d], n)
	r.octets[d] += fmt.Sprintf("<%d %s>", n, why)
}

func (r *recorder) End(d wire.Dir, t time.Time, how wire.How) {
	r.at(d, t)
	r.ended[d]++
	r.end[d] = how
}

func (r *recorder) Retransmitted(d wire.Dir, t time.Time, octets int, filled time.Duration) {
	r.again = append(r.again, repeat{d, t.Sub(epoch), octets, filled})
}

// assemble adds copies of segments, numbered, and returns the connections.
func assemble(t *testing.T, o Options, segs []*packet.Segment) []*recorder {
	t.Helper()
	var got []*recorder
	a := New(func(c *Conn) wire.Sink {
		r := &recorder{t: t, conn: c}
		got = append(got, r)
		return r
	}, o)
	for i, s := range segs {
		c := *s
		c.Number = uint64(i + 1)
		c.Payload = append([]byte(nil), s.Payload...)
		a.Add(&c)
		for j := range c.Payload { // it is valid during the call only
			c.Payload[j] = '!'
		}
	}
	a.Close()
	if a.size != 0 || len(a.conns) != 0 || a.waiting.Len()+a.idle.Len()+a.resets.Len()+a.closed.Len() != 0 {
		t.Errorf("after Close %d octets of %d connections are kept", a.size, len(a.conns))
	}
	for _, r := range got {
		if r.ended != [2]int{1, 1} {
			t.Errorf("%v ends of the directions", r.ended)
		}
	}
	return got
}

// withPort is an address with another port.
func withPort(a netip.AddrPort, n int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), uint16(10000+n))
}
