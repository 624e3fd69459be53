package priority

import "slices"

// treeModel says what the dependency tree must look like (RFC 7540 §5.3), slowly: it stores only
// which stream depends on which.
type treeModel struct {
	nodes           map[uint32]*modelNode
	idle            []uint32 // kept, the one used last at the end
	closed          []uint32
	last            [2]uint32
	depth           int
	limit           int
	closedIdleLimit int // how many closed ones are kept while none is open
}

type modelNode struct {
	parent uint32
	weight int32
	open   bool
	opened bool
	ready  bool
}

func newTreeModel(depth, limit, closedIdleLimit int) *treeModel {
	return &treeModel{nodes: map[uint32]*modelNode{}, depth: depth, limit: limit, closedIdleLimit: closedIdleLimit}
}

func (m *treeModel) dependents(id uint32) []uint32 {
	var all []uint32
	for x, p := range m.nodes {
		if p.parent == id {
			all = append(all, x)
		}
	}
	return all
}

// path returns id and all above it, without the root.
func (m *treeModel) path(id uint32) []uint32 {
	var path []uint32
	for ; id != 0; id = m.nodes[id].parent {
		path = append(path, id)
	}
	return path
}

func (m *treeModel) active(id uint32) bool {
	return id != 0 && m.nodes[id].ready || slices.ContainsFunc(m.dependents(id), m.active)
}

func (m *treeModel) retained(id uint32) bool {
	return slices.Contains(m.idle, id) || slices.Contains(m.closed, id)
}

func (m *treeModel) unretain(id uint32) {
	is := func(x uint32) bool { return x == id }
	m.idle, m.closed = slices.DeleteFunc(m.idle, is), slices.DeleteFunc(m.closed, is)
}

func (m *treeModel) use(ids ...uint32) {
	for _, id := range ids {
		if id == 0 || m.nodes[id].open {
			continue
		}
		m.unretain(id)
		if m.nodes[id].opened {
			m.closed = append(m.closed, id)
		} else {
			m.idle = append(m.idle, id)
		}
	}
	for _, ring := range []*[]uint32{&m.idle, &m.closed} {
		for len(*ring) > m.limit {
			oldest := (*ring)[0]
			m.unretain(oldest)
			m.prune(oldest)
		}
	}
}

func (m *treeModel) prune(id uint32) {
	p, ok := m.nodes[id]
	if !ok || p.open || m.retained(id) {
		return
	}
	deps := m.dependents(id)
	if len(deps) > 1 {
		return
	}
	for _, child := range deps {
		m.nodes[child].parent, m.nodes[child].weight = p.parent, p.weight
	}
	delete(m.nodes, id)
	m.prune(p.parent)
}

func (m *treeModel) move(id, parent uint32, weight int32, exclusive bool) {
	p := m.nodes[id]
	old := p.parent
	if exclusive {
		for _, x := range m.dependents(parent) {
			if x != id {
				m.nodes[x].parent = id
			}
		}
	}
	p.parent, p.weight = parent, weight
	m.prune(old)
}

func (m *treeModel) prioritize(id uint32, p Params) {
	if !p.Tree || p.DependsOn == id {
		return
	}
	parent, weight, exclusive := p.DependsOn, int32(p.Weight)+1, p.Exclusive
	if parent != 0 && m.nodes[parent] == nil {
		parent, weight, exclusive = 0, 16, false
	}
	m.use(parent, id)
	m.flatten(parent, id)
	if slices.Contains(m.path(parent), id) {
		m.move(parent, m.nodes[id].parent, m.nodes[parent].weight, false)
	}
	m.move(id, parent, weight, exclusive)
}

func (m *treeModel) flatten(id, other uint32) {
	path := m.path(id)
	if len(path) <= m.depth {
		return
	}
	for _, x := range path {
		if m.retained(x) && len(m.dependents(x)) == 1 && x != id && x != other {
			m.unretain(x)
			m.prune(x)
		}
	}
	path = m.path(id)
	for i := range len(path) - m.depth {
		if p := m.nodes[path[i]]; p != nil {
			m.move(path[i], path[len(path)-m.depth+1], p.weight, false)
		}
	}
}

func (m *treeModel) open(id uint32, p Params) {
	if m.nodes[id] == nil {
		m.nodes[id] = &modelNode{weight: 16}
	}
	m.unretain(id)
	m.nodes[id].open, m.nodes[id].opened = true, true
	m.last[id%2] = max(m.last[id%2], id)
	m.prioritize(id, p)
}

func (m *treeModel) close(id uint32) {
	m.nodes[id].open, m.nodes[id].ready = false, false
	m.use(id)
	for _, p := range m.nodes {
		if p.open {
			return
		}
	}
	for len(m.closed) > m.closedIdleLimit {
		oldest := m.closed[0]
		m.unretain(oldest)
		m.prune(oldest)
	}
}

func (m *treeModel) adjust(id uint32, p Params) {
	if !p.Tree || id == 0 || id == p.DependsOn {
		return
	}
	if m.nodes[id] == nil {
		if id <= m.last[id%2] {
			return
		}
		m.nodes[id] = &modelNode{weight: 16}
	}
	m.prioritize(id, p)
}

func (m *treeModel) setReady(id uint32) {
	if m.nodes[id].ready {
		return
	}
	activated := 0 // nodes on the path that become active
	for activated < len(m.path(id)) && !m.active(m.path(id)[activated]) {
		activated++
	}
	m.nodes[id].ready = true
	if activated > m.depth {
		m.flatten(id, 0)
	}
}

func (m *treeModel) sent(id uint32) { m.flatten(id, 0) }

// mayNext reports whether the tree lets stream id send.
func (m *treeModel) mayNext(id uint32) bool {
	for i, x := range m.path(id) {
		if m.nodes[x].ready != (i == 0) {
			return false
		}
	}
	return true
}

// shares sets in all the share of each stream, where share is that of id and the streams below it
// together.
func (m *treeModel) shares(id uint32, share float64, all map[uint32]float64) {
	if id != 0 && m.nodes[id].ready {
		all[id] = share
		return
	}
	sum := int32(0)
	deps := slices.DeleteFunc(m.dependents(id), func(x uint32) bool { return !m.active(x) })
	for _, x := range deps {
		sum += m.nodes[x].weight
	}
	for _, x := range deps {
		m.shares(x, share*float64(m.nodes[x].weight)/float64(sum), all)
	}
}
