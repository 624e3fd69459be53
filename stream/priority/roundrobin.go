package priority

import "fmt"

// quantum is what one turn is worth, in octets: one DATA frame of the size that
// every peer accepts (RFC 9113 §4.2). A larger one would make others wait longer,
// a smaller one would cut such frames' turns in two.
const quantum = 1 << 14

// frameHeader is charged for every frame, so that small and empty frames are not
// free.
const frameHeader = 9

// roundRobin is deficit round robin (Shreedhar and Varghese, 1995) with debts in
// place of deficits: a frame is not known before it is sent, so a turn lasts
// until its credit is used up and what went beyond counts against the next one.
type roundRobin struct {
	ring       // of those that are ready; it is the head's turn
	begun bool // head has got the credit for this turn
}

// NewRoundRobin returns a Scheduler that ignores priorities and gives every
// ready stream the same share of octets. A stream that becomes ready waits for
// one turn of each other stream at most.
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

// Ready puts n behind all others that are ready.
func (r *roundRobin) Ready(n *Node) {
	if n.next != nil {
		return
	}
	if !n.open {
		panic(fmt.Sprintf("BUG: priority: stream %d is ready and not open", n.ID))
	}
	// Credit of a turn that was not used up is lost, a debt stays: a stream that
	// is ready now and then is treated like one that always is.
	n.credit = min(n.credit, 0)
	r.push(n)
}

// Unready takes n out of the ring. If it was its turn, the turn is over.
func (r *roundRobin) Unready(n *Node) {
	if n.next == nil {
		return
	}
	if r.head == n {
		r.begun = false
	}
	r.remove(n)
}

// pass ends the turn of the head.
func (r *roundRobin) pass() {
	r.head, r.begun = r.head.next, false
}

// Next returns whose turn it is.
func (r *roundRobin) Next() *Node {
	if r.head == nil {
		return nil
	}
	for {
		n := r.head
		if !r.begun {
			if n.next == n {
				n.credit = max(n.credit, 0) // alone: it owes nobody
			}
			n.credit += quantum
			r.begun = true
		}
		if n.credit > 0 {
			return n
		}
		r.pass()
	}
}

// Sent charges n for a frame, and ends its turn when the credit is used up.
func (r *roundRobin) Sent(n *Node, bytes int) {
	n.credit -= int64(bytes) + frameHeader
	if n == r.head && n.credit <= 0 {
		r.pass()
	}
}
