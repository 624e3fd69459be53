package priority

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Random calls, against a model that knows only who depends on whom.
func TestTreeRandom(t *testing.T) {
	forSeeds(t, 10_000, 11, func(seed uint64, rng *rand.Rand) {
		depth, limit := 2+rng.IntN(6), 2+rng.IntN(4)
		if seed%4 == 0 {
			depth, limit = maxDepth, maxKept
		}
		randomTree(t, rng, depth, limit, 80, seed%50 == 0)
	})
}

func FuzzTree(f *testing.F) {
	f.Add(uint64(1), uint16(500), uint8(4), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16, depth, limit uint8) {
		randomTree(t, rand.New(rand.NewPCG(seed, 13)), 2+int(depth%20), 2+int(limit%20), int(steps%3000), true)
	})
}

func randomTree(t *testing.T, rng *rand.Rand, depth, limit, steps int, share bool) {
	s := newTree()
	s.depth, s.idle.limit, s.closed.limit, s.rest = depth, limit, limit, limit/2
	m := newTreeModel(depth, limit, limit/2)
	nodes := make(map[uint32]*Node)
	next := uint32(1)
	randomID := func() uint32 { return uint32(rng.IntN(int(next) + 6)) }
	randomParams := func() Params {
		p := dep(randomID(), 1+rng.IntN(256))
		p.Exclusive = rng.IntN(4) == 0
		p.Tree = rng.IntN(8) > 0
		return p
	}
	open := 0
	for step := range steps {
		id := randomID()
		n := nodes[id]
		what := rng.IntN(12)
		switch what {
		case 0, 1, 2:
			if open > 12 {
				break
			}
			id = next + uint32(rng.IntN(3))
			next = id + 1
			n, p := &Node{ID: id}, randomParams()
			nodes[id] = n
			s.Open(n, p)
			m.open(id, p)
			open++
		case 3:
			if n != nil {
				s.Close(n)
				m.close(id)
				delete(nodes, id)
				open--
			}
		case 4, 5, 6:
			p := randomParams()
			s.Adjust(id, p)
			m.adjust(id, p)
		case 7, 8:
			if n != nil {
				s.Ready(n)
				m.setReady(id)
			}
		case 9:
			if n != nil {
				s.Unready(n)
				m.places[id].ready = false
			}
		default:
			got := s.Next()
			if got == nil {
				if m.active(0) {
					t.Errorf("step %d: nobody is next", step)
				}
				break
			}
			if !m.mayNext(got.ID) {
				t.Errorf("step %d: stream %d is next", step, got.ID)
			}
			s.Sent(got, rng.IntN(1<<(2*rng.IntN(9))))
			m.sent(got.ID)
		}
		compareTree(t, s, m)
		checkTree(t, s)
		if t.Failed() {
			t.Logf("step %d: %d, stream %d", step, what, id)
			return
		}
	}
	if share && m.active(0) {
		compareShares(t, s, m)
	}
}

// compareTree fails unless s has the places of m, and no others.
func compareTree(t *testing.T, s *tree, m *treeModel) {
	t.Helper()
	for id, want := range m.places {
		p := s.find(id)
		if p == nil {
			t.Errorf("stream %d has no place, want %+v", id, *want)
			continue
		}
		if got := (modelPlace{p.in.owner.id, p.weight, p.node != nil, p.opened, p.ready}); got != *want {
			t.Errorf("stream %d has %+v, want %+v", id, got, *want)
		}
	}
	if s.places.Len() != len(m.places) {
		t.Errorf("%d places, want %d: %s", s.places.Len(), len(m.places), s.root.shape())
	}
}

// compareShares lets those send that are ready, and fails when they do not get
// what their weights say.
func compareShares(t *testing.T, s *tree, m *treeModel) {
	t.Helper()
	want, sent := map[uint32]float64{}, map[uint32]int{}
	for id := range m.places {
		m.flatten(id, 0) // as Sent will
		if n := s.find(id); n != nil {
			s.flatten(n, nil)
		}
	}
	m.shares(0, 1, want)
	least := 1.
	for _, share := range want {
		least = min(least, share)
	}
	if least < 1e-3 {
		return // takes too long to tell
	}
	for range int(40 / least) { // what was sent before is evened out
		s.Sent(s.Next(), 16384)
	}
	frames := int(300 / least)
	for range frames {
		n := s.Next()
		s.Sent(n, 16384)
		sent[n.ID]++
	}
	for id, share := range want {
		if got := float64(sent[id]) / float64(frames); math.Abs(got-share) > 0.02*share {
			t.Errorf("stream %d got %.5f, want %.5f: %s", id, got, share, s.root.shape())
		}
	}
	for id := range sent {
		if want[id] == 0 {
			t.Errorf("stream %d got something: %s", id, s.root.shape())
		}
	}
}

// checkTree fails when s contradicts itself.
func checkTree(t *testing.T, s *tree) {
	t.Helper()
	seen, opened, kept := 0, 0, 0
	var walk func(p *place)
	walk = func(p *place) {
		g := p.deps
		if g == nil {
			return
		}
		if g.owner != p || g.n == 0 || g.n != len(g.members()) {
			t.Errorf("below %d: owner %d, %d members, %d linked", p.id, g.owner.id, g.n, len(g.members()))
		}
		weight := int64(0)
		active := 0
		for _, x := range g.members() {
			seen++
			if x.in != g || s.find(x.id) != x || x.weight < 1 || x.weight > 256 {
				t.Errorf("stream %d: not in its group or the table, or weight %d", x.id, x.weight)
			}
			if x.active() != (x.pos != inactive) {
				t.Errorf("stream %d is active: %v, at %d", x.id, x.active(), x.pos)
			}
			if x.active() {
				active++
				weight += int64(x.weight)
				if g.active[x.pos] != x || x.pos > 0 && x.before(g.active[(x.pos-1)/2]) {
					t.Errorf("stream %d: not its place in the heap", x.id)
				}
			}
			if x.node != nil {
				opened++
				if x.node.place != x || x.kept || !x.opened {
					t.Errorf("stream %d: open, kept %v, opened %v", x.id, x.kept, x.opened)
				}
			} else if x.kept {
				kept++
			} else if x.deps == nil || x.deps.n < 2 {
				t.Errorf("stream %d is not open, not kept and not needed", x.id)
			}
			if x.ready && x.node == nil {
				t.Errorf("stream %d is ready and not open", x.id)
			}
			walk(x)
		}
		if weight != g.weight || active != len(g.active) {
			t.Errorf("below %d: %d active with weight %d, want %d with %d", p.id, len(g.active), g.weight, active, weight)
		}
	}
	walk(&s.root)
	if seen != s.places.Len() || kept != s.idle.n+s.closed.n {
		t.Errorf("%d places in the tree, %d in the table; %d kept, %d and %d in the rings", seen, s.places.Len(), kept, s.idle.n, s.closed.n)
	}
	if s.open != opened || opened == 0 && s.closed.n > s.rest {
		t.Errorf("%d open, counted %d, %d closed are kept", opened, s.open, s.closed.n)
	}
	if s.idle.n > s.idle.limit || s.closed.n > s.closed.limit || seen > max(0, 2*(opened+kept)-1) {
		t.Errorf("%d idle, %d closed, %d open, %d places", s.idle.n, s.closed.n, opened, seen)
	}
}
