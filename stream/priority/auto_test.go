package priority

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Which scheme the first priorities select, and which priorities the open streams have then.
func TestAutoSelectsScheme(t *testing.T) {
	for _, test := range []struct {
		name   string
		adjust []Params // of stream 3
		order  []uint32 // of streams 1, 3 and 5, which are ready
		params Params   // of stream 3
	}{
		{"nothing", nil, []uint32{1, 3, 5, 1, 3, 5}, Params{}},
		{"nothing new", []Params{dep(0, 16), {}}, []uint32{1, 3, 5, 1, 3, 5}, Params{}},
		{"RFC 9218", []Params{ext(3, true)}, []uint32{1, 3, 1, 3, 1, 3}, ext(3, true)},
		{"RFC 9218, the default", []Params{ext(3, false)}, []uint32{1, 1, 1, 1, 1, 1}, ext(3, false)},
		{"RFC 9218, urgent", []Params{ext(1, false)}, []uint32{3, 3, 3, 3, 3, 3}, ext(1, false)},
		{"RFC 7540, the weight", []Params{dep(0, 32)}, []uint32{1, 3, 5, 3, 1, 3}, dep(0, 32)},
		{"RFC 7540, exclusive", []Params{exclusive(0, 16)}, []uint32{3, 3, 3, 3, 3, 3}, dep(0, 16)},
		{"RFC 7540, a dependency", []Params{dep(5, 16)}, []uint32{1, 5, 1, 5, 1, 5}, dep(5, 16)},
		{"RFC 7540 and back", []Params{dep(5, 1), dep(0, 16)}, []uint32{1, 3, 5, 1, 3, 5}, dep(0, 16)},
		{"RFC 7540, then RFC 9218", []Params{dep(5, 16), ext(3, true)}, []uint32{1, 3, 1, 3, 1, 3}, ext(3, true)},
		{"RFC 9218, then RFC 7540", []Params{ext(3, true), exclusive(0, 16)}, []uint32{1, 3, 1, 3, 1, 3}, ext(3, true)},
		{
			"both",
			[]Params{{Tree: true, Exclusive: true, Extensible: true, Urgency: 4}},
			[]uint32{1, 1, 1, 1, 1, 1},
			ext(4, false),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewAuto()
			n := open(s, 3)
			for _, p := range test.adjust {
				s.Adjust(3, p)
			}
			if got := n[1].Params(); got != test.params {
				t.Errorf("stream 3 has %+v, want %+v", got, test.params)
			}
			if got := order(s, len(test.order), 16384); !slices.Equal(got, test.order) {
				t.Errorf("order %v, want %v", got, test.order)
			}
			for _, n := range n {
				s.Unready(n)
				s.Close(n)
				s.Close(n)
			}
			if got := s.Next(); got != nil {
				t.Errorf("stream %d is ready, all are closed", got.ID)
			}
		})
	}
}

// What this side decides for stream 3 counts within the scheme that the peer uses.
func TestAutoDecide(t *testing.T) {
	for _, test := range []struct {
		name    string
		peer    []Params // of stream 1
		decided []Params // of stream 3
		order   []uint32 // of streams 1, 3 and 5, which are ready
	}{
		{"the peer states nothing", nil, []Params{ext(1, false)}, []uint32{3, 3, 3, 3}},
		{"the peer states a dependency", []Params{exclusive(0, 16)}, []Params{ext(1, false)}, []uint32{1, 1, 1, 1}},
		{"in the tree", []Params{dep(0, 32)}, []Params{exclusive(0, 16)}, []uint32{3, 3, 3, 3}},
		{
			"in both",
			[]Params{dep(0, 32)},
			[]Params{{Tree: true, Exclusive: true, Extensible: true, Urgency: 7}},
			[]uint32{3, 3, 3, 3},
		},
		{"the peer states an urgency", []Params{ext(2, false)}, []Params{ext(1, false)}, []uint32{3, 3, 3, 3}},
		{"nothing", nil, []Params{{}}, []uint32{1, 3, 5, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewAuto()
			open(s, 3)
			for _, p := range test.peer {
				s.Adjust(1, p)
			}
			for _, p := range test.decided {
				Decide(s, 3, p)
			}
			if got := order(s, len(test.order), 16384); !slices.Equal(got, test.order) {
				t.Errorf("order %v, want %v", got, test.order)
			}
		})
	}
	s := NewExtensible()
	n := open(s, 2)
	Decide(s, 3, ext(1, false)) // as Adjust
	if got := n[1].Params(); got != ext(1, false) {
		t.Errorf("stream 3 has %+v", got)
	}
}

