// Package priority schedules streams: it decides which stream sends next.
//
// All its schedulers implement one interface, [Scheduler]. They do not know frames, windows or
// sockets: the connection says which streams have something to send and may send it, asks for the
// next stream, and reports how much was sent. How much a stream may send at once is the
// connection's choice; frames of 16 KiB or less keep delays short (RFC 9113 §4.2).
//
// # How a Scheduler is used
//
// The caller embeds a [Node] in its stream, so that no stream costs an allocation here.
//
//	sched := priority.NewAuto()
//	sched.Open(&s.node, params)       // HEADERS came, or we sent them
//	sched.Ready(&s.node)              // body to send, and stream window to send it
//	for connection window and space in the buffer {
//		n := sched.Next()             // nil: no stream is ready
//		sent := sendFrame(n.Owner)
//		sched.Sent(n, sent)
//		if nothing left, or no stream window { sched.Unready(n) }
//	}
//	sched.Close(&s.node)              // the stream has closed
//
// The scheduler does not know the connection's window: a connection whose window is empty does not
// call Next.
//
// # Which scheduler
//
// [NewAuto] follows the peer: it is a round robin until a priority is stated, and then uses the
// scheme in which it is. Each of the others uses one scheme whatever is stated. Params say in which
// of the two schemes a priority was stated; a scheduler ignores the other one. Priorities may be
// stated at any time, for streams that are open, idle or closed.
//
// # Round robin
//
// [NewRoundRobin] ignores all priorities and gives every ready stream the same share of octets, by
// deficit round robin: a turn is worth 16 KiB, and a stream that sent more than was left of its
// turn starts its next turn with a deficit. A stream of many small frames gets as many octets as
// one of large frames. Every method takes constant time, Next on average: a stream with a deficit
// above one turn, from larger frames, is skipped once for each 16 KiB of it.
//
// # Urgency
//
// [NewExtensible] is the scheme of RFC 9218: eight urgencies, and responses that are useful piece
// by piece (incremental) or only when complete. [Parse] reads the priority field, [Params.Merge]
// merges that of a response into it, [Params.Field] writes it, and [Params.Pack] puts it into one
// octet. Streams of the lower urgencies do not starve: one octet of 64 is theirs.
//
// PRIORITY_UPDATE may arrive before the request that it names (RFC 9218 §7.1). The connection
// keeps it, as package conn/core does, and gives its priority to Open.
//
// # Dependencies
//
// [NewTree] is the scheme of RFC 7540 §5.3: a tree of streams, each with a weight. A stream that
// is ready goes before all that depend on it; streams that depend on the same one share octets by
// weight, by weighted fair queueing with a virtual clock for each parent. The cost of a frame grows
// with the depth of its stream, and with the logarithm of the number of its siblings.
//
// A stream may depend on one that is idle, or that has closed (RFC 7540 §5.3.4). After Close the
// Node is the caller's again, so the nodes of the tree are records of the scheduler, found by
// identifier. How many are kept for streams that are not open is bounded, and so is the depth of
// the tree. Adjust takes an identifier and not a Node, so that it can name such a stream.
//
// # Other schedulers
//
// Every implementation of [Scheduler] can be used. It may keep its state of a stream in the Data of
// the [Node], so that it needs no map. [Check] wraps it in tests, and panics where it breaks the
// contract. In a connection such a fault ends the connection, with an error that wraps
// [ErrContract].
//
// # Concurrency
//
// A Scheduler has no lock. Its methods must be called by one goroutine at a time.
//
// # Limitations
//
//   - [NewAuto] uses one scheme for all streams of a connection. [NewRoundRobin] may suit an
//     intermediary that forwards requests of many clients on one connection (RFC 9218 §13.1).
//   - Shares are counted in octets of frames that were sent. How long they then wait in the
//     kernel's buffers is not known here: the connection must not write much more than the link
//     takes.
//   - A scheduler chooses among the streams that are ready. A stream whose writer is about to write
//     the next piece must stay ready meanwhile, or the next streams get its share; package conn
//     ensures that where the socket is slow.
package priority
