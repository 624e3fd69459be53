package priority

// ring is a circular list of nodes, mostly of those that are ready, linked by their prev and next.
// A Node is in one ring at most, and next is nil when it is in none.
type ring struct {
	head *Node
}

// push puts n behind all others.
func (r *ring) push(n *Node) {
	if r.head == nil {
		n.prev, n.next = n, n
		r.head = n
		return
	}
	n.prev, n.next = r.head.prev, r.head
	n.prev.next, n.next.prev = n, n
}

// remove takes n out. If it was the head, the next one is.
func (r *ring) remove(n *Node) {
	if r.head == n {
		r.head = n.next
	}
	if r.head == n { // it was alone
		r.head = nil
	} else {
		n.prev.next, n.next.prev = n.next, n.prev
	}
	n.prev, n.next = nil, nil
}