// The first priority may name a stream that is idle, or come with the stream.
func TestAutoIdleStreams(t *testing.T) {
	s := NewAuto()
	open(s, 3)
	s.Adjust(9, ext(1, true))
	if _, ok := s.(*auto).selected.(*extensible); !ok {
		t.Error("a priority of RFC 9218 for an idle stream has not selected that scheme")
	}
	n := &Node{ID: 9}
	s.Open(n, ext(1, true))
	if got := n.Params(); got != ext(1, true) {
		t.Errorf("idle before: %+v", got)
	}

	s = NewAuto()
	nodes := open(s, 3)
	s.Close(nodes[1])
	s.Adjust(3, dep(1, 7)) // closed, and has no node
	s.Adjust(9, dep(1, 7))
	s.Open(n1(9), Params{})
	if got, want := s.(*auto).tree.root.shape(), "1:16(9:7) 5:16"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Open(n1(11), ext(0, true))
	if n := s.Next(); n.ID != 1 {
		t.Errorf("stream %d, want 1", n.ID)
	}

	s = NewAuto()
	open(s, 2)
	s.Open(n1(9), dep(3, 16))
	if got, want := s.(*auto).tree.root.shape(), "1:16 3:16(9:16)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func n1(id uint32) *Node { return &Node{ID: id} }

// The shares when the link is the bottleneck.
func TestAutoShares(t *testing.T) {
	for name, shares := range map[string][]wantedShare{
		"round robin": {{1, Params{}, 1000, .5}, {3, Params{}, 0, .5}},
		"RFC 7540":    {{1, Params{}, 1000, .25}, {3, dep(0, 48), 0, .75}},
		"RFC 9218":    {{1, Params{}, 1000, 1. / 64}, {3, ext(2, false), 0, 63. / 64}},
		"both": {
			{1, dep(0, 48), 0, .5}, {3, ext(2, true), 0, .25}, {5, ext(2, true), 0, .25}, {7, ext(2, false), 0, .5},
		},
	} {
		if name == "both" { // stream 1 has the default of RFC 9218
			shares[0].share, shares[1].share, shares[2].share, shares[3].share = 1./64, 63./64/4, 63./64/4, 63./64/2
		}
		t.Run(name, func(t *testing.T) { checkShares(t, NewAuto(), 1<<30, shares) })
	}
}

// Random calls: the scheme is the one that was asked for, no stream is lost when it changes, and
// the tree is that of the model from then on.
func TestAutoRandom(t *testing.T) {
	forSeeds(t, 2000, 19, func(_ uint64, rng *rand.Rand) { randomAuto(t, rng, 80) })
}

func FuzzAuto(f *testing.F) {
	f.Add(uint64(1), uint16(500))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		randomAuto(t, rand.New(rand.NewPCG(seed, 23)), int(steps%3000))
	})
}

