package priority

import "fmt"

// quantum is the credit of one turn, in octets: one DATA frame of the size that every peer accepts
// (RFC 9113 §4.2). A larger quantum would make other streams wait longer; with a smaller one, such
// a frame would take two turns.
const quantum = 1 << 14

// frameHeader is charged for every frame, in octets, so that small and empty frames are not free.
const frameHeader = 9

// roundRobin is deficit round robin (Shreedhar and Varghese, 1995). The size of a frame is not
// known before it is sent, so a turn lasts until its credit is used up, and the octets beyond that
// are a deficit: they are taken from the credit of the next turn.
type roundRobin struct {
	ring          // the ready streams; the head has its turn
	credited bool // the head has been given the credit of its turn
}

// NewRoundRobin returns a Scheduler that ignores priorities and gives every ready stream the same
// share of octets. A stream that becomes ready waits for one turn of each other stream at most.
func NewRoundRobin() Scheduler { return new(roundRobin) }

// Open adds n, not ready.
func (r *roundRobin) Open(n *Node, _ Params) {
	if n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d opened twice", n.ID))
	}
	n.open = true
	n.credit = 0
}

// Close removes n. Closing it again does nothing.
func (r *roundRobin) Close(n *Node) {
	r.Unready(n)
	n.open = false
}

// Adjust does nothing: all streams are equal.
func (r *roundRobin) Adjust(uint32, Params) {}

// Ready makes n ready, as the last one.
func (r *roundRobin) Ready(n *Node) {
	if n.next != nil {
		return
	}
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	// Credit that was not used is lost and a deficit is kept, so that a stream which is ready now
	// and then is treated like one that always is.
	n.credit = min(n.credit, 0)
	r.push(n)
}

// Unready makes n not ready. If n had its turn, the turn is over.
func (r *roundRobin) Unready(n *Node) {
	if n.next == nil {
		return
	}
	if r.head == n {
		r.credited = false
	}
	r.remove(n)
}

// endTurn ends the turn of the head.
func (r *roundRobin) endTurn() {
	r.head, r.credited = r.head.next, false
}

// Next returns the stream that has its turn.
func (r *roundRobin) Next() *Node {
	if r.head == nil {
		return nil
	}
	for {
		n := r.head
		if !r.credited {
			if n.next == n {
				n.credit = max(n.credit, 0) // the only one: there is no other stream to make up for
			}
			n.credit += quantum
			r.credited = true
		}
		if n.credit > 0 {
			return n
		}
		r.endTurn()
	}
}

// Sent charges n for a frame, and ends its turn when the credit is used up.
func (r *roundRobin) Sent(n *Node, bytes int) {
	n.credit -= int64(bytes) + frameHeader
	if n == r.head && n.credit <= 0 {
		r.endTurn()
	}
}
