package stream

import (
	"fmt"
	"math/bits"
)

// How many closed streams the zero ClosedStreams remembers. Streams that we have reset are needed
// so that frames which were in flight are ignored, and a peer can make us reset many at once. The
// others are needed only to choose the right error for a late frame.
const (
	DefaultEnded  = 64  // streams in state ClosedEnd or ClosedResetRemote
	DefaultResets = 256 // streams in state ClosedResetLocal
)

// ClosedStreams remembers how the streams that closed last were closed, because the meaning of a
// late frame depends on that (RFC 9113 §5.1, "closed"). Streams that we have reset are remembered
// apart from all others, which are called ended here: however many streams end, a reset whose
// frames may still be in flight is not forgotten for them.
//
// Every stream is added when it closes, so an ended one costs one word of memory and no search: it
// has one slot, by its identifier, and is forgotten when another stream needs the slot. Where
// streams end in about the order in which they were opened, the oldest is forgotten; a stream that
// was open much longer than its neighbours may be forgotten sooner.
//
// Memory grows with use up to the limits. All operations take constant time. The zero value has the
// limits DefaultEnded and DefaultResets.
type ClosedStreams struct {
	ended    []endedStream // a hash table by identifier; its length is 0 or a power of two
	maxEnded int           // the largest length of ended

	resets      Table[struct{}] // the streams in state ClosedResetLocal
	resetOrder  []uint32        // ring of the identifiers in resets, in the order of their closing
	oldestReset int             // index of the oldest in resetOrder, once that is full
	maxResets   int             // the largest length of resetOrder

	initialized bool // the limits are set
}

// endedStream is the identifier of a stream that was not reset by us, with the bit resetRemote set
// if its state is ClosedResetRemote and not ClosedEnd. 0 is an empty slot.
type endedStream uint32

const (
	resetRemote endedStream = 1 << 31 // no identifier has that bit (RFC 9113 §5.1.1)
	minEnded                = 8       // the smallest length of ClosedStreams.ended but 0
)

// NewClosedStreams returns a ClosedStreams that remembers the last resets streams that we have
// reset, and of the others as many as the largest power of two that is not above ended. A limit of
// 0 or less remembers none.
func NewClosedStreams(ended, resets int) ClosedStreams {
	c := ClosedStreams{maxResets: max(resets, 0), initialized: true}
	if ended > 0 {
		c.maxEnded = 1 << (bits.Len(uint(ended)) - 1)
	}
	return c
}

// Add remembers that stream id closed with state s, and forgets another stream that was closed in
// the same way when the limit is reached. Adding a stream again does not make it younger;
// ClosedResetLocal replaces another state, and is not replaced. Add panics when s is not a closed
// state or id is 0.
func (c *ClosedStreams) Add(id uint32, s State) {
	if !s.Closed() || id == 0 {
		panic(fmt.Sprintf("BUG: stream: stream %d in state %v is added to the closed streams", id, s))
	}
	if !c.initialized {
		*c = NewClosedStreams(DefaultEnded, DefaultResets)
	}
	if _, ok := c.resets.Get(id); ok {
		return
	}
	if s == ClosedResetLocal {
		c.addReset(id)
		return
	}
	e := endedStream(id)
	if s == ClosedResetRemote {
		e |= resetRemote
	}
	for c.maxEnded > 0 {
		if n := len(c.ended); n > 0 {
			at := &c.ended[id>>1&uint32(n-1)]
			if *at == 0 || *at&^resetRemote == endedStream(id) || n == c.maxEnded {
				*at = e
				return
			}
		}
		c.growEnded() // up to its limit, before a stream gets the slot of another one
	}
}

// growEnded makes the table of ended streams larger, but not above maxEnded. Streams with different
// slots in the smaller table have different slots in this one.
func (c *ClosedStreams) growEnded() {
	old := c.ended
	c.ended = make([]endedStream, min(max(minEnded, 2*len(old)), c.maxEnded))
	for _, e := range old {
		if id := uint32(e &^ resetRemote); id != 0 {
			c.ended[id>>1&uint32(len(c.ended)-1)] = e
		}
	}
}

// addReset remembers stream id, which is not among the resets, as ClosedResetLocal.
func (c *ClosedStreams) addReset(id uint32) {
	if e := c.find(id); e != nil {
		*e = 0
	}
	switch {
	case c.maxResets == 0:
		return
	case len(c.resetOrder) < c.maxResets:
		c.resetOrder = append(c.resetOrder, id)
	default:
		c.resets.Delete(c.resetOrder[c.oldestReset])
		c.resetOrder[c.oldestReset] = id
		if c.oldestReset++; c.oldestReset == c.maxResets {
			c.oldestReset = 0
		}
	}
	c.resets.Put(id, struct{}{})
}

// find returns the slot of stream id among the ended streams, or nil if the stream is not there.
func (c *ClosedStreams) find(id uint32) *endedStream {
	if n := uint32(len(c.ended)); n > 0 && id != 0 {
		if e := &c.ended[id>>1&(n-1)]; *e&^resetRemote == endedStream(id) {
			return e
		}
	}
	return nil
}

// State returns the state in which stream id closed. ok is false when the stream was not added or
// was forgotten.
func (c *ClosedStreams) State(id uint32) (s State, ok bool) {
	if _, ok := c.resets.Get(id); ok {
		return ClosedResetLocal, true
	}
	switch e := c.find(id); {
	case e == nil:
		return 0, false
	case *e&resetRemote != 0:
		return ClosedResetRemote, true
	default:
		return ClosedEnd, true
	}
}
