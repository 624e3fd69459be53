package stream

import "fmt"

// A Graveyard remembers how the streams that closed last were closed, so that a
// late frame is judged by its cause. Make one with NewGraveyard; the zero
// Graveyard remembers nothing.
type Graveyard struct {
	ring   []uint32 // identifiers, oldest at next when full
	next   int
	limit  int
	states Table[State]
}

// NewGraveyard returns a Graveyard that remembers the last n streams.
func NewGraveyard(n int) Graveyard { return Graveyard{limit: max(n, 0)} }

// Add remembers that stream id closed with state s, and forgets the oldest
// stream when there is no room. Adding a stream that is remembered already
// changes its state and not its age. It panics when s is not a closed state.
func (g *Graveyard) Add(id uint32, s State) {
	if !s.Closed() {
		panic(fmt.Sprintf("BUG: stream: burying stream %d in state %v", id, s))
	}
	if g.limit == 0 {
		return
	}
	if _, ok := g.states.Get(id); ok {
		g.states.Put(id, s)
		return
	}
	if len(g.ring) < g.limit {
		g.ring = append(g.ring, id)
	} else {
		g.states.Delete(g.ring[g.next])
		g.ring[g.next] = id
		g.next = (g.next + 1) % g.limit
	}
	g.states.Put(id, s)
}

// State returns how stream id closed, and false when that is not known (any
// more).
func (g *Graveyard) State(id uint32) (State, bool) { return g.states.Get(id) }

// Len returns the number of streams remembered.
func (g *Graveyard) Len() int { return g.states.Len() }
