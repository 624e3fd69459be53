// Package priority decides which stream sends next.
//
// It owns the order in which streams take turns, behind one interface, [Scheduler]. It does not know frames, windows or
// sockets: the connection tells it which streams have something to send and may send it, asks who is next, and reports
// how much was sent. How much one stream may send at once is the connection's choice; frames of 16 KiB or less keep
// delays short (RFC 9113 §4.2).
//
// # How it is driven
//
// The caller embeds a [Node] in its stream, so that no stream costs an allocation here.
//
//	sched.Open(&s.node, params)       // HEADERS came, or we sent them
//	sched.Ready(&s.node)              // body to send, and stream window to send it
//	for connection window and room in the buffer {
//		n := sched.Next()             // nil: nobody is ready
//		sent := sendFrame(n.Owner)
//		sched.Sent(n, sent)
//		if nothing left, or no stream window { sched.Unready(n) }
//	}
//	sched.Close(&s.node)              // the stream has closed
//
// The connection's window is not the scheduler's business: who has none asks nobody.
//
// # Round robin
//
// [NewRoundRobin] ignores all priorities and gives every ready stream the same share of octets, by deficit round robin:
// a turn is worth 16 KiB, and who sent more than was left of its turn starts the next one with the debt. A stream of many
// small frames gets as many octets as one of large frames. Every method takes constant time, Next on average: debts above
// one turn, from larger frames, are paid by sitting out, one step for each 16 KiB that was sent before.
//
// # Room for the two schemes of HTTP/2
//
// The interface is made so that both schemes fit behind it without a change for the caller.
//
// RFC 9218, urgency and incremental. A scheduler keeps eight lists of ready nodes, one for each urgency, and a bit mask of
// those that are not empty, so Next stays constant: the lowest bit, then the oldest stream that is not incremental, or
// the next turn of those that are. Open takes the priority of the request's field, Adjust that of PRIORITY_UPDATE. Adjust
// takes an identifier and not a Node because PRIORITY_UPDATE may arrive before the request it speaks of (RFC 9218 §7.1):
// the scheduler keeps a bounded number of such words for idle streams, and Open looks there. Sent is what an aging guard
// needs, so that a large urgent response does not starve the rest.
//
// RFC 7540 §5.3, the dependency tree. Params carry the dependency, the exclusive flag and the weight. Open and Adjust move a
// node with its subtree; an exclusive one adopts its siblings. A dependency on a stream that is idle, or closed for a
// while, needs a node that no stream stands behind (RFC 7540 §5.3.4): Close hands the Node back to the caller, so the
// scheduler copies its place into a record of its own and keeps a bounded number of these; Adjust on an idle identifier
// makes one likewise. Ready and Unready mark the path to the root, Next walks down along it by the least service received
// in proportion to weight, and Sent charges the path. All of that is state of the scheduler, found by identifier, or
// private links in Node.
//
// Params say which of the two schemes was spoken; a scheduler ignores the other one. SETTINGS_NO_RFC7540_PRIORITIES
// (RFC 9218 §2.1) decides between schedulers before any stream is open, which is when the connection makes one.
//
// # Concurrency
//
// A Scheduler has no lock. Whoever owns the connection's state may call it, one goroutine at a time.
//
// # Limitations
//
//   - Round robin is the only scheduler here.
//   - The value of the priority field (RFC 9218 §4) is not parsed here.
package priority
