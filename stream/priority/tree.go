package priority

import (
	"fmt"

	"github.com/sluice-go/sluice/stream"
)

// DefaultWeight is the weight of a stream for which none is stated, as on the wire: 15 is a weight
// of 16 (RFC 7540 §5.3.5).
const DefaultWeight = 16 - 1

const (
	// maxRetained bounds how many nodes of closed streams are kept, and of idle ones
	// (RFC 7540 §5.3.4).
	maxRetained = 100
	// maxRetainedIdle is how many nodes of closed streams are kept while no stream is open, so that
	// an idle connection needs little memory.
	maxRetainedIdle = 16
	// maxDepth is how deep a tree may be. Browsers that chain all that they load come near to it,
	// and a frame at the end of such a chain costs one to three microseconds.
	maxDepth = 128
)

// tree serves streams by dependency and weight (RFC 7540 §5.3).
type tree struct {
	root   treeNode
	nodes  stream.Table[*treeNode] // all nodes but the root, by identifier
	peak   int                     // the most nodes there have been since the table was shrunk
	idle   lru                     // nodes of streams that were never open
	closed lru                     // nodes of streams that were open and are closed
	opened highestOpened
	open   int // streams that are open

	closedIdleLimit int // the limit of closed while no stream is open: maxRetainedIdle, less in tests
	depthLimit      int // maxDepth, less in tests

	pool treePool
	path []*treeNode // memory that flatten uses again
}

// NewTree returns a Scheduler for the dependency tree of RFC 7540 §5.3. A stream sends when it is
// ready and no stream that it depends on is; streams that depend on the same one share octets in
// proportion to their weights. What a stream cannot use goes to the streams that depend on it, then
// to its siblings. A stream for which nothing is stated depends on the root and has weight 16.
//
// The nodes of the last 100 streams that have closed are kept, 16 while no stream is open, and
// those of 100 idle streams that were given a priority: of both the ones that were stated or
// depended on last. A node that is not kept any more is removed when no two streams depend on it:
// the one that does gets its parent and its weight. Until then the streams go on sharing its
// weight, which is what RFC 7540 §5.3.4 asks for, without the loss that it describes.
//
// A dependency on a stream that has no node is the default priority (RFC 7540 §5.3.1), and a
// dependency of a stream on itself is ignored. A tree is not deeper than 128 streams: where a
// longer path is used, nodes on it that have no open stream are removed; if that does not suffice,
// what is below the 127th node becomes dependent on that.
//
// Priorities of RFC 9218 are ignored. All methods take time proportional to the depth of the
// stream, and at each level logarithmic in the number of siblings that have something to send. A
// move takes no longer, however many streams depend on the one that moves.
func NewTree() Scheduler { return newTree() }

func newTree() *tree {
	return &tree{
		idle: lru{limit: maxRetained}, closed: lru{limit: maxRetained},
		closedIdleLimit: maxRetainedIdle, depthLimit: maxDepth,
	}
}

// Open adds n, not ready, where its priority was stated before, or where p says.
func (t *tree) Open(n *Node, p Params) {
	if n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d opened twice", n.ID))
	}
	x := t.find(n.ID)
	switch {
	case x == nil:
		x = t.add(n.ID)
	case x.stream != nil:
		panic(fmt.Sprintf("BUG: priority: two streams %d", n.ID))
	case x.retained:
		t.lruOf(x).remove(x)
	}
	x.stream, x.opened = n, true
	n.open, n.treeNode = true, x
	t.open++
	t.opened.add(n.ID)
	t.prioritize(x, p)
}

// Close removes n and retains its tree node. Closing it again does nothing.
func (t *tree) Close(n *Node) {
	if !n.open {
		return
	}
	t.Unready(n)
	x := n.treeNode
	n.open, n.treeNode = false, nil
	x.stream = nil
	t.open--
	t.retain(x)
	t.evictOld()
	if t.open == 0 {
		for t.closed.n > t.closedIdleLimit {
			t.evict(t.closed.oldest)
		}
		t.pool.shrink()
	}
	if t.peak > 4*maxRetainedIdle && 4*t.nodes.Len() < t.peak {
		t.nodes.Shrink()
		t.peak = t.nodes.Len()
	}
}

// Adjust changes parent and weight of a stream that is open, idle, or closed and retained.
func (t *tree) Adjust(id uint32, p Params) {
	if !p.Tree || id == 0 || id == p.DependsOn {
		return
	}
	x := t.find(id)
	if x == nil {
		if !t.opened.idle(id) {
			return
		}
		x = t.add(id)
	}
	t.prioritize(x, p)
}

// Ready makes n ready.
func (t *tree) Ready(n *Node) {
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	x := n.treeNode
	if x.ready {
		return
	}
	x.ready = true
	if t.activate(x) > t.depthLimit {
		t.flatten(x, nil)
	}
}

// Unready makes n not ready.
func (t *tree) Unready(n *Node) {
	if n.treeNode == nil || !n.treeNode.ready {
		return
	}
	n.treeNode.ready = false
	t.deactivate(n.treeNode)
}

// Next returns the first ready stream on the path of the least tags from the root down.
func (t *tree) Next() *Node {
	x := &t.root
	for !x.ready {
		if x.children == nil || len(x.children.active) == 0 {
			return nil
		}
		x = x.children.active[0]
	}
	return x.stream
}

// Sent charges n, and all streams that it depends on, for a frame.
func (t *tree) Sent(n *Node, bytes int) {
	if n.treeNode == nil || !n.treeNode.ready {
		return
	}
	depth := 0
	for x := n.treeNode; x.siblings != nil; x = x.siblings.parent {
		x.siblings.charge(x, int64(bytes)+frameHeader)
		depth++
	}
	if depth > t.depthLimit {
		t.flatten(n.treeNode, nil)
	}
}

// find returns the node of stream id, or nil.
func (t *tree) find(id uint32) *treeNode {
	x, _ := t.nodes.Get(id)
	return x
}

// add adds a node with the default priority for a stream that has none.
func (t *tree) add(id uint32) *treeNode {
	x := t.pool.getNode(id)
	t.nodes.Put(id, x)
	t.peak = max(t.peak, t.nodes.Len())
	t.link(x, &t.root, 0)
	return x
}

// prioritize moves x where p says. It does nothing if p states no dependency, or one of x on itself
// (RFC 7540 §5.3.3).
func (t *tree) prioritize(x *treeNode, p Params) {
	if !p.Tree || p.DependsOn == x.id {
		return
	}
	parent, weight, exclusive := &t.root, int32(p.Weight)+1, p.Exclusive
	if p.DependsOn != 0 {
		parent = t.find(p.DependsOn)
	}
	if parent == nil {
		parent, weight, exclusive = &t.root, DefaultWeight+1, false // RFC 7540 §5.3.1
	}
	// Both become the nodes used last, so evictOld and what follows do not remove them.
	t.retain(parent)
	t.retain(x)
	t.evictOld()
	if depth, _ := t.depthOf(parent, x); depth > t.depthLimit {
		t.flatten(parent, x)
	}
	if _, below := t.depthOf(parent, x); below {
		t.move(parent, x.siblings.parent, parent.weight, false)
	}
	t.move(x, parent, weight, exclusive)
}

// depthOf returns the depth of x, 0 for the root, and whether x is ancestor or depends on it.
func (t *tree) depthOf(x, ancestor *treeNode) (depth int, below bool) {
	for ; x.siblings != nil; x = x.siblings.parent {
		below = below || x == ancestor
		depth++
	}
	return depth, below
}