func randomAuto(t *testing.T, rng *rand.Rand, steps int) {
	s := NewAuto().(*auto)
	m := autoModel{nodes: map[uint32]*Node{}, ready: map[uint32]bool{}}
	next := uint32(1)
	randomParams := func() (p Params) {
		switch rng.IntN(40) {
		case 0:
			p = ext(uint8(rng.IntN(8)), rng.IntN(2) == 0)
			p.Tree = rng.IntN(2) == 0
		case 1, 2, 3:
			p = dep(uint32(rng.IntN(int(next)+2)), 1+rng.IntN(256))
			p.Exclusive = rng.IntN(3) == 0
		case 4, 5:
			p = dep(0, 16)
		}
		return p
	}
	for step := range steps {
		id := uint32(rng.IntN(int(next) + 4))
		n := m.nodes[id]
		switch rng.IntN(9) {
		case 0, 1:
			if len(m.nodes) > 10 {
				break
			}
			id = next + uint32(rng.IntN(3))
			next = id + 1
			n, p := &Node{ID: id}, randomParams()
			s.Open(n, p)
			m.open(n, p)
		case 2:
			if n != nil {
				s.Close(n)
				m.close(id)
			}
		case 3, 4:
			p := randomParams()
			s.Adjust(id, p)
			m.adjust(id, p)
		case 5, 6:
			if n != nil {
				s.Ready(n)
				m.setReady(id, true)
			}
		case 7:
			if n != nil {
				s.Unready(n)
				m.setReady(id, false)
			}
		default:
			got := s.Next()
			if (got == nil) != (len(m.ready) == 0) || got != nil && !m.ready[got.ID] {
				t.Errorf("step %d: Next = %v, ready are %v", step, got, m.ready)
			}
			if got != nil {
				s.Sent(got, rng.IntN(20_000))
				if m.tree != nil {
					m.tree.sent(got.ID)
				}
			}
		}
		m.check(t, s)
		if t.Failed() {
			t.Logf("step %d", step)
			return
		}
	}
}

// autoModel has the streams that are open and ready, and the model of the scheme.
type autoModel struct {
	nodes map[uint32]*Node
	ready map[uint32]bool
	last  [2]uint32
	tree  *treeModel
	ext   *extensibleModel
}

func (m *autoModel) selectScheme(p Params) {
	switch {
	case p.Extensible && m.ext == nil:
		m.tree, m.ext = nil, newExtensibleModel()
		for id := range m.nodes {
			m.ext.open(id, Params{})
		}
	case p.Tree && m.tree == nil && m.ext == nil && p != dep(0, 16):
		m.tree = newTreeModel(maxDepth, maxRetained, maxRetainedIdle)
		for id := range m.nodes {
			m.tree.open(id, Params{})
			m.tree.nodes[id].ready = m.ready[id]
		}
		m.tree.last = m.last
	}
}

func (m *autoModel) open(n *Node, p Params) {
	m.selectScheme(p)
	m.nodes[n.ID] = n
	m.last[n.ID%2] = max(m.last[n.ID%2], n.ID)
	if m.tree != nil {
		m.tree.open(n.ID, p)
	}
	if m.ext != nil {
		m.ext.open(n.ID, p)
	}
}

func (m *autoModel) close(id uint32) {
	delete(m.nodes, id)
	delete(m.ready, id)
	if m.tree != nil {
		m.tree.close(id)
	}
	if m.ext != nil {
		m.ext.close(id)
	}
}

func (m *autoModel) adjust(id uint32, p Params) {
	m.selectScheme(p)
	if m.tree != nil {
		m.tree.adjust(id, p)
	}
	if m.ext != nil {
		m.ext.adjust(id, p)
	}
}

func (m *autoModel) setReady(id uint32, ready bool) {
	switch {
	case m.tree != nil && ready:
		m.tree.setReady(id)
	case m.tree != nil:
		m.tree.nodes[id].ready = false
	}
	if ready {
		m.ready[id] = true
	} else {
		delete(m.ready, id)
	}
}

func (m *autoModel) check(t *testing.T, s *auto) {
	t.Helper()
	switch scheme := s.selected.(type) {
	case *tree:
		if m.tree == nil || scheme != s.tree {
			t.Error("it became a tree")
			return
		}
		compareTree(t, scheme, m.tree)
		checkTree(t, scheme)
	case *extensible:
		if m.ext == nil || s.tree != nil {
			t.Error("it became that of RFC 9218")
			return
		}
		checkExtensible(t, scheme)
		for id, want := range m.ext.streams {
			if got := m.nodes[id].Params(); got != want {
				t.Errorf("stream %d has %+v, want %+v", id, got, want)
			}
		}
	default:
		if m.tree != nil || m.ext != nil {
			t.Error("it is still a round robin")
		}
		ready := ringSize(s.rr.head)
		if open := ringSize(s.notReady.head) + ready; open != len(m.nodes) || ready != len(m.ready) {
			t.Errorf("%d open, %d ready; want %d and %d", open, ready, len(m.nodes), len(m.ready))
		}
	}
}
