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

// What each stream gets when the link is the bottleneck: 63 of 64 octets go by
// the order of RFC 9218 §10, the last one to those that wait.
func TestExtensibleShares(t *testing.T) {
	const rest, guard = 63. / 64, 1. / 64
	for name, claims := range map[string][]claim{
		"alone": {{1, ext(7, false), 0, 1}},
		"urgency": {
			{1, ext(5, false), 0, guard / 2},
			{3, ext(1, false), 0, rest},
			{5, ext(3, false), 0, guard / 2},
		},
		"all urgencies": {
			{1, ext(0, false), 0, rest},
			{3, ext(1, false), 0, guard / 7},
			{5, ext(2, true), 0, guard / 7},
			{7, ext(3, false), 0, guard / 7},
			{9, ext(4, true), 0, guard / 7},
			{11, ext(5, false), 0, guard / 7},
			{13, ext(6, false), 0, guard / 7},
			{15, ext(7, true), 0, guard / 7},
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
			{5, ext(2, false), 0, guard / 2},
			{1, ext(2, false), 0, rest},
			{3, ext(2, false), 0, guard / 2},
		},
		"one by one, nothing stated": {
			{1, Params{}, 0, rest},
			{3, Params{}, 0, guard},
		},
		"an incremental one and one that is not": {
			{1, ext(3, true), 0, .5},
			{3, ext(3, false), 0, .5},
		},
		"both kinds": {
			{1, ext(3, true), 1000, .25},
			{3, ext(3, false), 16384, .5 - guard},
			{5, ext(3, true), 16384, .25},
			{7, ext(3, false), 16384, guard},
		},
		"incremental below": {
			{1, ext(1, true), 0, rest / 2},
			{3, ext(1, true), 0, rest / 2},
			{5, ext(4, true), 0, guard / 4},
			{7, ext(4, true), 0, guard / 4},
			{9, ext(4, false), 0, guard / 4},
			{11, ext(4, false), 0, guard / 4},
		},
		"large frames below": {
			{1, ext(1, false), 1000, rest},
			{3, ext(2, false), 65536, guard},
		},
		"tree parameters are ignored": {
			{1, Params{Tree: true, Weight: 255}, 0, rest},
			{3, Params{Tree: true, Weight: 0}, 0, guard},
		},
		"an urgency that is not possible is the last": {
			{1, ext(200, true), 0, .5},
			{3, ext(7, true), 0, .5},
		},
	} {
		t.Run(name, func(t *testing.T) { checkShares(t, NewExtensible(), 1<<30, claims) })
	}
}

func TestExtensibleOrder(t *testing.T) {
	s := NewExtensible()
	if s.Next() != nil {
		t.Fatal("nobody is open")
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
		t.Errorf("Next = %d, nobody is open", n.ID)
	}
}

// The guard waits for a megabyte, gives one frame away, and comes back.
func TestExtensibleGuardIsPatient(t *testing.T) {
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
		for i := range guardShare - 1 {
			if n := s.Next(); n != a {
				t.Fatalf("round %d, frame %d: stream %d", round, i, n.ID)
			}
			s.Sent(a, frame)
		}
		want := []*Node{b, c}[round%2]
		if n := s.Next(); n != want {
			t.Fatalf("round %d: the guard serves stream %d, want %d", round, n.ID, want.ID)
		}
		s.Sent(want, frame)
	}
	// Who was alone owes nobody, and nobody has waited.
	s.Unready(b)
	s.Unready(c)
	for range 1000 {
		s.Sent(s.Next(), frame)
	}
	s.Ready(c)
	for i := range guardShare - 1 {
		if n := s.Next(); n != a {
			t.Fatalf("frame %d: stream %d", i, n.ID)
		}
		s.Sent(a, frame)
	}
}

// What PRIORITY_UPDATE says before the request comes (RFC 9218 §7.1).
func TestExtensibleIdleStreams(t *testing.T) {
	s := NewExtensible()
	s.Adjust(5, ext(6, false))
	s.Adjust(5, ext(1, true)) // the last word counts
	s.Adjust(3, ext(0, false))
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
	five := check(5, ext(7, false), ext(1, true)) // the frame is younger than the field
	check(7, Params{}, ext(3, false))
	check(3, Params{}, ext(3, false)) // was closed when stream 5 opened
	s.Adjust(5, ext(2, false))
	if got, want := five.Params(), ext(2, false); got != want {
		t.Errorf("after Adjust %+v, want %+v", got, want)
	}
	s.Close(five)
	if got := five.Params(); got != (Params{}) {
		t.Errorf("closed, and has %+v", got)
	}
	s.Adjust(5, ext(0, false)) // closed
	if e := s.(*extensible); len(e.words) != 0 {
		t.Errorf("%d words are kept, no stream is idle", len(e.words))
	}
	s.Adjust(2, ext(0, false)) // streams of the server have their own order
	check(2, Params{}, ext(0, false))
}

// 100,000 words for idle streams: the last of them are kept.
func TestExtensibleIdleBound(t *testing.T) {
	s := NewExtensible()
	for i := range uint32(100_000) {
		s.Adjust(2*i+1, ext(uint8(i%8), true))
	}
	e := s.(*extensible)
	if len(e.words) != maxWords || cap(e.words) > 2*maxWords {
		t.Errorf("%d words are kept in a list of %d, want %d", len(e.words), cap(e.words), maxWords)
	}
	n := &Node{ID: 2*99_998 + 1}
	s.Open(n, Params{})
	if got, want := n.Params(), ext(99_998%8, true); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// 100,000 words for 10,000 streams that are open and ready, each moving one: time
// and memory are bounded. What was used by many streams is given back.
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
		t.Errorf("100,000 words took %v", took)
	}
	checkExtensible(t, s)
	for _, n := range nodes {
		s.Close(n)
	}
	if s.nodes.most != 0 {
		t.Error("the table was not shrunk")
	}
	for u := range s.levels {
		if c := cap(s.levels[u].queue); c > keepHeap {
			t.Errorf("an empty queue keeps room for %d", c)
		}
	}
}
