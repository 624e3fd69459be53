package priority

import "slices"

// treeModel says what the dependency tree must look like (RFC 7540 §5.3), slowly:
// all it knows is who depends on whom.
type treeModel struct {
	places map[uint32]*modelPlace
	idle   []uint32 // kept, the one used last at the end
	closed []uint32
	last   [2]uint32
	depth  int
	limit  int
	rest   int // how many closed ones are kept while none is open
}

type modelPlace struct {
	parent uint32
	weight int32
	open   bool
	opened bool
	ready  bool
}

func newTreeModel(depth, limit, rest int) *treeModel {
	return &treeModel{places: map[uint32]*modelPlace{}, depth: depth, limit: limit, rest: rest}
}

func (m *treeModel) dependents(id uint32) []uint32 {
	var all []uint32
	for x, p := range m.places {
		if p.parent == id {
			all = append(all, x)
		}
	}
	return all
}

// path returns id and all above it, without the root.
func (m *treeModel) path(id uint32) []uint32 {
	var path []uint32
	for ; id != 0; id = m.places[id].parent {
		path = append(path, id)
	}
	return path
}

func (m *treeModel) active(id uint32) bool {
	return id != 0 && m.places[id].ready || slices.ContainsFunc(m.dependents(id), m.active)
}

func (m *treeModel) kept(id uint32) bool {
	return slices.Contains(m.idle, id) || slices.Contains(m.closed, id)
}

func (m *treeModel) unkeep(id uint32) {
	is := func(x uint32) bool { return x == id }
	m.idle, m.closed = slices.DeleteFunc(m.idle, is), slices.DeleteFunc(m.closed, is)
}

func (m *treeModel) use(ids ...uint32) {
	for _, id := range ids {
		if id == 0 || m.places[id].open {
			continue
		}
		m.unkeep(id)
		if m.places[id].opened {
			m.closed = append(m.closed, id)
		} else {
			m.idle = append(m.idle, id)
		}
	}
	for _, ring := range []*[]uint32{&m.idle, &m.closed} {
		for len(*ring) > m.limit {
			oldest := (*ring)[0]
			m.unkeep(oldest)
			m.tidy(oldest)
		}
	}
}

func (m *treeModel) tidy(id uint32) {
	p, ok := m.places[id]
	if !ok || p.open || m.kept(id) {
		return
	}
	deps := m.dependents(id)
	if len(deps) > 1 {
		return
	}
	for _, heir := range deps {
		m.places[heir].parent, m.places[heir].weight = p.parent, p.weight
	}
	delete(m.places, id)
	m.tidy(p.parent)
}

func (m *treeModel) move(id, parent uint32, weight int32, exclusive bool) {
	p := m.places[id]
	old := p.parent
	if exclusive {
		for _, x := range m.dependents(parent) {
			if x != id {
				m.places[x].parent = id
			}
		}
	}
	p.parent, p.weight = parent, weight
	m.tidy(old)
}

func (m *treeModel) prioritize(id uint32, p Params) {
	if !p.Tree || p.DependsOn == id {
		return
	}
	parent, weight, exclusive := p.DependsOn, int32(p.Weight)+1, p.Exclusive
	if parent != 0 && m.places[parent] == nil {
		parent, weight, exclusive = 0, 16, false
	}
	m.use(parent, id)
	m.flatten(parent, id)
	if slices.Contains(m.path(parent), id) {
		m.move(parent, m.places[id].parent, m.places[parent].weight, false)
	}
	m.move(id, parent, weight, exclusive)
}

func (m *treeModel) flatten(id, other uint32) {
	path := m.path(id)
	if len(path) <= m.depth {
		return
	}
	for _, x := range path {
		if m.kept(x) && len(m.dependents(x)) == 1 && x != id && x != other {
			m.unkeep(x)
			m.tidy(x)
		}
	}
	path = m.path(id)
	for i := range len(path) - m.depth {
		if p := m.places[path[i]]; p != nil {
			m.move(path[i], path[len(path)-m.depth+1], p.weight, false)
		}
	}
}

func (m *treeModel) open(id uint32, p Params) {
	if m.places[id] == nil {
		m.places[id] = &modelPlace{weight: 16}
	}
	m.unkeep(id)
	m.places[id].open, m.places[id].opened = true, true
	m.last[id%2] = max(m.last[id%2], id)
	m.prioritize(id, p)
}

func (m *treeModel) close(id uint32) {
	m.places[id].open, m.places[id].ready = false, false
	m.use(id)
	for _, p := range m.places {
		if p.open {
			return
		}
	}
	for len(m.closed) > m.rest {
		oldest := m.closed[0]
		m.unkeep(oldest)
		m.tidy(oldest)
	}
}

func (m *treeModel) adjust(id uint32, p Params) {
	if !p.Tree || id == 0 || id == p.DependsOn {
		return
	}
	if m.places[id] == nil {
		if id <= m.last[id%2] {
			return
		}
		m.places[id] = &modelPlace{weight: 16}
	}
	m.prioritize(id, p)
}

func (m *treeModel) setReady(id uint32) {
	if m.places[id].ready {
		return
	}
	marks := 0 // how many on the way become active
	for marks < len(m.path(id)) && !m.active(m.path(id)[marks]) {
		marks++
	}
	m.places[id].ready = true
	if marks > m.depth {
		m.flatten(id, 0)
	}
}

func (m *treeModel) sent(id uint32) { m.flatten(id, 0) }

// mayNext tells whether the tree lets id send.
func (m *treeModel) mayNext(id uint32) bool {
	for i, x := range m.path(id) {
		if m.places[x].ready != (i == 0) {
			return false
		}
	}
	return true
}

// shares adds to all what each stream gets of the octets that id and those below
// it get.
func (m *treeModel) shares(id uint32, share float64, all map[uint32]float64) {
	if id != 0 && m.places[id].ready {
		all[id] = share
		return
	}
	sum := int32(0)
	deps := slices.DeleteFunc(m.dependents(id), func(x uint32) bool { return !m.active(x) })
	for _, x := range deps {
		sum += m.places[x].weight
	}
	for _, x := range deps {
		m.shares(x, share*float64(m.places[x].weight)/float64(sum), all)
	}
}
