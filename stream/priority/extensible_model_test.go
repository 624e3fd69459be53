package priority

import "slices"

// extensibleModel says what extensible must do, slowly. For the turns of
// incremental streams it asks a round robin of its own.
type extensibleModel struct {
	streams map[uint32]Params
	idle    map[uint32]Params
	last    [2]uint32
	ready   map[uint32]bool
	wait    [8][]uint32 // not incremental and ready: whom the guard serves next
	turns   [8]Scheduler
	nodes   map[uint32]*Node // in turns
	lead    [8]int64
	passed  int64
	turn    int
}

func newExtensibleModel() *extensibleModel {
	m := &extensibleModel{
		streams: map[uint32]Params{}, idle: map[uint32]Params{}, ready: map[uint32]bool{}, nodes: map[uint32]*Node{},
	}
	for u := range m.turns {
		m.turns[u] = NewRoundRobin()
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
	word, ok := m.idle[id]
	if ok {
		p = word
	}
	m.streams[id] = modelParams(p)
	m.last[id%2] = max(m.last[id%2], id)
	for other := range m.idle {
		if other%2 == id%2 && other <= id {
			delete(m.idle, other)
		}
	}
	m.nodes[id] = &Node{ID: id}
	m.turns[0].Open(m.nodes[id], Params{})
}

func (m *extensibleModel) close(id uint32) {
	m.unready(id)
	delete(m.streams, id)
	delete(m.nodes, id)
}

func (m *extensibleModel) adjust(id uint32, p Params) {
	_, open := m.streams[id]
	switch {
	case !p.Extensible || id == 0:
	case open && modelParams(p) != m.streams[id]:
		ready := m.ready[id]
		m.unready(id)
		m.streams[id] = modelParams(p)
		if ready {
			m.setReady(id)
		}
	case !open && id > m.last[id%2]:
		m.idle[id] = p
	}
}

func (m *extensibleModel) setReady(id uint32) {
	if m.ready[id] {
		return
	}
	m.ready[id] = true
	p := m.streams[id]
	if p.Incremental {
		m.turns[p.Urgency].Ready(m.nodes[id])
		return
	}
	m.wait[p.Urgency] = append(m.wait[p.Urgency], id)
}

func (m *extensibleModel) unready(id uint32) {
	if !m.ready[id] {
		return
	}
	delete(m.ready, id)
	p := m.streams[id]
	if p.Incremental {
		m.turns[p.Urgency].Unready(m.nodes[id])
	} else {
		w := m.wait[p.Urgency]
		m.wait[p.Urgency] = slices.Delete(w, slices.Index(w, id), slices.Index(w, id)+1)
	}
	if queue, turns := m.kinds(p.Urgency); !turns && m.lead[p.Urgency] > 0 || !queue && m.lead[p.Urgency] < 0 {
		m.lead[p.Urgency] = 0
	}
}

// kinds tells which kinds of streams are ready.
func (m *extensibleModel) kinds(u uint8) (queue, turns bool) {
	for id := range m.ready {
		p := m.streams[id]
		turns = turns || p.Incremental && p.Urgency == u
	}
	return len(m.wait[u]) > 0, turns
}

// first returns the first urgency with ready streams.
func (m *extensibleModel) first() uint8 {
	u := uint8(8)
	for id := range m.ready {
		u = min(u, m.streams[id].Urgency)
	}
	return u
}

// waiting returns the urgencies where streams wait by the order.
func (m *extensibleModel) waiting() []uint8 {
	var all []uint8
	first := m.first()
	for u := first; u < 8; u++ {
		queue, turns := m.kinds(u)
		if u > first && (queue || turns) || u == first && len(m.wait[u]) > 1 {
			all = append(all, u)
		}
	}
	return all
}

// guarded returns whom the guard serves, 0 when it is not due.
func (m *extensibleModel) guarded() uint32 {
	waiting := m.waiting()
	if m.passed < guardAfter || len(waiting) == 0 {
		return 0
	}
	u := waiting[0]
	for _, w := range slices.Backward(waiting) {
		if int(w) >= m.turn {
			u = w
		}
	}
	if u == m.first() {
		if m.wait[u][0] == slices.Min(m.wait[u]) {
			return m.wait[u][1]
		}
		return m.wait[u][0]
	}
	if queue, turns := m.kinds(u); queue && (!turns || m.lead[u] <= 0) {
		return m.wait[u][0]
	}
	return m.turns[u].Next().ID
}

func (m *extensibleModel) next() uint32 {
	if id := m.guarded(); id != 0 {
		return id
	}
	u := m.first()
	if u == 8 {
		return 0
	}
	if queue, turns := m.kinds(u); queue && (!turns || m.lead[u] <= 0) {
		return slices.Min(m.wait[u])
	}
	return m.turns[u].Next().ID
}

func (m *extensibleModel) sent(id uint32, bytes int) {
	p, cost := m.streams[id], int64(bytes)+frameHeader
	queue, turns := m.kinds(p.Urgency)
	switch {
	case m.guarded() == id:
		m.passed -= 63 * cost
		m.turn = int(p.Urgency+1) % 8
		if w := m.wait[p.Urgency]; !p.Incremental {
			i := slices.Index(w, id) + 1
			m.wait[p.Urgency] = append(slices.Clone(w[i:]), w[:i]...)
		}
	case len(m.waiting()) > 0:
		m.passed += cost
	default:
		m.passed = 0
	}
	if p.Incremental {
		m.turns[p.Urgency].Sent(m.nodes[id], bytes)
		cost = -cost
	}
	if queue && turns {
		m.lead[p.Urgency] += cost
	}
}
