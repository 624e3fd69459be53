package priority

import (
	"math/rand/v2"
	"testing"
)

// Random calls, against a model that keeps lists and sorts them.
func TestExtensibleRandom(t *testing.T) {
	forSeeds(t, 10_000, 5, func(_ uint64, rng *rand.Rand) { randomExtensible(t, rng, 100) })
}

func FuzzExtensible(f *testing.F) {
	f.Add(uint64(1), uint16(500))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		randomExtensible(t, rand.New(rand.NewPCG(seed, 7)), int(steps%5000))
	})
}

func randomExtensible(t *testing.T, rng *rand.Rand, steps int) {
	s := NewExtensible().(*extensible)
	m := newExtensibleModel()
	nodes := make(map[uint32]*Node)
	randomParams := func() Params {
		p := ext(uint8(rng.IntN(9)), rng.IntN(2) == 0)
		p.Extensible = rng.IntN(8) > 0
		p.Tree = rng.IntN(2) > 0
		return p
	}
	next := uint32(1)
	sizes := []int{0, 100, 1000, 16384, 16384, 1 << 20}
	for step := range steps {
		id := uint32(rng.IntN(int(next) + 4))
		n := nodes[id]
		switch rng.IntN(12) {
		case 0, 1:
			if len(nodes) > 12 {
				break
			}
			id = next + 2*uint32(rng.IntN(2))
			next = id + 2
			n, p := &Node{ID: id}, randomParams()
			nodes[id] = n
			s.Open(n, p)
			m.open(id, p)
		case 2:
			if n != nil && rng.IntN(3) == 0 {
				s.Close(n)
				m.close(id)
				delete(nodes, id)
			}
		case 3:
			p := randomParams()
			s.Adjust(id, p)
			m.adjust(id, p)
		case 4, 5, 6:
			if n != nil {
				s.Ready(n)
				m.setReady(id)
			}
		case 7:
			if n != nil {
				s.Unready(n)
				m.unready(id)
			}
		default:
			got := s.Next()
			want := m.next()
			if got == nil || want == 0 {
				if got != nil || want != 0 {
					t.Errorf("step %d: Next = %v, want stream %d", step, got, want)
				}
				break
			}
			if got.ID != want {
				t.Errorf("step %d: Next = stream %d, want %d", step, got.ID, want)
			}
			bytes := sizes[rng.IntN(len(sizes))]
			s.Sent(got, bytes)
			m.sent(got.ID, bytes)
		}
		checkExtensible(t, s)
		if t.Failed() {
			return
		}
	}
}

// checkExtensible fails when the state of s is inconsistent.
func checkExtensible(t *testing.T, s *extensible) {
	t.Helper()
	ready := 0
	for u := range s.levels {
		l := &s.levels[u]
		if l.empty() == (s.ready&(1<<u) != 0) {
			t.Errorf("level %d is empty: %v, ready levels %08b", u, l.empty(), s.ready)
		}
		for i, n := range l.sequential {
			if int(n.index) != i || n.packed.urgency() != u || n.packed.incremental() || !n.open {
				t.Errorf("stream %d with class %x is in the queue %d at %d and %d", n.ID, n.packed, u, i, n.index)
			}
			if i > 0 && n.before(l.sequential[(i-1)/2]) {
				t.Errorf("level %d: no heap at %d", u, i)
			}
		}
		ready += len(l.sequential)
		if waiting := ringSize(l.rotation.head); waiting != len(l.sequential) {
			t.Errorf("level %d: %d in the queue, %d may wait", u, len(l.sequential), waiting)
		}
		ready += ringSize(l.incremental.head)
		if balance := max(l.balance, -l.balance); balance > 4<<20 {
			t.Errorf("level %d: one kind is ahead by %d", u, balance)
		}
	}
	for _, n := range s.nodes.All() {
		if n.next != nil {
			ready--
		}
	}
	if ready != 0 {
		t.Errorf("%d more are ready than open", ready)
	}
}

func ringSize(head *Node) int {
	if head == nil {
		return 0
	}
	n := 1
	for x := head.next; x != head; x = x.next {
		n++
	}
	return n
}
