package priority

import (
	"fmt"
	"math/bits"
)

// Anti-starvation: of starvationShare octets, one goes to streams that the order of RFC 9218 lets
// wait. Such a stream is served when others have sent starvationAfter octets while it was ready.
const (
	starvationShare = 64
	starvationAfter = (starvationShare - 1) * quantum
)

// extensible serves streams by urgency (RFC 9218 §10).
type extensible struct {
	nodes  nodeTable // the open streams
	levels [MaxUrgency + 1]level
	ready  uint8 // bit u: levels[u] has a ready stream

	// bypassed is how many octets were sent in the order of RFC 9218 while another stream had to
	// wait, less starvationShare-1 times those that anti-starvation gave away. From starvationAfter
	// on a stream that waits is served.
	bypassed  int64
	nextLevel int // the urgency from which on anti-starvation looks for a stream that waits
}

// NewExtensible returns a Scheduler for the scheme of RFC 9218. Streams of lower urgency values go
// first. Of the same urgency, those that are not incremental are served one by one in the order of
// their identifiers, and those that are incremental share octets equally; where there are both,
// each kind gets half.
//
// No stream starves: one octet of 64 goes to streams that this order lets wait, to all urgencies in
// turn and to each stream of one in its turn. Nothing is given away before others have sent a
// megabyte while a stream waited.
//
// A stream for which nothing is stated has urgency 3 and is not incremental. Adjust changes open
// streams only: a connection that receives PRIORITY_UPDATE for an idle stream gives the priority to
// Open (RFC 9218 §7.1). Priorities of RFC 7540 are ignored.
//
// All methods take constant time on average, or time logarithmic in the number of streams with the
// same urgency that are ready and not incremental.
func NewExtensible() Scheduler { return new(extensible) }

// Open adds n, not ready.
func (e *extensible) Open(n *Node, p Params) {
	if n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d opened twice", n.ID))
	}
	n.open, n.credit = true, 0
	if n.packed = p.Pack(); n.packed == 0 {
		n.packed = defaultPacked
	}
	e.nodes.add(n)
}

// Close removes n. Closing it again does nothing.
func (e *extensible) Close(n *Node) {
	if !n.open {
		return
	}
	e.Unready(n)
	n.open, n.packed = false, 0
	e.nodes.remove(n)
}

// Adjust changes the priority of an open stream.
func (e *extensible) Adjust(id uint32, p Params) {
	packed := p.Pack()
	if packed == 0 {
		return
	}
	n, ok := e.nodes.Get(id)
	if !ok || n.packed == packed {
		return
	}
	ready := n.next != nil
	e.Unready(n)
	n.packed = packed
	if ready {
		e.Ready(n)
	}
}

// Ready makes n ready.
func (e *extensible) Ready(n *Node) {
	if n.next != nil {
		return
	}
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	u := n.packed.urgency()
	e.levels[u].add(n)
	e.ready |= 1 << u
}

// Unready makes n not ready.
func (e *extensible) Unready(n *Node) {
	if n.next == nil {
		return
	}
	u := n.packed.urgency()
	e.levels[u].remove(n)
	if e.levels[u].empty() {
		e.ready &^= 1 << u
	}
}

// Next returns the first stream in the order of RFC 9218, or the one that anti-starvation serves.
func (e *extensible) Next() *Node {
	if e.ready == 0 {
		return nil
	}
	if e.bypassed >= starvationAfter {
		if n := e.starved(); n != nil {
			return n
		}
	}
	return e.levels[bits.TrailingZeros8(e.ready)].next()
}

// waiting returns, as bits, the urgencies of which ready streams have to wait: all but the first,
// and the first when it serves one of several.
func (e *extensible) waiting() uint8 {
	first := e.ready & -e.ready
	if first != 0 && len(e.levels[bits.TrailingZeros8(first)].sequential) > 1 {
		return e.ready
	}
	return e.ready &^ first
}

// starved returns the stream that anti-starvation serves next, nil when no stream has to wait.
func (e *extensible) starved() *Node {
	levels := e.waiting()
	if levels == 0 {
		return nil
	}
	u := (e.nextLevel + bits.TrailingZeros8(bits.RotateLeft8(levels, -e.nextLevel))) % len(e.levels)
	return e.levels[u].starved(e.ready&(1<<u-1) == 0)
}

// Sent charges n for a frame.
func (e *extensible) Sent(n *Node, bytes int) {
	if n.next == nil {
		return
	}
	cost, u := int64(bytes)+frameHeader, n.packed.urgency()
	switch {
	case e.bypassed >= starvationAfter && n == e.starved():
		e.bypassed -= (starvationShare - 1) * cost
		e.nextLevel = (u + 1) % len(e.levels)
		if !n.packed.incremental() {
			e.levels[u].rotation.head = n.next
		}
	case e.waiting() != 0:
		e.bypassed += cost
	default:
		e.bypassed = 0
	}
	e.levels[u].sent(n, bytes)
}

// level has the ready streams of one urgency.
type level struct {
	sequential  heap[*Node] // the streams that are not incremental, by identifier
	rotation    ring        // the same streams, in the order in which anti-starvation serves them
	incremental roundRobin  // the streams that are incremental

	// balance is how many octets sequential has sent more than incremental while both had streams.
	balance int64
}

func (l *level) empty() bool { return len(l.sequential) == 0 && l.incremental.head == nil }

func (l *level) add(n *Node) {
	if n.packed.incremental() {
		l.incremental.Ready(n)
		return
	}
	l.sequential.push(n)
	l.rotation.push(n)
}

func (l *level) remove(n *Node) {
	if n.packed.incremental() {
		l.incremental.Unready(n)
	} else {
		l.sequential.remove(n)
		l.rotation.remove(n)
	}
	// As in round robin, a kind that has no stream any more loses the octets that it is due, and
	// keeps those that it has sent in excess.
	if l.incremental.head == nil {
		l.balance = min(l.balance, 0)
	}
	if len(l.sequential) == 0 {
		l.balance = max(l.balance, 0)
	}
}

// sequentialNext reports whether the stream that sends next is one that is not incremental.
func (l *level) sequentialNext() bool {
	return l.incremental.head == nil || len(l.sequential) > 0 && l.balance <= 0
}

func (l *level) next() *Node {
	if l.sequentialNext() {
		return l.sequential[0]
	}
	return l.incremental.Next()
}

// starved returns the stream of this level that anti-starvation serves next. first says that the
// level is the first with ready streams: that serves the first stream of sequential and all of
// incremental, so the streams that wait are the others of sequential, of which there must be one.
func (l *level) starved(first bool) *Node {
	switch {
	case first:
		if n := l.rotation.head; n != l.sequential[0] {
			return n
		}
		return l.rotation.head.next
	case l.sequentialNext():
		return l.rotation.head
	}
	return l.incremental.Next()
}

func (l *level) sent(n *Node, bytes int) {
	cost := int64(bytes) + frameHeader
	if n.packed.incremental() {
		l.incremental.Sent(n, bytes)
		cost = -cost
	}
	if len(l.sequential) > 0 && l.incremental.head != nil {
		l.balance += cost
	}
}
