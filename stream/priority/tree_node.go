package priority

// treeNode is a stream in the dependency tree (RFC 7540 §5.3): one that is open, one that is idle
// and was given a priority, or one that is closed.
type treeNode struct {
	id       uint32
	index    int32 // index in siblings.active, or inactive
	weight   int32 // 1 to 256
	ready    bool  // stream is ready
	opened   bool  // the stream is open or was open
	retained bool  // the node is in an lru: it is kept though the stream is not open
	stream   *Node // the open stream; nil: it is idle or closed

	siblings   *siblings // the nodes with the same parent, this one included; nil for the root
	prev, next *treeNode // neighbours in the ring of siblings
	tag        vtime     // virtual time of siblings at which the next frame is due
	children   *siblings // the nodes that depend on this one; nil when there are none

	older, newer *treeNode // neighbours in the ring of an lru
}

// inactive is the index of a node that is not in the heap of its siblings.
const inactive = -1

func (x *treeNode) before(y *treeNode) bool {
	if x.tag != y.tag {
		return x.tag.since(y.tag) < 0
	}
	return x.id < y.id
}

func (x *treeNode) heapIndex() *int32 { return &x.index }

// active reports whether x, or a stream below it, is ready.
func (x *treeNode) active() bool {
	return x.ready || x.children != nil && len(x.children.active) > 0
}

// params returns the priority that would put a stream where x is.
func (x *treeNode) params() Params {
	return Params{Tree: true, DependsOn: x.siblings.parent.id, Weight: uint8(x.weight - 1)}
}

// lru is a list of nodes without an open stream that are retained, in the order of their last use.
type lru struct {
	oldest *treeNode
	n      int
	limit  int
}

// push adds x as the node that was used last.
func (l *lru) push(x *treeNode) {
	x.retained = true
	l.n++
	if l.oldest == nil {
		x.older, x.newer = x, x
		l.oldest = x
		return
	}
	x.older, x.newer = l.oldest.older, l.oldest
	x.older.newer, x.newer.older = x, x
}

func (l *lru) remove(x *treeNode) {
	x.retained = false
	l.n--
	if l.oldest == x {
		l.oldest = x.newer
	}
	if l.n == 0 {
		l.oldest = nil
	} else {
		x.older.newer, x.newer.older = x.newer, x.older
	}
	x.older, x.newer = nil, nil
}
