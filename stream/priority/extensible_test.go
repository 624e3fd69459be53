package priority

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func ext(urgency uint8, incremental bool) Params {
	return Params{Extensible: true, Urgency: urgency, Incremental: incremental}
}

// The shares when the link is the bottleneck: 63 of 64 octets go by the order of RFC 9218 §10, the
// last one to streams that wait.
func TestExtensibleShares(t *testing.T) {
	const inOrder, waiting = 63. / 64, 1. / 64
	for name, shares := range map[string][]wantedShare{
		"alone": {{1, ext(7, false), 0, 1}},
		"urgency": {
			{1, ext(5, false), 0, waiting / 2},
			{3, ext(1, false), 0, inOrder},
			{5, ext(3, false), 0, waiting / 2},
		},
		"all urgencies": {
			{1, ext(0, false), 0, inOrder},
			{3, ext(1, false), 0, waiting / 7},
			{5, ext(2, true), 0, waiting / 7},
			{7, ext(3, false), 0, waiting / 7},
			{9, ext(4, true), 0, waiting / 7},
			{11, ext(5, false), 0, waiting / 7},
			{13, ext(6, false), 0, waiting / 7},
			{15, ext(7, true), 0, waiting / 7},
		},
		"incremental": {
			{1, ext(2, true), 0, 1. / 3},
			{3, ext(2, true), 0, 1. / 3},
			{5, ext(2, true), 0, 1. / 3},
		},
		"incremental, frames of all sizes": {
			{1, ext(2, true), 500, .25},
			{3, ext(2, true), 1000, .25},
			{5, ext(2, true), 16384, .25},
			{7, ext(2, true), 65536, .25},
		},
		"one by one": {
			{5, ext(2, false), 0, waiting / 2},
			{1, ext(2, false), 0, inOrder},
			{3, ext(2, false), 0, waiting / 2},
		},
		"one by one, nothing stated": {
			{1, Params{}, 0, inOrder},
			{3, Params{}, 0, waiting},
		},
		"an incremental one and one that is not": {
			{1, ext(3, true), 0, .5},
			{3, ext(3, false), 0, .5},
		},
		"both kinds": {
			{1, ext(3, true), 1000, .25},
			{3, ext(3, false), 16384, .5 - waiting},
			{5, ext(3, true), 16384, .25},
			{7, ext(3, false), 16384, waiting},
		},
		"incremental below": {
			{1, ext(1, true), 0, inOrder / 2},
			{3, ext(1, true), 0, inOrder / 2},
			{5, ext(4, true), 0, waiting / 4},
			{7, ext(4, true), 0, waiting / 4},
			{9, ext(4, false), 0, waiting / 4},
			{11, ext(4, false), 0, waiting / 4},
		},
		"large frames below": {
			{1, ext(1, false), 1000, inOrder},
			{3, ext(2, false), 65536, waiting},
		},
		"tree parameters are ignored": {
			{1, Params{Tree: true, Weight: 255}, 0, inOrder},
			{3, Params{Tree: true, Weight: 0}, 0, waiting},
		},
		"an urgency that is not possible is the last": {
			{1, ext(200, true), 0, .5},
			{3, ext(7, true), 0, .5},
		},
	} {
		t.Run(name, func(t *testing.T) { checkShares(t, NewExtensible(), 1<<30, shares) })
	}
}

func TestExtensibleOrder(t *testing.T) {
	s := NewExtensible()
	if s.Next() != nil {
		t.Fatal("no stream is open")
	}
	n := make([]*Node, 6)
	for i, p := range []Params{ext(3, false), ext(3, false), ext(1, true), ext(1, true), ext(0, false), {}} {
		n[i] = &Node{ID: uint32(2*i + 1)}
		s.Open(n[i], p)
	}
	for i := range n {
		s.Ready(n[len(n)-1-i])
	}
	wantOrder := func(want ...uint32) {
		t.Helper()
		if got := order(s, len(want), 16384); !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	}
	wantOrder(9, 9)
	s.Unready(n[4])
	wantOrder(7, 5, 7, 5) // in the order in which they became ready
	s.Close(n[2])
	s.Close(n[3])
	wantOrder(1, 1) // in the order of identifiers
	s.Unready(n[0])
	wantOrder(3)
	s.Ready(n[0])
	wantOrder(1)
	s.Close(n[0])
	wantOrder(3)
	s.Adjust(11, ext(2, false))
	wantOrder(11)
	s.Adjust(3, ext(2, false))
	wantOrder(3)
	s.Ready(n[4])
	wantOrder(9)
	for _, n := range n {
		s.Close(n)
		s.Close(n)
	}
	if n := s.Next(); n != nil {
		t.Errorf("Next = %d, no stream is open", n.ID)
	}
}

