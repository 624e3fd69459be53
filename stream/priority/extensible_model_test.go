package priority

import "slices"

// extensibleModel says what extensible must do, slowly. For the turns of incremental streams it
// uses a round robin of its own.
type extensibleModel struct {
	streams     map[uint32]Params // the open streams
	ready       map[uint32]bool
	rotation    [8][]uint32      // ready and not incremental, in the order of anti-starvation
	incremental [8]Scheduler     // the turns of the incremental streams
	nodes       map[uint32]*Node // the nodes of all open streams in incremental
	balance     [8]int64
	bypassed    int64
	nextLevel   int
}

func newExtensibleModel() *extensibleModel {
	m := &extensibleModel{
		streams: map[uint32]Params{}, ready: map[uint32]bool{}, nodes: map[uint32]*Node{},
	}
	for u := range m.incremental {
		m.incremental[u] = NewRoundRobin()
	}
	return m
}

func modelParams(p Params) Params {
	if !p.Extensible {
		return ext(3, false)
	}
	return ext(min(p.Urgency, 7), p.Incremental)
}

func (m *extensibleModel) open(id uint32, p Params) {
	m.streams[id] = modelParams(p)
	m.nodes[id] = &Node{ID: id}
	m.incremental[0].Open(m.nodes[id], Params{})
}

func (m *extensibleModel) close(id uint32) {
	m.unready(id)
	delete(m.streams, id)
	delete(m.nodes, id)
}

func (m *extensibleModel) adjust(id uint32, p Params) {
	if old, open := m.streams[id]; !open || !p.Extensible || modelParams(p) == old {
		return
	}
	ready := m.ready[id]
	m.unready(id)
	m.streams[id] = modelParams(p)
	if ready {
		m.setReady(id)
	}
}

func (m *extensibleModel) setReady(id uint32) {
	if m.ready[id] {
		return
	}
	m.ready[id] = true
	p := m.streams[id]
	if p.Incremental {
		m.incremental[p.Urgency].Ready(m.nodes[id])
		return
	}
	m.rotation[p.Urgency] = append(m.rotation[p.Urgency], id)
}

func (m *extensibleModel) unready(id uint32) {
	if !m.ready[id] {
		return
	}
	delete(m.ready, id)
	p := m.streams[id]
	if p.Incremental {
		m.incremental[p.Urgency].Unready(m.nodes[id])
	} else {
		w := m.rotation[p.Urgency]
		m.rotation[p.Urgency] = slices.Delete(w, slices.Index(w, id), slices.Index(w, id)+1)
	}
	if sequential, incremental := m.kinds(p.Urgency); !incremental && m.balance[p.Urgency] > 0 ||
		!sequential && m.balance[p.Urgency] < 0 {
		m.balance[p.Urgency] = 0
	}
}

// kinds returns which kinds of streams of urgency u are ready.
func (m *extensibleModel) kinds(u uint8) (sequential, incremental bool) {
	for id := range m.ready {
		p := m.streams[id]
		incremental = incremental || p.Incremental && p.Urgency == u
	}
	return len(m.rotation[u]) > 0, incremental
}

// first returns the first urgency with ready streams.
func (m *extensibleModel) first() uint8 {
	u := uint8(8)
	for id := range m.ready {
		u = min(u, m.streams[id].Urgency)
	}
	return u
}

// waiting returns the urgencies of which streams have to wait.
func (m *extensibleModel) waiting() []uint8 {
	var all []uint8
	first := m.first()
	for u := first; u < 8; u++ {
		sequential, incremental := m.kinds(u)
		if u > first && (sequential || incremental) || u == first && len(m.rotation[u]) > 1 {
			all = append(all, u)
		}
	}
	return all
}

// starved returns the stream that anti-starvation serves, 0 when it is not due.
func (m *extensibleModel) starved() uint32 {
	waiting := m.waiting()
	if m.bypassed < starvationAfter || len(waiting) == 0 {
		return 0
	}
	u := waiting[0]
	for _, w := range slices.Backward(waiting) {
		if int(w) >= m.nextLevel {
			u = w
		}
	}
	if u == m.first() {
		if m.rotation[u][0] == slices.Min(m.rotation[u]) {
			return m.rotation[u][1]
		}
		return m.rotation[u][0]
	}
	if sequential, incremental := m.kinds(u); sequential && (!incremental || m.balance[u] <= 0) {
		return m.rotation[u][0]
	}
	return m.incremental[u].Next().ID
}

func (m *extensibleModel) next() uint32 {
	if id := m.starved(); id != 0 {
		return id
	}
	u := m.first()
	if u == 8 {
		return 0
	}
	if sequential, incremental := m.kinds(u); sequential && (!incremental || m.balance[u] <= 0) {
		return slices.Min(m.rotation[u])
	}
	return m.incremental[u].Next().ID
}

func (m *extensibleModel) sent(id uint32, bytes int) {
	p, cost := m.streams[id], int64(bytes)+frameHeader
	sequential, incremental := m.kinds(p.Urgency)
	switch {
	case m.starved() == id:
		m.bypassed -= 63 * cost
		m.nextLevel = int(p.Urgency+1) % 8
		if w := m.rotation[p.Urgency]; !p.Incremental {
			i := slices.Index(w, id) + 1
			m.rotation[p.Urgency] = append(slices.Clone(w[i:]), w[:i]...)
		}
	case len(m.waiting()) > 0:
		m.bypassed += cost
	default:
		m.bypassed = 0
	}
	if p.Incremental {
		m.incremental[p.Urgency].Sent(m.nodes[id], bytes)
		cost = -cost
	}
	if sequential && incremental {
		m.balance[p.Urgency] += cost
	}
}
