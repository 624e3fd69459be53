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
//	sched := priority.NewAuto()
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
// # Which scheduler
//
// [NewAuto] follows the peer: it is fair until a priority is stated, and goes by the scheme in which one is. The others do one
// thing whatever is stated. Params say which of the two schemes was spoken; a scheduler ignores the other one. All of them
// take what may be stated at any time: about streams that are open, idle or closed.
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
// # Dependencies
//
// [NewTree] is the scheme of RFC 7540 §5.3: a tree of streams, each with a weight. A stream that is ready goes before all that
// depend on it; those that depend on the same one share octets by weight, by weighted fair queueing with a virtual clock
// for each parent. What a frame costs depends on the depth of its stream, and not on how many streams there are beside a
// logarithm.
//
// A dependency on a stream that is idle, or closed for a while, needs a place that no stream stands behind (RFC 7540
// §5.3.4). Close hands the Node back to the caller, so places are records of the scheduler, found by identifier. How many
// are kept for streams that are not open is bounded, and so is the depth that a walk may have.
//
// # One's own
//
// Whatever implements [Scheduler] can be used. What it knows of a stream may be kept in the Data of
// its [Node], so that it needs no map. [Check] wraps it in tests, and panics where it breaks the
// contract. In a connection such a fault ends the connection, with an error that wraps [ErrContract].
//
// # Concurrency
//
// A Scheduler has no lock. Whoever owns the connection's state may call it, one goroutine at a time.
//
// # Limitations
//
//   - [NewAuto] goes by one scheme for all streams of a connection. An intermediary that carries requests of many clients on
//     one connection may rather want [NewRoundRobin] (RFC 9218 §13.1).
//   - What a stream gets is counted in octets of frames that were sent. How long they then wait below, in the kernel's
//     buffers, is not seen here: the connection must not hand over much more than the link takes.
//   - A scheduler chooses among the streams that are ready. One whose writer is about to hand over the
//     next piece must stay ready meanwhile, or those behind it get its share; package conn sees to that
//     where the socket is slow.
package priority
