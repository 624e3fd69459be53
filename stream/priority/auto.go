package priority

// auto is the Scheduler of NewAuto: a round robin until a priority is stated, and then a Scheduler
// of the scheme in which it is.
type auto struct {
	rr       roundRobin    // serves all streams as long as selected is nil
	notReady ring          // as long as selected is nil, the streams that are open and not ready
	opened   highestOpened // of the streams that were opened while selected was nil

	selected Scheduler // the scheme in which priorities are stated; nil: none was stated yet
	tree     *tree     // is selected where that is the tree of RFC 7540, otherwise nil
}

// NewAuto returns a Scheduler that follows the peer: round robin as long as no priority is stated,
// the scheme of RFC 9218, as [NewExtensible], from the first priority that is stated in that form,
// and the tree of RFC 7540, as [NewTree], where priorities are stated in that form alone. A peer
// that states both gets RFC 9218; the Scheduler does not go back from there. A priority of RFC 7540
// that is the default one states nothing. What this side decides ([Decide]) counts within the
// scheme of the peer: RFC 9218 where the peer has stated nothing, and the tree where it has stated
// dependencies.
//
// Streams that are open keep their order when the scheme changes; what they have sent until then is
// forgotten. Streams for which nothing was stated in the new form have its default. Until a
// priority is stated the costs are those of a round robin and of a list of the streams that are not
// ready.
func NewAuto() Scheduler { return new(auto) }

// Open adds n, not ready.
func (a *auto) Open(n *Node, p Params) {
	if p.Extensible || p.Tree {
		a.selectScheme(p)
	}
	if a.selected != nil {
		a.selected.Open(n, p)
		return
	}
	a.rr.Open(n, p)
	a.notReady.push(n)
	a.opened.add(n.ID)
}

// Close removes n. Closing it again does nothing.
func (a *auto) Close(n *Node) {
	if a.selected != nil {
		a.selected.Close(n)
		return
	}
	switch {
	case n.ready:
		a.rr.Unready(n)
	case n.open:
		a.notReady.remove(n)
	}
	n.open, n.ready = false, false
}

// Adjust changes a priority, and the scheme if this is the first priority of its form.
func (a *auto) Adjust(id uint32, p Params) {
	a.selectScheme(p)
	if a.selected != nil {
		a.selected.Adjust(id, p)
	}
}

// Decide is Adjust for what this side has decided. Once the peer has stated a dependency the scheme
// stays the tree: the urgency of one response, which the tree cannot express, must not discard all
// dependencies.
func (a *auto) Decide(id uint32, p Params) {
	if a.tree != nil {
		p.Extensible = false
	}
	if p.Extensible || p.Tree {
		a.Adjust(id, p)
	}
}

// Ready makes n ready.
func (a *auto) Ready(n *Node) {
	if a.selected != nil {
		a.selected.Ready(n)
		return
	}
	if n.open && !n.ready {
		a.notReady.remove(n)
		n.ready = true
	}
	a.rr.Ready(n)
}

// Unready makes n not ready.
func (a *auto) Unready(n *Node) {
	if a.selected != nil {
		a.selected.Unready(n)
		return
	}
	if n.ready {
		a.rr.Unready(n)
		n.ready = false
		a.notReady.push(n)
	}
}

// Next returns the stream that sends next.
func (a *auto) Next() *Node {
	if a.selected != nil {
		return a.selected.Next()
	}
	return a.rr.Next()
}

// Sent charges n for a frame.
func (a *auto) Sent(n *Node, bytes int) {
	if a.selected != nil {
		a.selected.Sent(n, bytes)
		return
	}
	a.rr.Sent(n, bytes)
}

// selectScheme changes the scheme if p is the first priority that requires another one.
func (a *auto) selectScheme(p Params) {
	switch {
	case p.Extensible && a.selected == nil:
		a.moveFromRoundRobin(new(extensible))
	case p.Extensible && a.tree != nil:
		a.moveFromTree()
	case p.Tree && a.selected == nil && (p.DependsOn != 0 || p.Exclusive || p.Weight != DefaultWeight):
		a.tree = newTree()
		a.tree.opened = a.opened
		a.moveFromRoundRobin(a.tree)
	}
}

// moveFromRoundRobin moves all streams to s, and those that are ready in the order of the round
// robin.
func (a *auto) moveFromRoundRobin(s Scheduler) {
	for n := a.notReady.head; n != nil; n = a.notReady.head {
		a.notReady.remove(n)
		n.open = false
		s.Open(n, Params{})
	}
	for n := a.rr.head; n != nil; n = a.rr.head {
		a.rr.Unready(n)
		n.open, n.ready = false, false
		s.Open(n, Params{})
		s.Ready(n)
	}
	a.selected = s
}

// moveFromTree moves all streams of the tree to the scheme of RFC 9218.
func (a *auto) moveFromTree() {
	e := new(extensible)
	for _, x := range a.tree.nodes.All() {
		n := x.stream
		if n == nil {
			continue
		}
		n.open, n.treeNode = false, nil
		e.Open(n, Params{})
		if x.ready {
			e.Ready(n)
		}
	}
	a.selected, a.tree = e, nil
}
