package stream

import (
	"fmt"
	"math/bits"
)

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
// Every request ends here, so what ends in peace costs one word and no search: it
// has one place, by its identifier, and is forgotten when another stream needs it.
// Of streams that end in about the order in which they were opened those are the
// oldest; one that lived much longer than its neighbours may be forgotten sooner.
//
// Memory grows with use up to the limits; all operations take constant time. The
// zero Graveyard has the limits DefaultEnds and DefaultResets.
type Graveyard struct {
	ends     []end // none or a power of two
	mostEnds int

	resets     Table[struct{}] // ClosedResetLocal
	order      []uint32        // ring of the same, in the order in which they closed
	oldest     int             // in order, once that is full
	mostResets int

	ready bool // the limits are set
}

// end is the identifier of a stream that was not reset by us, with endReset set if it is ClosedResetRemote and not
// ClosedEnd. 0 is none.
type end uint32

const (
	endReset end = 1 << 31 // no identifier has that bit (RFC 9113 §5.1.1)
	minEnds      = 8
)

// NewGraveyard returns a Graveyard that remembers the last resets streams that
// we have reset, and of the others as many as the largest power of two that is no
// more than ends. A limit of 0 or less remembers none.
func NewGraveyard(ends, resets int) Graveyard {
	g := Graveyard{mostResets: max(resets, 0), ready: true}
	if ends > 0 {
		g.mostEnds = 1 << (bits.Len(uint(ends)) - 1)
	}
	return g
}

// Add remembers that stream id closed with state s, and forgets another of its kind
// when there is no room. A stream that is remembered already keeps its age;
// ClosedResetLocal replaces another cause, and is not replaced. It panics when s is
// not a closed state or id is 0.
func (g *Graveyard) Add(id uint32, s State) {
	if !s.Closed() || id == 0 {
		panic(fmt.Sprintf("BUG: stream: burying stream %d in state %v", id, s))
	}
	if !g.ready {
		*g = NewGraveyard(DefaultEnds, DefaultResets)
	}
	if _, ok := g.resets.Get(id); ok {
		return
	}
	if s == ClosedResetLocal {
		g.addReset(id)
		return
	}
	e := end(id)
	if s == ClosedResetRemote {
		e |= endReset
	}
	if g.mostEnds > 0 {
		*g.place(id) = e
	}
}

// place returns the place of stream id among the ends, of which there is at least one. While there are fewer than there
// may be, none is taken from another stream.
func (g *Graveyard) place(id uint32) *end {
	for {
		if n := len(g.ends); n > 0 {
			at := &g.ends[id>>1&uint32(n-1)]
			if *at == 0 || *at&^endReset == end(id) || n == g.mostEnds {
				return at
			}
		}
		old := g.ends
		g.ends = make([]end, min(max(minEnds, 2*len(old)), g.mostEnds))
		for _, e := range old {
			if e != 0 {
				*g.place(uint32(e &^ endReset)) = e // two that had places of their own have them again
			}
		}
	}
}

// addReset remembers stream id, which is not among the resets, as ClosedResetLocal.
func (g *Graveyard) addReset(id uint32) {
	if e := g.find(id); e != nil {
		*e = 0
	}
	switch {
	case g.mostResets == 0:
		return
	case len(g.order) < g.mostResets:
		g.order = append(g.order, id)
	default:
		g.resets.Delete(g.order[g.oldest])
		g.order[g.oldest] = id
		if g.oldest++; g.oldest == g.mostResets {
			g.oldest = 0
		}
	}
	g.resets.Put(id, struct{}{})
}

// find returns what is remembered of stream id among the ends, nil if nothing is.
func (g *Graveyard) find(id uint32) *end {
	if n := uint32(len(g.ends)); n > 0 && id != 0 {
		if e := &g.ends[id>>1&(n-1)]; *e&^endReset == end(id) {
			return e
		}
	}
	return nil
}

// State returns how stream id closed, and false when that is not known (any
// more).
func (g *Graveyard) State(id uint32) (State, bool) {
	if _, ok := g.resets.Get(id); ok {
		return ClosedResetLocal, true
	}
	switch e := g.find(id); {
	case e == nil:
		return 0, false
	case *e&endReset != 0:
		return ClosedResetRemote, true
	default:
		return ClosedEnd, true
	}
}
