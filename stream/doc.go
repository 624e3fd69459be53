// Package stream has the states of HTTP/2 streams (RFC 9113 §5.1): which frame may be received or
// sent in which state, which identifiers may be used, which streams there are, and how closed
// streams were closed.
//
// It contains rules and containers, not streams: the type of a stream is the connection's. The
// package knows neither the wire format nor HTTP.
//
// # States
//
// [State.On] looks an [Event] up in a table and returns a [Rule], the next state and a [Verdict];
// it changes nothing. Every pair of state and event has a rule. docs/STATES.md is drawn from the
// table.
//
//	r := s.state.On(stream.RecvData)
//	if err := r.Verdict.Err(s.id, stream.RecvData, s.state); err != nil {
//		return err // RST_STREAM for a *frame.StreamError, GOAWAY for a *frame.ConnError
//	}
//	s.state = r.Next
//	if r.Verdict == stream.Ignored {
//		return nil // but field blocks are decoded and DATA is counted
//	}
//
// A frame with END_STREAM is two events. CONTINUATION is part of the frame that it continues: that
// no other frame comes between them is checked where field blocks are joined. PUSH_PROMISE is two
// events as well, on two streams: it reserves the promised stream, and the stream that carries it
// must be in the right state.
//
// RFC 9113 has one state "closed". Here it is three, by what closed the stream first, because the
// meaning of a late frame differs:
//
//   - [ClosedEnd], END_STREAM in both directions: DATA or HEADERS after the peer's own END_STREAM
//     is a connection error STREAM_CLOSED; WINDOW_UPDATE and RST_STREAM may have been in flight.
//   - [ClosedResetLocal], our RST_STREAM: every frame may have been in flight and is ignored.
//   - [ClosedResetRemote], the peer's RST_STREAM: nothing can have been in flight, so a late frame
//     is a stream error STREAM_CLOSED, answered once. RST_STREAM is never sent in answer to
//     RST_STREAM.
//
// # Identifiers
//
// [IDs] assigns our identifiers and checks the peer's: odd for clients, even for servers,
// increasing, never used twice. Opening a stream closes all lower ones of the same side that are
// still idle.
//
// # Open and closed streams
//
// [Table] has the streams that are neither idle nor closed, [ClosedStreams] the states of those
// that closed last. The state of a frame's stream is found like this:
//
//  1. In the Table: the state of that stream.
//  2. [IDs.Idle]: Idle. HEADERS and PUSH_PROMISE then need [IDs.Accept].
//  3. In the ClosedStreams: that closed state.
//  4. Else the stream was skipped or is forgotten. HEADERS gets the error of IDs.Accept; any other
//     frame is best treated as in ClosedResetLocal, because it may have been in flight when we
//     reset the stream long ago.
//
// # Concurrency
//
// Nothing here has a lock. The methods of a Table, a ClosedStreams or an IDs must be called by one
// goroutine at a time. State.On and the error methods are pure and may be called from any
// goroutine.
//
// # Limitations
//
//   - Which endpoint may open a stream is not in the states: IDs.Accept refuses HEADERS on an idle
//     stream of our own.
//   - Identifiers are hashed without a secret. A peer that picks them can make lookups linear in
//     the number of streams that it may have open; with the usual limits of some hundreds that is
//     less than a microsecond.
//   - Frames of extensions are no events: RFC 9113 §5.1 has no rules for them.
package stream
