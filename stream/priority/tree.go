package priority

import (
	"fmt"

	"github.com/sluice-go/sluice/stream"
)

const (
	// defaultWeight is the weight where none is stated (RFC 7540 §5.3.5).
	defaultWeight = 16
	// maxKept bounds how many places are kept of streams that are closed, and as
	// many again of streams that are idle (RFC 7540 §5.3.4).
	maxKept = 100
	// restKept is how many of the closed ones are kept while no stream is open, so
	// that an idle connection costs little.
	restKept = 16
	// maxDepth is how deep a tree may be. Browsers that chain all they load come
	// near to it, and a frame at the end of that costs one to three microseconds.
	maxDepth = 128
)

// tree serves streams by dependency and weight (RFC 7540 §5.3).
type tree struct {
	root   place
	places stream.Table[*place] // all but the root
	most   int                  // how many there have been since the table was shrunk
	idle   keepers              // places of streams that have never been open
	closed keepers              // places of streams that have been
	opened opened
	open   int // how many streams are
	rest   int // restKept, or less in tests
	depth  int // maxDepth, or less in tests
	pool   pool
	path   []*place // scratch
}

// NewTree returns a Scheduler for the dependency tree of RFC 7540 §5.3. A stream
// sends when it is ready and no stream that it depends on is; streams that depend
// on the same one share octets in proportion to their weights, and what a stream
// cannot use goes to those that depend on it, then to its neighbours. Where
// nothing is stated a stream depends on the root and has weight 16.
//
// The places of the last 100 streams that have closed are kept, 16 when no stream
// is open, and of 100 idle streams that were given a priority, counted from when
// they were last stated or depended on. A place that is not kept any more goes
// when no two streams depend on it: one that does takes its weight and place.
// Until then they go on sharing its weight, which is what RFC 7540 §5.3.4 asks
// for, without the loss that it describes.
//
// A dependency on a stream that has no place is the default priority (RFC 7540
// §5.3.1), and one on the stream itself is ignored. A tree is not deeper than 128
// streams: what turns out to be deeper when it is used loses, on the way down to
// it, the places that no stream stands behind; if that does not suffice, what is
// below becomes dependent on the 127th.
//
// Priorities of RFC 9218 are ignored. All methods take time proportional to the
// depth of the stream, and at each step logarithmic in the number of siblings that
// have something to send; a move takes no longer, however many streams move along.
func NewTree() Scheduler { return newTree() }

func newTree() *tree {
	return &tree{idle: keepers{limit: maxKept}, closed: keepers{limit: maxKept}, rest: restKept, depth: maxDepth}
}

// Open adds n, not ready, to the place that was prepared for it, or that p says.
func (t *tree) Open(n *Node, p Params) {
	if n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d opened twice", n.ID))
	}
	s := t.find(n.ID)
	switch {
	case s == nil:
		s = t.add(n.ID)
	case s.node != nil:
		panic(fmt.Sprintf("BUG: priority: two streams %d", n.ID))
	case s.kept:
		t.keepers(s).remove(s)
	}
	s.node, s.opened = n, true
	n.open, n.place = true, s
	t.open++
	t.opened.add(n.ID)
	t.prioritize(s, p)
}

// Close removes n; its place is kept. Closing it again does nothing.
func (t *tree) Close(n *Node) {
	if !n.open {
		return
	}
	t.Unready(n)
	s := n.place
	n.open, n.place = false, nil
	s.node = nil
	t.open--
	t.keep(s)
	t.trim()
	if t.open == 0 {
		for t.closed.n > t.rest {
			t.forget(t.closed.oldest)
		}
		t.pool.shrink()
	}
	if t.most > 4*restKept && 4*t.places.Len() < t.most {
		t.places.Shrink()
		t.most = t.places.Len()
	}
}

// Adjust changes the place of a stream that is open, idle, or closed and kept.
func (t *tree) Adjust(id uint32, p Params) {
	if !p.Tree || id == 0 || id == p.DependsOn {
		return
	}
	s := t.find(id)
	if s == nil {
		if !t.opened.idle(id) {
			return
		}
		s = t.add(id)
	}
	t.prioritize(s, p)
}

// Ready lets n take part.
func (t *tree) Ready(n *Node) {
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	s := n.place
	if s.ready {
		return
	}
	s.ready = true
	if t.mark(s) > t.depth {
		t.flatten(s, nil)
	}
}

// Unready takes n out.
func (t *tree) Unready(n *Node) {
	if n.place == nil || !n.place.ready {
		return
	}
	n.place.ready = false
	t.unmark(n.place)
}

// Next returns the first who is ready on the way of the least tags.
func (t *tree) Next() *Node {
	p := &t.root
	for !p.ready {
		if p.deps == nil || len(p.deps.active) == 0 {
			return nil
		}
		p = p.deps.active[0]
	}
	return p.node
}

// Sent charges n, and all that it depends on, for a frame.
func (t *tree) Sent(n *Node, bytes int) {
	if n.place == nil || !n.place.ready {
		return
	}
	steps := 0
	for p := n.place; p.in != nil; p = p.in.owner {
		p.in.charge(p, int64(bytes)+frameHeader)
		steps++
	}
	if steps > t.depth {
		t.flatten(n.place, nil)
	}
}

func (t *tree) find(id uint32) *place {
	p, _ := t.places.Get(id)
	return p
}

// add makes a place with the default priority for a stream that has none.
func (t *tree) add(id uint32) *place {
	p := t.pool.place(id)
	t.places.Put(id, p)
	t.most = max(t.most, t.places.Len())
	t.link(p, &t.root, 0)
	return p
}

// prioritize puts s where p says, if it does (RFC 7540 §5.3.3).
func (t *tree) prioritize(s *place, p Params) {
	if !p.Tree || p.DependsOn == s.id {
		return
	}
	parent, weight, exclusive := &t.root, int32(p.Weight)+1, p.Exclusive
	if p.DependsOn != 0 {
		parent = t.find(p.DependsOn)
	}
	if parent == nil {
		parent, weight, exclusive = &t.root, defaultWeight, false // RFC 7540 §5.3.1
	}
	// What is in use is kept, so nothing below takes these two away.
	t.keep(parent)
	t.keep(s)
	t.trim()
	if depth, _ := t.above(parent, s); depth > t.depth {
		t.flatten(parent, s)
	}
	if _, below := t.above(parent, s); below {
		t.move(parent, s.in.owner, parent.weight, false)
	}
	t.move(s, parent, weight, exclusive)
}

// above walks from p to the root: it returns p's depth, and whether s was there.
func (t *tree) above(p, s *place) (depth int, found bool) {
	for ; p.in != nil; p = p.in.owner {
		found = found || p == s
		depth++
	}
	return depth, found
}
