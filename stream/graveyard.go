package stream

import "fmt"

// How many streams the zero Graveyard remembers. Those that ended in peace are
// only needed to name the right error; those that we have reset are needed so
// that frames which were in flight do no harm, and a peer can make us reset many
// at once.
const (
	DefaultEnds   = 64
	DefaultResets = 256
)

// A Graveyard remembers how the streams that closed last were closed, so that a
// late frame is judged by its cause (RFC 9113 §5.1, "closed"). Streams that we
// have reset are remembered apart from all others: however many requests end in
// peace, they do not push out a reset whose frames may still be in flight.
//
// Memory grows with use up to the limits; all operations take constant time. The
// zero Graveyard has the limits DefaultEnds and DefaultResets.
type Graveyard struct {
	states Table[State]
	ends   graves // ClosedEnd and ClosedResetRemote
	resets graves // ClosedResetLocal
	ready  bool   // the limits of the rings are set
}

// graves is a ring of identifiers in the order in which the streams closed.
type graves struct {
	ids   []uint32
	next  int // the oldest, once the ring is full
	limit int
}

// NewGraveyard returns a Graveyard that remembers the last resets streams that
// we have reset, and the last ends of the others. A limit of 0 or less remembers
// none.
func NewGraveyard(ends, resets int) Graveyard {
	return Graveyard{
		ends:   graves{limit: max(ends, 0)},
		resets: graves{limit: max(resets, 0)},
		ready:  true,
	}
}

// Add remembers that stream id closed with state s, and forgets the oldest
// stream of its kind when there is no room. A stream that is remembered already
// keeps its age; ClosedResetLocal replaces another cause, and is not replaced.
// It panics when s is not a closed state or id is 0.
func (g *Graveyard) Add(id uint32, s State) {
	if !s.Closed() || id == 0 {
		panic(fmt.Sprintf("BUG: stream: burying stream %d in state %v", id, s))
	}
	if !g.ready {
		*g = NewGraveyard(DefaultEnds, DefaultResets)
	}
	ring := g.ring(s)
	if old, ok := g.states.Get(id); ok {
		if old == ClosedResetLocal {
			return
		}
		if g.ring(old) == ring {
			g.states.Put(id, s)
			return
		}
	}
	if ring.limit == 0 {
		g.states.Delete(id)
		return
	}
	if oldest := ring.push(id); oldest != 0 {
		// A stream that was reset after it had ended is in both rings, and
		// belongs to the one that its state names.
		if old, ok := g.states.Get(oldest); ok && g.ring(old) == ring {
			g.states.Delete(oldest)
		}
	}
	g.states.Put(id, s)
}

func (g *Graveyard) ring(s State) *graves {
	if s == ClosedResetLocal {
		return &g.resets
	}
	return &g.ends
}

// push adds id and returns the identifier that had to go, or 0.
func (r *graves) push(id uint32) (oldest uint32) {
	if len(r.ids) < r.limit {
		r.ids = append(r.ids, id)
		return 0
	}
	oldest, r.ids[r.next] = r.ids[r.next], id
	if r.next++; r.next == r.limit {
		r.next = 0
	}
	return oldest
}

// State returns how stream id closed, and false when that is not known (any
// more).
func (g *Graveyard) State(id uint32) (State, bool) { return g.states.Get(id) }

// Len returns the number of streams remembered.
func (g *Graveyard) Len() int { return g.states.Len() }
