package priority

// quantum is the turn of a stream in octets: one DATA frame of the size that
// every peer accepts (RFC 9113 §4.2).
const quantum = 1 << 14

// frameHeader is charged for every frame, so that small frames are not free.
const frameHeader = 9

type roundRobin struct {
	head *Node // whose turn it is; the ring goes on with head.next
}

// NewRoundRobin returns a Scheduler that ignores priorities and gives every
// ready stream the same share of octets.
func NewRoundRobin() Scheduler { return new(roundRobin) }

func (r *roundRobin) Open(n *Node, _ Params) {
	if n.open {
		panic("BUG: priority: stream opened twice")
	}
	n.open = true
	n.credit = quantum
}

func (r *roundRobin) Close(n *Node) {
	r.Unready(n)
	n.open = false
}

func (r *roundRobin) Adjust(uint32, Params) {}

func (r *roundRobin) Ready(n *Node) {
	if !n.open {
		panic("BUG: priority: a closed stream is ready")
	}
	if n.next != nil {
		return
	}
	if r.head == nil {
		n.prev, n.next = n, n
		r.head = n
		return
	}
	n.prev, n.next = r.head.prev, r.head
	n.prev.next, n.next.prev = n, n
}

func (r *roundRobin) Unready(n *Node) {
	if n.next == nil {
		return
	}
	if n.next == n {
		r.head = nil
	} else {
		n.prev.next, n.next.prev = n.next, n.prev
		if r.head == n {
			r.head = n.next
		}
	}
	n.prev, n.next = nil, nil
}

func (r *roundRobin) Next() *Node {
	if r.head == nil {
		return nil
	}
	for r.head.credit <= 0 {
		r.head.credit += quantum
		r.head = r.head.next
	}
	return r.head
}

func (r *roundRobin) Sent(n *Node, bytes int) {
	n.credit -= int64(bytes) + frameHeader
}
