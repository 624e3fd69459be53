package priority

// place is a stream in the dependency tree (RFC 7540 §5.3): one that is open, one
// that is idle and was given a priority, or one that is closed.
type place struct {
	id     uint32
	pos    int32 // in in.active, or inactive
	weight int32 // 1 to 256
	ready  bool  // node is
	opened bool  // was open, or is
	kept   bool  // in a ring of those that are kept without being open
	node   *Node // nil when not open

	in         *group // the others that depend on the same; nil for the root
	prev, next *place // ring of in
	tag        vtime  // in in
	deps       *group // those that depend on this one; nil when none do

	older, newer *place // ring of those that are kept
}

const inactive = -1

func (p *place) before(q *place) bool {
	if p.tag != q.tag {
		return p.tag.since(q.tag) < 0
	}
	return p.id < q.id
}

func (p *place) at() *int32 { return &p.pos }

// active tells whether p, or somebody below, is ready.
func (p *place) active() bool { return p.ready || p.deps != nil && len(p.deps.active) > 0 }

// params are what would put a stream where p is.
func (p *place) params() Params {
	return Params{Tree: true, DependsOn: p.in.owner.id, Weight: uint8(p.weight - 1)}
}

// keepers are places without an open stream that are kept, in the order of their
// last use.
type keepers struct {
	oldest *place
	n      int
	limit  int
}

func (k *keepers) push(p *place) {
	p.kept = true
	k.n++
	if k.oldest == nil {
		p.older, p.newer = p, p
		k.oldest = p
		return
	}
	p.older, p.newer = k.oldest.older, k.oldest
	p.older.newer, p.newer.older = p, p
}

func (k *keepers) remove(p *place) {
	p.kept = false
	k.n--
	if k.oldest == p {
		k.oldest = p.newer
	}
	if k.n == 0 {
		k.oldest = nil
	} else {
		p.older.newer, p.newer.older = p.newer, p.older
	}
	p.older, p.newer = nil, nil
}

// pool keeps records for the next use.
type pool struct {
	places []*place
	groups []*group
}

// How many of each are kept, while streams are open and while none is.
const (
	maxPool  = 64
	restPool = 8
)

// shrink gives back what is not needed while no stream is open.
func (l *pool) shrink() {
	if len(l.places) > restPool {
		clear(l.places[restPool:])
		l.places = l.places[:restPool]
	}
	if len(l.groups) > restPool {
		clear(l.groups[restPool:])
		l.groups = l.groups[:restPool]
	}
}

func (l *pool) place(id uint32) *place {
	var p *place
	if n := len(l.places); n > 0 {
		p = l.places[n-1]
		l.places = l.places[:n-1]
	} else {
		p = new(place)
	}
	p.id, p.weight, p.pos = id, defaultWeight, inactive
	return p
}

func (l *pool) putPlace(p *place) {
	*p = place{}
	if len(l.places) < maxPool {
		l.places = append(l.places, p)
	}
}

func (l *pool) group(owner *place) *group {
	var g *group
	if n := len(l.groups); n > 0 {
		g = l.groups[n-1]
		l.groups = l.groups[:n-1]
	} else {
		g = new(group)
	}
	g.owner = owner
	return g
}

func (l *pool) putGroup(g *group) {
	*g = group{active: g.active[:0]}
	if len(l.groups) < maxPool {
		l.groups = append(l.groups, g)
	}
}
