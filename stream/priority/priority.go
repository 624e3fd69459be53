package priority

import "errors"

// ErrContract is the cause of an error that says how a [Scheduler] has broken the
// contract of the interface: what it returned cannot be sent.
var ErrContract = errors.New("priority: the Scheduler breaks its contract")

// Params are the priority of a stream, as the peer or the application states
// it. Two schemes share the struct; Extensible and Tree say which of them is
// present. The zero Params state nothing: each Scheduler has its default.
type Params struct {
	// Extensible: Urgency and Incremental were stated (RFC 9218 §4).
	Extensible bool
	// Urgency is 0 (first) to 7 (last); the default is 3.
	Urgency uint8
	// Incremental: the response is useful piece by piece, so it may share its
	// turn with others of the same urgency.
	Incremental bool

	// Tree: DependsOn, Exclusive and Weight were stated (RFC 7540 §5.3).
	Tree bool
	// DependsOn is the parent stream; 0 is the root.
	DependsOn uint32
	// Exclusive makes the stream the only child of DependsOn.
	Exclusive bool
	// Weight is the value on the wire, 0 to 255, for weights 1 to 256.
	Weight uint8
}

// A Node is a stream in the eyes of a Scheduler. Embed it in the stream, so that
// opening one allocates nothing, and leave it where it is from Open to Close.
// A Node belongs to one Scheduler.
type Node struct {
	ID    uint32 // of the stream
	pos   int32  // index in a heap of those that are ready
	Owner any    // the stream: the caller of Next finds it here
	Data  any    // belongs to the Scheduler, from Open to Close; those of package priority leave it alone

	prev, next *Node // ring of those that are ready; nil when not ready, but for auto
	credit     int64 // octets left in this turn
	open       bool
	ready      bool   // for auto, which has a ring of the others, too
	class      class  // RFC 9218
	place      *place // RFC 7540
}

func (n *Node) before(m *Node) bool { return n.ID < m.ID }
func (n *Node) at() *int32          { return &n.pos }

// Params returns the priority with which the Scheduler serves n: what was stated
// for it last, or the scheme's default. They are zero when n is not open, and
// where the Scheduler makes no difference between streams.
func (n *Node) Params() Params {
	if n.place != nil {
		return n.place.params()
	}
	return n.class.params()
}

// A Scheduler decides which of the streams that are ready sends next.
//
// It must return from Next one of the Nodes that are ready, and nil only when none
// is: a connection asks again only when something changes, so a Scheduler cannot
// hold streams back. One that keeps a Node beyond Close has in its hands a stream
// that may serve another connection. Package conn ends a connection whose
// Scheduler does not keep to that with INTERNAL_ERROR; [Check] tells in tests.
//
// A Node has room for what the Scheduler knows of its stream, in Data.
type Scheduler interface {
	// Open adds a stream, not ready. n.ID must be set.
	Open(n *Node, p Params)
	// Close removes a stream, ready or not. The Node may be used again after,
	// by another Scheduler too, so nothing of it may be kept.
	Close(n *Node)
	// Adjust changes a priority. The stream may be open, idle (the priority is
	// for when it opens) or closed.
	Adjust(id uint32, p Params)
	// Ready says that n has something to send and may send it. Idempotent.
	Ready(n *Node)
	// Unready says that n has nothing to send or no credit. Idempotent.
	Unready(n *Node)
	// Next returns the stream that sends next, nil when none is ready. It stays
	// ready, and Next returns it again until a call of another method changes that.
	Next() *Node
	// Sent says that n, which is ready, has sent a frame with a payload of bytes
	// octets.
	Sent(n *Node, bytes int)
}
