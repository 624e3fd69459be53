package priority

import (
	"fmt"
	"math/bits"
)

// The guard against starvation: of guardShare octets, one goes to streams that
// the order of RFC 9218 lets wait. It becomes due when they have waited for
// guardAfter octets of others.
const (
	guardShare = 64
	guardAfter = (guardShare - 1) * quantum
)

// extensible serves streams by urgency (RFC 9218 §10).
type extensible struct {
	nodes  nodes
	levels [MaxUrgency + 1]level
	ready  uint8 // bit u: somebody in levels[u] is ready

	// Octets sent in order while somebody had to wait, those sent out of order
	// taken off guardShare-1 times. From guardAfter on the guard's turn is due.
	passed int64
	turn   int // the level where the guard goes on

	words  words
	opened opened
}

// NewExtensible returns a Scheduler for the scheme of RFC 9218. Streams of lower
// urgency values go first. Of the same urgency, those that are not incremental are
// served one by one in the order of their identifiers, those that are incremental
// share octets equally; where there are both, each kind gets half.
//
// Nobody starves: one octet of 64 goes to streams that this order lets wait, to
// all urgencies in turn and to each stream in its turn. Nothing is given away
// before others have sent a megabyte past one that waits.
//
// Where nothing is stated a stream has urgency 3 and is not incremental. Adjust
// keeps the priority of up to 256 idle streams; when such a stream opens, it
// overrides what Open is told, since PRIORITY_UPDATE is the younger word (RFC 9218
// §7). From then on the last Adjust counts. Priorities of RFC 7540 are ignored.
//
// All methods take constant time on average, or logarithmic time in the number of
// streams with the same urgency that are ready and not incremental.
func NewExtensible() Scheduler { return new(extensible) }

// Open adds n, not ready.
func (e *extensible) Open(n *Node, p Params) {
	if n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d opened twice", n.ID))
	}
	n.open, n.credit = true, 0
	n.class = p.class()
	if c := e.words.take(n.ID); c != 0 {
		n.class = c
	}
	e.opened.add(n.ID)
	e.nodes.add(n)
}

// Close removes n. Closing it again does nothing.
func (e *extensible) Close(n *Node) {
	if !n.open {
		return
	}
	e.Unready(n)
	n.open, n.class = false, 0
	e.nodes.remove(n)
}

// Adjust changes the priority of an open stream, or keeps it for an idle one.
func (e *extensible) Adjust(id uint32, p Params) {
	if !p.Extensible || id == 0 {
		return
	}
	n, ok := e.nodes.Get(id)
	if !ok {
		if e.opened.idle(id) {
			e.words.put(id, p.class())
		}
		return
	}
	if n.class == p.class() {
		return
	}
	ready := n.next != nil
	e.Unready(n)
	n.class = p.class()
	if ready {
		e.Ready(n)
	}
}

// Ready lets n take part.
func (e *extensible) Ready(n *Node) {
	if n.next != nil {
		return
	}
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	u := n.class.urgency()
	e.levels[u].add(n)
	e.ready |= 1 << u
}

// Unready takes n out.
func (e *extensible) Unready(n *Node) {
	if n.next == nil {
		return
	}
	u := n.class.urgency()
	e.levels[u].remove(n)
	if e.levels[u].empty() {
		e.ready &^= 1 << u
	}
}

// Next returns the first in order, or whose turn it is by the guard.
func (e *extensible) Next() *Node {
	if e.ready == 0 {
		return nil
	}
	if e.passed >= guardAfter {
		if n := e.guarded(); n != nil {
			return n
		}
	}
	return e.levels[bits.TrailingZeros8(e.ready)].next()
}

// waiting returns the levels, as bits, where streams are ready that the order
// lets wait: all but the first, and that one when it serves one of several.
func (e *extensible) waiting() uint8 {
	first := e.ready & -e.ready
	if first != 0 && len(e.levels[bits.TrailingZeros8(first)].queue) > 1 {
		return e.ready
	}
	return e.ready &^ first
}

// guarded returns whom the guard serves next, nil when nobody waits.
func (e *extensible) guarded() *Node {
	levels := e.waiting()
	if levels == 0 {
		return nil
	}
	u := (e.turn + bits.TrailingZeros8(bits.RotateLeft8(levels, -e.turn))) % len(e.levels)
	return e.levels[u].guarded(e.ready&(1<<u-1) == 0)
}

// Sent charges n for a frame.
func (e *extensible) Sent(n *Node, bytes int) {
	if n.next == nil {
		return
	}
	cost, u := int64(bytes)+frameHeader, n.class.urgency()
	switch {
	case e.passed >= guardAfter && n == e.guarded():
		e.passed -= (guardShare - 1) * cost
		e.turn = (u + 1) % len(e.levels)
		if !n.class.incremental() {
			e.levels[u].wait.head = n.next
		}
	case e.waiting() != 0:
		e.passed += cost
	default:
		e.passed = 0
	}
	e.levels[u].sent(n, bytes)
}

// level has the streams of one urgency that are ready.
type level struct {
	queue heap[*Node] // those not incremental, by identifier
	wait  ring        // the same, by when the guard has served them
	turns roundRobin  // those that are incremental
	lead  int64       // octets that queue has sent more than turns while both were there
}

func (l *level) empty() bool { return len(l.queue) == 0 && l.turns.head == nil }

func (l *level) add(n *Node) {
	if n.class.incremental() {
		l.turns.Ready(n)
		return
	}
	l.queue.push(n)
	l.wait.push(n)
}

func (l *level) remove(n *Node) {
	if n.class.incremental() {
		l.turns.Unready(n)
	} else {
		l.queue.remove(n)
		l.wait.remove(n)
	}
	// As in round robin, what was not used up is lost and a debt stays.
	if l.turns.head == nil {
		l.lead = min(l.lead, 0)
	}
	if len(l.queue) == 0 {
		l.lead = max(l.lead, 0)
	}
}

// queued tells which of the two kinds is to send.
func (l *level) queued() bool {
	return l.turns.head == nil || len(l.queue) > 0 && l.lead <= 0
}

func (l *level) next() *Node {
	if l.queued() {
		return l.queue[0]
	}
	return l.turns.Next()
}

// guarded returns whom the guard serves here. In the first level, which serves
// the first of its queue and all turns, the others of the queue have waited.
func (l *level) guarded(first bool) *Node {
	switch {
	case first:
		if n := l.wait.head; n != l.queue[0] {
			return n
		}
		return l.wait.head.next
	case l.queued():
		return l.wait.head
	}
	return l.turns.Next()
}

func (l *level) sent(n *Node, bytes int) {
	cost := int64(bytes) + frameHeader
	if n.class.incremental() {
		l.turns.Sent(n, bytes)
		cost = -cost
	}
	if len(l.queue) > 0 && l.turns.head != nil {
		l.lead += cost
	}
}
