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
// # Urgency
//
// [NewExtensible] is the scheme of RFC 9218: eight urgencies, and responses that are useful piece by piece or only as a
// whole. [Parse] reads the priority field, [Params.Merge] adds what a server has to say to it, [Params.Field] writes it. Lower
// urgencies do not starve: one octet of 64 is theirs.
//
// Adjust takes an identifier and not a Node because PRIORITY_UPDATE may arrive before the request it speaks of (RFC 9218
// §7.1): the scheduler keeps a bounded number of such words for idle streams, and Open looks there.
//
// # Room for the tree
//
// RFC 7540 §5.3, the dependency tree. Params carry the dependency, the exclusive flag and the weight. Open and Adjust move a
// node with its subtree; an exclusive one adopts its siblings. A dependency on a stream that is idle, or closed for a
// while, needs a node that no stream stands behind (RFC 7540 §5.3.4): Close hands the Node back to the caller, so the
// scheduler copies its place into a record of its own and keeps a bounded number of these; Adjust on an idle identifier
// makes one likewise. Ready and Unready mark the path to the root, Next walks down along it by the least service received
// in proportion to weight, and Sent charges the path. All of that is state of the scheduler, found by identifier, or
// private links in Node.
//
// Params say which of the two schemes was spoken; a scheduler ignores the other one.
//
// # Concurrency
//
// A Scheduler has no lock. Whoever owns the connection's state may call it, one goroutine at a time.
//
// # Limitations
//
//   - There is no scheduler for the dependency tree of RFC 7540 §5.3.
package priority
