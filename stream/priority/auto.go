package priority

// auto is a round robin until it is told a priority.
type auto struct {
	fair    roundRobin
	waiting ring // while it is fair, those that are open and not ready
	opened  opened

	tree   *tree     // once priorities of RFC 7540 were stated, until scheme
	scheme Scheduler // whom all goes to: nil while it is fair
}

// NewAuto returns a Scheduler that does what the peer asks for: round robin as
// long as no priority is stated, the scheme of RFC 9218, as [NewExtensible], from
// the first one stated in that form, and the tree of RFC 7540, as [NewTree], where
// priorities are stated in that form alone. Who states both means RFC 9218; it does
// not go back from there. A priority of RFC 7540 that is the default one states
// nothing. What this side decides ([Decide]) counts within the scheme of the peer:
// RFC 9218 where it has stated nothing, and where it has stated places in the tree,
// the tree.
//
// Streams that are open keep their turns when the scheme changes; what they have
// sent until then is forgotten. Those to which nothing was said in the new form have
// its default. Until a priority is stated this costs as much as a round robin and
// a list of the streams that are not ready.
func NewAuto() Scheduler { return new(auto) }

// Open adds n, not ready.
func (a *auto) Open(n *Node, p Params) {
	a.choose(p)
	if a.scheme != nil {
		a.scheme.Open(n, p)
		return
	}
	a.fair.Open(n, p)
	a.waiting.push(n)
	a.opened.add(n.ID)
}

// Close removes n. Closing it again does nothing.
func (a *auto) Close(n *Node) {
	if a.scheme != nil {
		a.scheme.Close(n)
		return
	}
	if n.open {
		a.Unready(n)
		a.waiting.remove(n)
		n.open = false
	}
}

// Adjust changes a priority, and the scheme if this is the first of its form.
func (a *auto) Adjust(id uint32, p Params) {
	a.choose(p)
	if a.scheme != nil {
		a.scheme.Adjust(id, p)
	}
}

// Decide is Adjust for what this side has decided. The scheme is the peer's matter as
// soon as it has stated a place in the tree: the urgency of one response, which the
// tree has no word for, must not have all those places forgotten.
func (a *auto) Decide(id uint32, p Params) {
	if a.tree != nil {
		p.Extensible = false
	}
	if p.Extensible || p.Tree {
		a.Adjust(id, p)
	}
}

// Ready lets n take part.
func (a *auto) Ready(n *Node) {
	if a.scheme != nil {
		a.scheme.Ready(n)
		return
	}
	if n.open && !n.ready {
		a.waiting.remove(n)
		n.ready = true
	}
	a.fair.Ready(n)
}

// Unready takes n out.
func (a *auto) Unready(n *Node) {
	if a.scheme != nil {
		a.scheme.Unready(n)
		return
	}
	if n.ready {
		a.fair.Unready(n)
		n.ready = false
		a.waiting.push(n)
	}
}

// Next returns who sends next.
func (a *auto) Next() *Node {
	if a.scheme != nil {
		return a.scheme.Next()
	}
	return a.fair.Next()
}

// Sent charges n for a frame.
func (a *auto) Sent(n *Node, bytes int) {
	if a.scheme != nil {
		a.scheme.Sent(n, bytes)
		return
	}
	a.fair.Sent(n, bytes)
}

// choose changes the scheme if p asks for it.
func (a *auto) choose(p Params) {
	switch {
	case p.Extensible && a.scheme == nil:
		a.leaveFair(&extensible{opened: a.opened})
	case p.Extensible && a.tree != nil:
		a.leaveTree()
	case p.Tree && a.scheme == nil && (p.DependsOn != 0 || p.Exclusive || p.Weight != defaultWeight-1):
		a.tree = newTree()
		a.tree.opened = a.opened
		a.leaveFair(a.tree)
	}
}

// leaveFair hands all streams over to s, and those that are ready in the order of
// their turns.
func (a *auto) leaveFair(s Scheduler) {
	for n := a.waiting.head; n != nil; n = a.waiting.head {
		a.waiting.remove(n)
		n.open = false
		s.Open(n, Params{})
	}
	for n := a.fair.head; n != nil; n = a.fair.head {
		a.fair.Unready(n)
		n.open, n.ready = false, false
		s.Open(n, Params{})
		s.Ready(n)
	}
	a.scheme = s
}

// leaveTree hands all streams of the tree over to the scheme of RFC 9218.
func (a *auto) leaveTree() {
	e := &extensible{opened: a.tree.opened}
	for _, p := range a.tree.places.All() {
		n := p.node
		if n == nil {
			continue
		}
		n.open, n.place = false, nil
		e.Open(n, Params{})
		if p.ready {
			e.Ready(n)
		}
	}
	a.scheme, a.tree = e, nil
}
