package priority

// siblings are the tree nodes with the same parent, and the weighted fair queueing among them. Each
// node has a tag, the virtual time at which its next frame is due, and a frame adds its octets
// divided by the node's weight to the tag: the active node with the least tag is next. The clock is
// the current virtual time: it runs as if the octets were given to all active nodes at once
// (WF²Q+, Bennett and Zhang, 1996), so a node that becomes active neither waits for the others nor
// they for it.
//
// The siblings of one parent can be given to another parent as they are.
type siblings struct {
	parent       *treeNode
	first        *treeNode // any of the nodes; the ring continues with first.next
	n            int       // nodes in the ring
	active       heap[*treeNode]
	activeWeight int64 // sum of the weights in active
	clock        vtime
}

// vtime is virtual time: octets for each unit of weight, in 1/65536 of an octet. It wraps around;
// only differences are used.
type vtime uint64

const vtimeBits = 16

func (v vtime) since(w vtime) int64 { return int64(v - w) }

// maxExcess is more than a tag can be ahead of the clock, one frame at weight 1. A larger
// difference comes from a tag that is so old that the time has wrapped around.
const maxExcess = int64(1) << (26 + vtimeBits)

// advanceClock sets the clock to the least active tag if that is later: virtual time in which no
// frame is due is skipped.
func (g *siblings) advanceClock() {
	if len(g.active) > 0 && g.active[0].tag.since(g.clock) > 0 {
		g.clock = g.active[0].tag
	}
}

// excess returns how many octets x has sent more than its share, in the unit of vtime. It is never
// negative: octets that x was due and did not use are lost.
func (g *siblings) excess(x *treeNode) int64 {
	g.advanceClock()
	d := x.tag.since(g.clock)
	if d <= 0 || d > maxExcess {
		return 0
	}
	return d * int64(x.weight)
}

// setExcess sets the tag of x so that its excess is as given.
func (g *siblings) setExcess(x *treeNode, excess int64) {
	x.tag = g.clock + vtime(excess/int64(x.weight))
}

// add adds x, which is not active, to the siblings.
func (g *siblings) add(x *treeNode) {
	x.siblings, x.index = g, inactive
	g.n++
	if g.first == nil {
		x.prev, x.next = x, x
		g.first = x
		return
	}
	x.prev, x.next = g.first.prev, g.first
	x.prev.next, x.next.prev = x, x
}

// remove removes x, which is not active, from the siblings.
func (g *siblings) remove(x *treeNode) {
	g.n--
	if g.first == x {
		g.first = x.next
	}
	if g.n == 0 {
		g.first = nil
	} else {
		x.prev.next, x.next.prev = x.next, x.prev
	}
	x.siblings, x.prev, x.next = nil, nil, nil
}

// activate adds x to the nodes that are served.
func (g *siblings) activate(x *treeNode) {
	g.setExcess(x, g.excess(x)) // time that it did not use is lost
	g.active.push(x)
	g.activeWeight += int64(x.weight)
}

// deactivate removes x from the nodes that are served.
func (g *siblings) deactivate(x *treeNode) {
	g.active.remove(x)
	x.index = inactive
	g.activeWeight -= int64(x.weight)
}

// charge adds octets that x, or a stream below it, has sent to the tag of x.
func (g *siblings) charge(x *treeNode, octets int64) {
	if g.n == 1 {
		return // there is no other node to share with
	}
	scaled := octets << vtimeBits
	due := vtime(scaled / int64(x.weight))
	x.tag += due
	if len(g.active) == 1 {
		g.clock += due
	} else {
		g.active.fix(x)
		g.clock += vtime(scaled / g.activeWeight)
	}
	g.advanceClock()
}
