package priority

// move makes s dependent on parent, which is not below it, with all that depends
// on s. An exclusive one takes over what depends on parent.
func (t *tree) move(s, parent *place, weight int32, exclusive bool) {
	old, debt := s.in.owner, s.in.debt(s)
	t.unlink(s)
	s.weight = weight
	if exclusive && parent.deps != nil {
		t.adopt(s, parent)
	}
	t.link(s, parent, debt)
	t.tidy(old)
}

// adopt gives s, which is in no group, all that depends on parent. Where both have
// dependents the fewer of them move to the others, so however often that is done
// a place moves a logarithmic number of times. Parent stays active when it was:
// s is linked below it next.
func (t *tree) adopt(s, parent *place) {
	from := parent.deps
	parent.deps = nil
	if s.deps != nil {
		to := s.deps
		if to.n < from.n {
			from, to = to, from
		}
		for from.n > 0 {
			p := from.first
			debt, active := from.debt(p), p.pos != inactive
			if active {
				from.deactivate(p)
			}
			from.drop(p)
			to.add(p)
			to.owe(p, debt)
			if active {
				to.activate(p)
			}
		}
		t.pool.putGroup(from)
		from = to
	}
	s.deps, from.owner = from, s
}

// link makes p, which is in no group, dependent on parent.
func (t *tree) link(p, parent *place, debt int64) {
	if parent.deps == nil {
		parent.deps = t.pool.group(parent)
	}
	parent.deps.add(p)
	parent.deps.owe(p, debt)
	if p.active() {
		t.mark(p)
	}
}

// unlink takes p, with all below it, out of the tree.
func (t *tree) unlink(p *place) {
	g := p.in
	if p.pos != inactive {
		g.deactivate(p)
		t.unmark(g.owner)
	}
	g.drop(p)
	if g.n == 0 {
		g.owner.deps = nil
		t.pool.putGroup(g)
	}
}

// mark marks the way from p, which has become active, to the root, as far as it
// is not marked yet. It returns how far that was.
func (t *tree) mark(p *place) (steps int) {
	for ; p.in != nil && p.pos == inactive; p = p.in.owner {
		p.in.activate(p)
		steps++
	}
	return steps
}

// unmark takes back what mark has done, as far as nobody else needs it.
func (t *tree) unmark(p *place) {
	for ; p.in != nil && p.pos != inactive && !p.active(); p = p.in.owner {
		p.in.deactivate(p)
	}
}

// keepers returns the ring for p.
func (t *tree) keepers(p *place) *keepers {
	if p.opened {
		return &t.closed
	}
	return &t.idle
}

// keep makes p, if it is not open, the one that was used last. Then there may be
// one too many, until trim.
func (t *tree) keep(p *place) {
	if p.node != nil || p == &t.root {
		return
	}
	k := t.keepers(p)
	if p.kept {
		k.remove(p)
	}
	k.push(p)
}

// trim forgets what was not used for the longest time.
func (t *tree) trim() {
	for _, k := range [...]*keepers{&t.idle, &t.closed} {
		for k.n > k.limit {
			t.forget(k.oldest)
		}
	}
}

// forget ends that p is kept.
func (t *tree) forget(p *place) {
	t.keepers(p).remove(p)
	t.tidy(p)
}

// tidy removes p if it is neither open nor kept and no two places depend on it,
// and then what that leaves behind.
func (t *tree) tidy(p *place) {
	for p.node == nil && !p.kept && p.in != nil && (p.deps == nil || p.deps.n == 1) {
		parent, weight, debt := p.in.owner, p.weight, p.in.debt(p)
		if p.deps != nil {
			heir := p.deps.first
			t.unlink(heir)
			heir.weight = weight
			t.unlink(p)
			t.link(heir, parent, debt)
		} else {
			t.unlink(p)
		}
		t.places.Delete(p.id)
		t.pool.putPlace(p)
		p = parent
	}
}

// flatten makes the way to p no longer than the tree may be deep, and takes neither
// p nor other away. It takes time for each place on the way. All that was too deep
// is not any more, so somebody must make it so again before it costs as much.
func (t *tree) flatten(p, other *place) {
	path := t.path[:0] // from p up
	for x := p; x.in != nil; x = x.in.owner {
		path = append(path, x)
	}
	if len(path) > t.depth {
		// First what is only kept, and has one place below it: nobody loses.
		rest := path[:0]
		for _, x := range path {
			if x.kept && x.deps != nil && x.deps.n == 1 && x != p && x != other {
				t.forget(x)
			} else {
				rest = append(rest, x)
			}
		}
		// Then all that is deeper hangs from the last but one.
		for i := range len(rest) - t.depth {
			if x := rest[i]; x.in != nil { // else it went when what was below it did
				t.move(x, rest[len(rest)-t.depth+1], x.weight, false)
			}
		}
	}
	clear(path)
	t.path = path[:0]
}
