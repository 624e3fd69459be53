// Package stream knows the life of HTTP/2 streams (RFC 9113 §5.1): which frame may come or go in which state, which
// identifiers may be used, which streams there are and how those ended that are no more.
//
// It owns rules and containers, not streams: what a stream is, the connection decides. It knows neither octets nor HTTP.
//
// # States
//
// [State.On] looks an [Event] up in a table and returns a [Rule], the next state and a [Verdict]; it changes nothing. Every
// pair of state and event has a rule. docs/STATES.md is drawn from the table.
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
// A frame with END_STREAM is two events. CONTINUATION is part of the frame that it continues: that no other frame comes
// between them is checked where field blocks are put together. PUSH_PROMISE is two events as well, on two streams: it
// reserves the promised stream, and the stream that carries it must be in the right state.
//
// RFC 9113 has one state "closed". Here it is three, by what closed the stream first, because a late frame means
// something else in each:
//
//   - [ClosedEnd], END_STREAM in both directions: DATA and HEADERS break the peer's own word, a connection error
//     STREAM_CLOSED; WINDOW_UPDATE and RST_STREAM may have been on the way.
//   - [ClosedResetLocal], our RST_STREAM: anything may have been on the way and is ignored.
//   - [ClosedResetRemote], the peer's RST_STREAM: nothing can have been on the way, a stream error STREAM_CLOSED, answered
//     once. RST_STREAM is never sent in answer to RST_STREAM.
//
// # Identifiers
//
// [IDs] gives out our identifiers and checks the peer's: odd for clients, even for servers, rising, never used twice.
// Opening a stream closes all lower ones of the same side that are still idle.
//
// # Streams that are and were
//
// [Table] has the streams that are not idle and not closed, [Graveyard] the causes of the last ones that closed. A frame
// finds its stream's state like this:
//
//  1. In the Table: the state of that stream.
//  2. [IDs.Idle]: Idle. HEADERS and PUSH_PROMISE then need [IDs.Accept].
//  3. In the Graveyard: that closed state.
//  4. Else the stream was skipped or is forgotten. HEADERS gets the error of IDs.Accept; anything else is best treated as
//     ClosedResetLocal, because it may have been on the way when we reset the stream long ago.
//
// # Concurrency
//
// Nothing here has a lock. Tables, Graveyards and IDs belong to whoever owns the connection's state, one goroutine at a
// time; State.On and the error methods are pure and may be called from anywhere.
//
// # Limitations
//
//   - Who may open a stream is not in the states: IDs.Accept refuses HEADERS on an idle stream of our own.
//   - Identifiers are hashed without a secret. A peer that picks them can make lookups linear in the number of streams that
//     it may have open; with the usual limits of some hundreds that is less than a microsecond.
//   - Frames of other documents are no events: RFC 9113 §5.1 leaves them alone, and so may the caller.
package stream
