package priority

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Random calls, against a model that stores only which stream depends on which.
func TestTreeRandom(t *testing.T) {
	forSeeds(t, 10_000, 11, func(seed uint64, rng *rand.Rand) {
		depth, limit := 2+rng.IntN(6), 2+rng.IntN(4)
		if seed%4 == 0 {
			depth, limit = maxDepth, maxRetained
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
	s.depthLimit, s.idle.limit, s.closed.limit, s.closedIdleLimit = depth, limit, limit, limit/2
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
				m.nodes[id].ready = false
			}
		default:
			got := s.Next()
			if got == nil {
				if m.active(0) {
					t.Errorf("step %d: Next returns nil", step)
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

// compareTree fails unless s has the nodes of m, and no others.
func compareTree(t *testing.T, s *tree, m *treeModel) {
	t.Helper()
	for id, want := range m.nodes {
		x := s.find(id)
		if x == nil {
			t.Errorf("stream %d has no node, want %+v", id, *want)
			continue
		}
		if got := (modelNode{x.siblings.parent.id, x.weight, x.stream != nil, x.opened, x.ready}); got != *want {
			t.Errorf("stream %d has %+v, want %+v", id, got, *want)
		}
	}
	if s.nodes.Len() != len(m.nodes) {
		t.Errorf("%d nodes, want %d: %s", s.nodes.Len(), len(m.nodes), s.root.shape())
	}
}

// compareShares lets the ready streams send, and fails unless their shares are those of their
// weights.
func compareShares(t *testing.T, s *tree, m *treeModel) {
	t.Helper()
	want, sent := map[uint32]float64{}, map[uint32]int{}
	for id := range m.nodes {
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
		return // measuring such a small share takes too long
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

// checkTree fails when the state of s is inconsistent.
func checkTree(t *testing.T, s *tree) {
	t.Helper()
	seen, opened, retained := 0, 0, 0
	var walk func(parent *treeNode)
	walk = func(parent *treeNode) {
		g := parent.children
		if g == nil {
			return
		}
		if g.parent != parent || g.n == 0 || g.n != len(g.members()) {
			t.Errorf("below %d: parent %d, %d nodes, %d linked", parent.id, g.parent.id, g.n, len(g.members()))
		}
		weight := int64(0)
		active := 0
		for _, x := range g.members() {
			seen++
			if x.siblings != g || s.find(x.id) != x || x.weight < 1 || x.weight > 256 {
				t.Errorf("stream %d: not among its siblings or not in the table, or weight %d", x.id, x.weight)
			}
			if x.active() != (x.index != inactive) {
				t.Errorf("stream %d is active: %v, at %d", x.id, x.active(), x.index)
			}
			if x.active() {
				active++
				weight += int64(x.weight)
				if g.active[x.index] != x || x.index > 0 && x.before(g.active[(x.index-1)/2]) {
					t.Errorf("stream %d: wrong index in the heap", x.id)
				}
			}
			if x.stream != nil {
				opened++
				if x.stream.treeNode != x || x.retained || !x.opened {
					t.Errorf("stream %d: open, retained %v, opened %v", x.id, x.retained, x.opened)
				}
			} else if x.retained {
				retained++
			} else if x.children == nil || x.children.n < 2 {
				t.Errorf("stream %d is not open, not retained and not needed", x.id)
			}
			if x.ready && x.stream == nil {
				t.Errorf("stream %d is ready and not open", x.id)
			}
			walk(x)
		}
		if weight != g.activeWeight || active != len(g.active) {
			t.Errorf("below %d: %d active with weight %d, want %d with %d", parent.id, len(g.active), g.activeWeight,
				active, weight)
		}
	}
	walk(&s.root)
	if seen != s.nodes.Len() || retained != s.idle.n+s.closed.n {
		t.Errorf("%d nodes in the tree, %d in the table; %d retained, %d and %d in the lists", seen, s.nodes.Len(),
			retained, s.idle.n, s.closed.n)
	}
	if s.open != opened || opened == 0 && s.closed.n > s.closedIdleLimit {
		t.Errorf("%d open, counted %d, %d closed are retained", opened, s.open, s.closed.n)
	}
	if s.idle.n > s.idle.limit || s.closed.n > s.closed.limit || seen > max(0, 2*(opened+retained)-1) {
		t.Errorf("%d idle, %d closed, %d open, %d nodes", s.idle.n, s.closed.n, opened, seen)
	}
}
