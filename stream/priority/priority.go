package priority

import "errors"

// ErrContract is the cause of an error that says how a [Scheduler] has broken the contract of the
// interface: Next returned a Node that cannot send, or nil though one can.
var ErrContract = errors.New("priority: the Scheduler breaks its contract")

// Params are the priority of a stream, as the peer or the application states it. They have fields
// for two schemes; Extensible and Tree say in which of them the priority is stated. The zero Params
// state nothing: each Scheduler has its default.
type Params struct {
	// Extensible says that Urgency and Incremental are stated (RFC 9218 §4).
	Extensible bool
	// Urgency is 0 (first) to 7 (last). The default is DefaultUrgency, 3.
	Urgency uint8
	// Incremental says that the response is useful piece by piece, so that it may be sent in turn
	// with others of the same urgency.
	Incremental bool

	// Tree says that DependsOn, Exclusive and Weight are stated (RFC 7540 §5.3).
	Tree bool
	// DependsOn is the parent stream; 0 is the root.
	DependsOn uint32
	// Exclusive makes the stream the only child of DependsOn.
	Exclusive bool
	// Weight is the value on the wire, 0 to 255, for weights 1 to 256. The default is
	// DefaultWeight.
	Weight uint8
}

// A Node is what a Scheduler knows of a stream. Embed it in the stream, so that opening one
// allocates nothing, and do not move it between Open and Close. A Node belongs to one Scheduler.
type Node struct {
	ID    uint32 // identifier of the stream
	index int32  // index in a heap of ready streams
	Owner any    // the stream, for the caller of Next
	// Data belongs to the Scheduler from Open to Close. The schedulers of this package do not use
	// it.
	Data any

	prev, next *Node     // neighbours in a ring; nil when the stream is in none
	credit     int64     // round robin: octets left in this turn; negative: a deficit
	open       bool      // the stream is open
	ready      bool      // auto: the stream is ready, so its ring is that of the round robin
	packed     Packed    // extensible: the priority; 0 when not open
	treeNode   *treeNode // tree: nil when not open
}

func (n *Node) before(m *Node) bool { return n.ID < m.ID }
func (n *Node) heapIndex() *int32   { return &n.index }

// Params returns the priority with which the Scheduler serves n: the one that was stated last, or
// the default of the scheme. It is zero when n is not open, and where the Scheduler treats all
// streams alike.
func (n *Node) Params() (p Params) {
	if n.treeNode != nil {
		return n.treeNode.params()
	}
	n.packed.Apply(&p)
	return p
}

// A Scheduler decides which of the streams that are ready sends next.
//
// Next must return one of the Nodes that are ready, and nil only when none is: a connection calls
// it again only when something changes, so a Scheduler cannot delay streams. A Scheduler must not
// use a Node after Close, because its stream may belong to another connection then. Package conn
// ends a connection whose Scheduler breaks these rules with INTERNAL_ERROR; [Check] finds that in
// tests.
//
// A Scheduler may keep its state of a stream in the Data of the Node.
type Scheduler interface {
	// Open adds a stream, not ready, with the priority p. n.ID must be set.
	Open(n *Node, p Params)
	// Close removes a stream, ready or not. The Node may be used again after that, by another
	// Scheduler too, so the Scheduler must not keep it.
	Close(n *Node)
	// Adjust changes the priority of stream id. The stream may be open, idle or closed: in the tree
	// of RFC 7540 other streams may depend on one that is not open. A PRIORITY_UPDATE for an idle
	// stream comes with Open instead.
	Adjust(id uint32, p Params)
	// Ready says that n has something to send and flow-control credit to send it. Idempotent.
	Ready(n *Node)
	// Unready says that n has nothing to send or no credit. Idempotent.
	Unready(n *Node)
	// Next returns the stream that sends next, nil when none is ready. It stays ready, and Next
	// returns it again until a call of another method changes that.
	Next() *Node
	// Sent says that n, which is ready, has sent a frame with a payload of bytes octets.
	Sent(n *Node, bytes int)
}
