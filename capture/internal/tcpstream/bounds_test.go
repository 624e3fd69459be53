package tcpstream

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// TestMaxBuffered has holes that are never filled, and connections that wait behind them.
func TestMaxBuffered(t *testing.T) {
	const most = 1 << 20
	lost := map[string]int{}
	var octets int
	a := New(func(*Conn) wire.Sink {
		return &counter{lost: lost, octets: &octets}
	}, Options{MaxBuffered: most})
	s := &packet.Segment{Dst: serverAddr, ACK: true}
	payload := make([]byte, 1400)
	sent := 0
	for i := range 10_000 {
		s.Number++
		s.Time = epoch.Add(time.Duration(i) * time.Microsecond)
		s.Src, s.Seq, s.SYN, s.Payload = withPort(clientAddr, i%100), uint32(i/100*1400), i < 100, payload
		if i < 100 {
			s.Payload, s.Seq = nil, 0xfffffff0 // a hole of 15 octets and one segment
		} else {
			sent += 1400
		}
		a.Add(s)
		if a.size > most {
			t.Fatalf("%d octets wait", a.size)
		}
	}
	if lost[WhyBound] == 0 {
		t.Error("nothing was given up")
	}
	a.Close()
	if octets != sent || lost[WhyBound]+lost[WhyUnacked] != 100 {
		t.Errorf("%d octets of %d, and %v", octets, sent, lost)
	}
}

// counter counts losses by why.
type counter struct {
	lost   map[string]int
	octets *int
}

func (c *counter) Octets(_ wire.Dir, _ time.Time, p []byte)          { *c.octets += len(p) }
func (c *counter) Lost(_ wire.Dir, _ time.Time, n int64, why string) { c.lost[why]++ }
func (c *counter) End(wire.Dir, time.Time, wire.How)                 {}

// TestMaxPieces has segments of one octet, from the last to the first.
func TestMaxPieces(t *testing.T) {
	k := newTalk(1, 2)
	k.open()
	const n = 3 * maxPieces
	for i := range n {
		k.segs = append(k.segs, piecewise(k, c2s, uint32(2*(n-i)), "x"))
	}
	r := one(t, assemble(t, Options{}, k.segs))
	if got := strings.Count(r.octets[0], "x"); got < maxPieces || len(r.lost[0]) < maxPieces {
		t.Errorf("%d octets, %d holes", got, len(r.lost[0]))
	}
}

// TestMaxConns has more connections than are known at once.
func TestMaxConns(t *testing.T) {
	open, ended := 0, 0
	a := New(func(*Conn) wire.Sink { open++; return &ends{n: &ended} }, Options{MaxConns: 10})
	for i := range 1000 {
		s := &packet.Segment{
			Number: uint64(i + 1), Time: epoch, Src: withPort(clientAddr, i%200), Dst: serverAddr,
			Seq: uint32(i), SYN: true, Payload: []byte("early"),
		}
		a.Add(s)
		if len(a.conns) > 10 || a.idle.Len() > 10 || a.closed.Len() > 10 || open-ended/2 > 10 {
			t.Fatalf("%d connections are known, %d are open", len(a.conns), open-ended/2)
		}
	}
	a.Close()
	if open != 1000 || ended != 2000 || a.Evicted() != 990 {
		t.Errorf("%d were opened, %d halves have ended, %d to make room", open, ended, a.Evicted())
	}
}

// ends counts ends.
type ends struct {
	nothing
	n *int
}

func (e *ends) End(wire.Dir, time.Time, wire.How) { *e.n++ }

// TestSizes holds what is known of each connection small, of which there may be many.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 1100 {
		t.Errorf("a connection takes %d octets", n)
	}
	if n := unsafe.Sizeof(piece{}); n > pieceOverhead {
		t.Errorf("a piece takes %d octets, beside its octets", n)
	}
}

// TestManyHoles loses one of 50 segments, and the reassembler keeps up with it.
func TestManyHoles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	k := newTalk(1, 2)
	k.open()
	n, gone := 0, 0
	for i := range 20_000 {
		k.send(c2s, "A", "octets")
		if r.IntN(50) == 0 {
			k.lose()
			gone += 6
		} else {
			n += 6
		}
		if i%2 == 0 {
			k.send(s2c, "A", "")
		}
	}
	got := &nothing{}
	a := New(func(*Conn) wire.Sink { return got }, Options{})
	for i, s := range k.segs {
		s.Number = uint64(i + 1)
		a.Add(s)
		if a.size > 3*maxWaitPackets*(6+pieceOverhead) {
			t.Fatalf("%d octets wait after %d packets", a.size, i)
		}
	}
	a.Close()
	if got.octets != int64(n) || got.lost != int64(gone) {
		t.Errorf("%d octets and %d lost, not %d and %d", got.octets, got.lost, n, gone)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	a := New(func(*Conn) wire.Sink { return &nothing{} }, Options{})
	k := newTalk(1, 2)
	k.open()
	for range 2000 {
		k.send(c2s, "A", "octets")
		k.send(s2c, "A", "")
	}
	i := 0
	if n := testing.AllocsPerRun(3000, func() {
		k.segs[i].Number = uint64(i)
		a.Add(k.segs[i])
		i++
	}); n != 0 {
		t.Errorf("%v allocations for each segment", n)
	}
}