// Anti-starvation waits for a megabyte, serves one frame, and waits again.
func TestExtensibleStarvation(t *testing.T) {
	s := NewExtensible()
	a, b, c := &Node{ID: 1}, &Node{ID: 3}, &Node{ID: 5}
	s.Open(a, ext(0, false))
	s.Open(b, ext(0, false))
	s.Open(c, ext(6, true))
	s.Ready(a)
	s.Ready(b)
	s.Ready(c)
	const frame = quantum - frameHeader
	for round := range 10 {
		for i := range starvationShare - 1 {
			if n := s.Next(); n != a {
				t.Fatalf("round %d, frame %d: stream %d", round, i, n.ID)
			}
			s.Sent(a, frame)
		}
		want := []*Node{b, c}[round%2]
		if n := s.Next(); n != want {
			t.Fatalf("round %d: anti-starvation serves stream %d, want %d", round, n.ID, want.ID)
		}
		s.Sent(want, frame)
	}
	// While a stream is the only one, no stream waits.
	s.Unready(b)
	s.Unready(c)
	for range 1000 {
		s.Sent(s.Next(), frame)
	}
	s.Ready(c)
	for i := range starvationShare - 1 {
		if n := s.Next(); n != a {
			t.Fatalf("frame %d: stream %d", i, n.ID)
		}
		s.Sent(a, frame)
	}
}

// Adjust changes open streams only. The priority of an idle stream comes with Open.
func TestExtensibleAdjust(t *testing.T) {
	s := NewExtensible()
	s.Adjust(5, ext(1, true))
	s.Adjust(0, ext(0, false))
	s.Adjust(7, Params{Tree: true, Weight: 7})
	check := func(id uint32, p, want Params) *Node {
		t.Helper()
		n := &Node{ID: id}
		s.Open(n, p)
		if got := n.Params(); got != want {
			t.Errorf("stream %d has %+v, want %+v", id, got, want)
		}
		return n
	}
	five := check(5, ext(7, false), ext(7, false))
	check(7, Params{}, ext(3, false))
	check(2, ext(9, true), ext(7, true))
	s.Adjust(5, ext(2, false))
	if got, want := five.Params(), ext(2, false); got != want {
		t.Errorf("after Adjust %+v, want %+v", got, want)
	}
	s.Adjust(5, Params{Tree: true, Urgency: 6})
	if got, want := five.Params(), ext(2, false); got != want {
		t.Errorf("after Adjust of the other scheme %+v, want %+v", got, want)
	}
	s.Close(five)
	s.Adjust(5, ext(0, false))
	if got := five.Params(); got != (Params{}) {
		t.Errorf("closed, and has %+v", got)
	}
}

// 100,000 priorities for 10,000 streams that are open and ready, each of which moves a stream: time
// and memory are bounded. The memory of many streams is freed when they are closed.
func TestExtensibleFlood(t *testing.T) {
	s := NewExtensible().(*extensible)
	nodes := open(s, 10_000)
	rng := rand.New(rand.NewPCG(1, 29))
	start := time.Now()
	for range 100_000 {
		s.Adjust(nodes[rng.IntN(len(nodes))].ID, ext(uint8(rng.IntN(8)), rng.IntN(2) == 0))
		s.Sent(s.Next(), 1000)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("100,000 priorities took %v", took)
	}
	checkExtensible(t, s)
	for _, n := range nodes {
		s.Close(n)
	}
	if s.nodes.peak != 0 {
		t.Error("the table was not shrunk")
	}
	for u := range s.levels {
		if c := cap(s.levels[u].sequential); c > maxEmptyHeap {
			t.Errorf("an empty heap keeps a capacity of %d", c)
		}
	}
}
