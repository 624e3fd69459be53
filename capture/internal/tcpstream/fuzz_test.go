package tcpstream

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// octetAt is the octet with a sequence number, of either side of any connection.
func octetAt(seq uint32) byte { return byte(seq*2654435761>>24) | 1 }

// checker is a Sink that knows what the octets are.
type checker struct {
	recorder
	a    *Assembler
	next [2]int64
	seen [2]bool
}

// half is what the assembler knows of a direction.
func (r *checker) half(d wire.Dir) *half {
	for _, key := range []tuple{{r.conn.Client, r.conn.Server}, {r.conn.Server, r.conn.Client}} {
		if c := r.a.conns[key]; c != nil {
			return &c.half[c.client^int(d)]
		}
	}
	r.t.Fatal("something of a connection that is not known")
	return nil
}

// follows checks that n octets of a direction follow those before, and returns where they begin.
func (r *checker) follows(d wire.Dir, end, n int64) int64 {
	if r.seen[d] && r.next[d] != end-n {
		r.t.Errorf("%d octets of the %v end at %d, and those before at %d", n, d, end, r.next[d])
	}
	r.seen[d], r.next[d] = true, end
	return end - n
}

func (r *checker) Octets(d wire.Dir, t time.Time, p []byte) {
	r.at(d, t)
	h, n := r.half(d), int64(len(p))
	if r.seen[d] { // some behind p may be cut off, and told of then
		h = &half{base: h.base, next: r.next[d] + n}
	}
	from := r.follows(d, h.next-r.cut(h, p), n)
	for i, b := range p {
		if b != octetAt(h.base+uint32(from)+uint32(i)) {
			r.t.Fatalf("octet %d of %d of the %v is %#x", i, len(p), d, b)
		}
	}
}

// cut is the number of octets behind the first ones, p, that are cut off: as many as make p fit.
func (r *checker) cut(h *half, p []byte) int64 {
	for cut := range int64(256) {
		if fits(h.base+uint32(h.next-cut)-uint32(len(p)), p) {
			return cut
		}
	}
	return 0
}

// fits reports whether p has the octets from a sequence number on.
func fits(seq uint32, p []byte) bool {
	for i, b := range p {
		if b != octetAt(seq+uint32(i)) {
			return false
		}
	}
	return true
}

func (r *checker) Lost(d wire.Dir, t time.Time, n int64, why string) {
	r.at(d, t)
	if n < 1 || why == "" {
		r.t.Errorf("%d octets of the %v are lost: %q", n, d, why)
	}
	if r.seen[d] {
		r.next[d] += n
	}
}

// segment makes a segment of 8 octets: flags, connection, sequence number, acknowledgement, length,
// octets cut off, time.
func segment(b []byte) *packet.Segment {
	s := &packet.Segment{
		Src: withPort(clientAddr, int(b[1]&3)), Dst: serverAddr,
		Seq: uint32(int8(b[2]))*40 + 20, Ack: uint32(int8(b[3])) * 40,
		FIN: b[0]&1 != 0, SYN: b[0]&2 != 0 && b[0]&8 != 0, RST: b[0]&4 != 0 && b[0]&24 == 24, ACK: b[0]&32 == 0,
		Time: epoch.Add(time.Duration(int8(b[7])) * 100 * time.Millisecond),
	}
	if b[1]&4 != 0 {
		s.Seq += uint32(b[1]>>3) << 24
	}
	if b[0]&64 != 0 {
		s.Src, s.Dst = s.Dst, s.Src
	}
	first := s.Seq
	if s.SYN {
		first++
	}
	for i := range uint32(b[4]) {
		s.Payload = append(s.Payload, octetAt(first+i))
	}
	s.Cut = max(int(b[5])-200, 0)
	return s
}

// FuzzAssembler adds any segments: what is handed on has the octets of its positions, and bounds
// hold.
func FuzzAssembler(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		b := make([]byte, 8*r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := Options{MaxConns: 3, MaxBuffered: 3000}
		var a *Assembler
		var all []*checker
		a = New(func(c *Conn) wire.Sink {
			r := &checker{a: a}
			r.t, r.conn = t, c
			all = append(all, r)
			return r
		}, o)
		a.recent = newRecent(32)
		for n := uint64(1); len(b) >= 8; n++ {
			s := segment(b)
			s.Number = n
			b = b[8:]
			a.Add(s)
			if a.size < 0 || a.size > o.MaxBuffered || len(a.conns) > o.MaxConns || a.idle.Len() != len(a.conns) ||
				a.closed.Len()+a.resets.Len() > len(a.conns) {
				t.Fatalf("%d octets of %d connections wait", a.size, len(a.conns))
			}
		}
		a.Close()
		if a.size != 0 || len(a.conns)+a.waiting.Len()+a.idle.Len()+a.resets.Len()+a.closed.Len() != 0 {
			t.Errorf("%d octets of %d connections are kept", a.size, len(a.conns))
		}
		for _, r := range all {
			if r.ended != [2]int{1, 1} {
				t.Errorf("the directions have ended %v times", r.ended)
			}
		}
	})
}
