package priority

// group is weighted fair queueing among the places that depend on the same one.
// Each has a tag, the group's virtual time at which its next frame is due, and a
// frame moves the tag by its octets divided by the place's weight: who has the
// least tag is next. The clock is the virtual time now: it runs as if the octets
// were given to all active members at once (WF²Q+, Bennett and Zhang, 1996), so
// that who comes later neither waits for the others nor they for it.
//
// A group belongs to the place that its members depend on, and can be handed on
// as a whole.
type group struct {
	owner  *place
	first  *place // any member; the ring goes on with first.next
	n      int    // members
	active heap[*place]
	weight int64 // of all in active
	clock  vtime
}

// vtime is virtual time: octets for each unit of weight, in 1/65536 of an octet.
// It wraps around; only differences count.
type vtime uint64

const vtimeBits = 16

func (v vtime) since(w vtime) int64 { return int64(v - w) }

// maxDebt is more than a place can be ahead of the clock, one frame at weight 1.
// What seems more is a tag from so long ago that the time has wrapped around.
const maxDebt = int64(1) << (26 + vtimeBits)

// tick moves the clock on when everybody is ahead of it: time in which nobody was
// due has not passed.
func (g *group) tick() {
	if len(g.active) > 0 && g.active[0].tag.since(g.clock) > 0 {
		g.clock = g.active[0].tag
	}
}

// debt returns by how much p is ahead of the group's clock, for a weight of 1.
func (g *group) debt(p *place) int64 {
	g.tick()
	d := p.tag.since(g.clock)
	if d <= 0 || d > maxDebt {
		return 0
	}
	return d * int64(p.weight)
}

// owe sets p's tag to a debt that it brings along.
func (g *group) owe(p *place, debt int64) { p.tag = g.clock + vtime(debt/int64(p.weight)) }

// add makes p a member, not active.
func (g *group) add(p *place) {
	p.in, p.pos = g, inactive
	g.n++
	if g.first == nil {
		p.prev, p.next = p, p
		g.first = p
		return
	}
	p.prev, p.next = g.first.prev, g.first
	p.prev.next, p.next.prev = p, p
}

// drop takes p out, which is not active.
func (g *group) drop(p *place) {
	g.n--
	if g.first == p {
		g.first = p.next
	}
	if g.n == 0 {
		g.first = nil
	} else {
		p.prev.next, p.next.prev = p.next, p.prev
	}
	p.in, p.prev, p.next = nil, nil, nil
}

// activate lets p, or those below it, take part.
func (g *group) activate(p *place) {
	g.owe(p, g.debt(p)) // time that it did not use is lost
	g.active.push(p)
	g.weight += int64(p.weight)
}

func (g *group) deactivate(p *place) {
	g.active.remove(p)
	p.pos = inactive
	g.weight -= int64(p.weight)
}

// charge makes p pay for octets that it has sent, or somebody below it.
func (g *group) charge(p *place, octets int64) {
	if g.n == 1 {
		return // nobody to compare with
	}
	scaled := octets << vtimeBits
	due := vtime(scaled / int64(p.weight))
	p.tag += due
	if len(g.active) == 1 {
		g.clock += due
	} else {
		g.active.fix(p)
		g.clock += vtime(scaled / g.weight)
	}
	g.tick()
}
