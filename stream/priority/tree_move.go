package priority

// move makes x dependent on parent, which must not be below it, with all nodes that depend on x. If
// exclusive is true, the other nodes that depend on parent become dependent on x.
func (t *tree) move(x, parent *treeNode, weight int32, exclusive bool) {
	old, excess := x.siblings.parent, x.siblings.excess(x)
	t.unlink(x)
	x.weight = weight
	if exclusive && parent.children != nil {
		t.reparent(x, parent)
	}
	t.link(x, parent, excess)
	t.prune(old)
}

// reparent makes all nodes that depend on from dependent on x, which is not in the tree. Where both
// have children the fewer of them move to the others, so that a node moves a logarithmic number of
// times, however often that is done. If from was active it stays so: the caller links x below it
// next.
func (t *tree) reparent(x, from *treeNode) {
	moved := from.children
	from.children = nil
	if x.children != nil {
		to := x.children
		if to.n < moved.n {
			moved, to = to, moved
		}
		for moved.n > 0 {
			child := moved.first
			excess, active := moved.excess(child), child.index != inactive
			if active {
				moved.deactivate(child)
			}
			moved.remove(child)
			to.add(child)
			to.setExcess(child, excess)
			if active {
				to.activate(child)
			}
		}
		t.pool.putSiblings(moved)
		moved = to
	}
	x.children, moved.parent = moved, x
}

// link makes x, which is not in the tree, dependent on parent, with the given excess.
func (t *tree) link(x, parent *treeNode, excess int64) {
	if parent.children == nil {
		parent.children = t.pool.getSiblings(parent)
	}
	parent.children.add(x)
	parent.children.setExcess(x, excess)
	if x.active() {
		t.activate(x)
	}
}

// unlink removes x, with all nodes that depend on it, from the tree.
func (t *tree) unlink(x *treeNode) {
	g := x.siblings
	if x.index != inactive {
		g.deactivate(x)
		t.deactivate(g.parent)
	}
	g.remove(x)
	if g.n == 0 {
		g.parent.children = nil
		t.pool.putSiblings(g)
	}
}

// activate adds x, which has become active, and the nodes that it depends on to the active ones of
// their siblings, up to the first that is there already. It returns how many nodes it has added.
func (t *tree) activate(x *treeNode) (steps int) {
	for ; x.siblings != nil && x.index == inactive; x = x.siblings.parent {
		x.siblings.activate(x)
		steps++
	}
	return steps
}

// deactivate removes x and the nodes that it depends on from the active ones of their siblings, up
// to the first that is still active.
func (t *tree) deactivate(x *treeNode) {
	for ; x.siblings != nil && x.index != inactive && !x.active(); x = x.siblings.parent {
		x.siblings.deactivate(x)
	}
}

// lruOf returns the lru in which x is retained.
func (t *tree) lruOf(x *treeNode) *lru {
	if x.opened {
		return &t.closed
	}
	return &t.idle
}

// retain makes x the node of its lru that was used last. It does nothing for the root and for open
// streams. The lru may be above its limit until evictOld is called.
func (t *tree) retain(x *treeNode) {
	if x.stream != nil || x == &t.root {
		return
	}
	l := t.lruOf(x)
	if x.retained {
		l.remove(x)
	}
	l.push(x)
}

// evictOld evicts the nodes that were not used for the longest time, down to the limits.
func (t *tree) evictOld() {
	for _, l := range [...]*lru{&t.idle, &t.closed} {
		for l.n > l.limit {
			t.evict(l.oldest)
		}
	}
}

// evict stops retaining x, and removes it if it is not needed.
func (t *tree) evict(x *treeNode) {
	t.lruOf(x).remove(x)
	t.prune(x)
}

// prune removes x if its stream is not open, it is not retained and at most one node depends on it,
// and then its former parent under the same conditions, and so on. The only child of a removed node
// gets its parent and its weight.
func (t *tree) prune(x *treeNode) {
	for x.stream == nil && !x.retained && x.siblings != nil && (x.children == nil || x.children.n == 1) {
		parent, weight, excess := x.siblings.parent, x.weight, x.siblings.excess(x)
		if x.children != nil {
			child := x.children.first
			t.unlink(child)
			child.weight = weight
			t.unlink(x)
			t.link(child, parent, excess)
		} else {
			t.unlink(x)
		}
		t.nodes.Delete(x.id)
		t.pool.putNode(x)
		x = parent
	}
}

// flatten makes the path from the root to x no longer than depthLimit. It removes neither x nor
// other. It takes time for each node on the path. The nodes that were too deep are not too deep
// afterwards, so the peer must send frames that make them so before the same costs arise again.
func (t *tree) flatten(x, other *treeNode) {
	path := t.path[:0] // from x up
	for y := x; y.siblings != nil; y = y.siblings.parent {
		path = append(path, y)
	}
	if len(path) > t.depthLimit {
		// First remove retained nodes with one child, which changes no stream's share.
		left := path[:0]
		for _, y := range path {
			if y.retained && y.children != nil && y.children.n == 1 && y != x && y != other {
				t.evict(y)
			} else {
				left = append(left, y)
			}
		}
		// Then make all deeper nodes dependent on the last but one of the limit.
		for i := range len(left) - t.depthLimit {
			if y := left[i]; y.siblings != nil { // else it was removed when its child was moved
				t.move(y, left[len(left)-t.depthLimit+1], y.weight, false)
			}
		}
	}
	clear(path)
	t.path = path[:0]
}
