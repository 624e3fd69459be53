package priority

// ring is a circular list of Nodes, linked by their prev and next. A Node is in one ring at most,
// and its next is nil when it is in none.
type ring struct {
	head *Node
}

// push adds n as the last one.
func (r *ring) push(n *Node) {
	if r.head == nil {
		n.prev, n.next = n, n
		r.head = n
		return
	}
	n.prev, n.next = r.head.prev, r.head
	n.prev.next, n.next.prev = n, n
}

// remove removes n. If n was the head, the next one is the head then.
func (r *ring) remove(n *Node) {
	if r.head == n {
		r.head = n.next
	}
	if r.head == n { // it was the only one
		r.head = nil
	} else {
		n.prev.next, n.next.prev = n.next, n.prev
	}
	n.prev, n.next = nil, nil
}
