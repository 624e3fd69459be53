package core

import "time"

// awaitState says how often a stream is not awaited because it was late before: see StopAwaiting.
type awaitState struct {
	backoff uint8 // value of skip after the stream was late the last time; 0 once it was in time
	skip    uint8 // how many more times the stream is not awaited
}

// maxAwaitSkip bounds how many times in a row a stream that was late is not awaited.
const maxAwaitSkip = 31

// SetBackpressure says whether the socket is slow, so that writers have new data before the socket
// has taken what it was given. Then the order of the scheduler counts for more than a socket that
// is never idle: a stream that has sent all its data, but not its end, stays ready, and Fill ends
// when the scheduler chooses it. Otherwise a stream would lose its place whenever its writer is
// about to queue the next piece, and streams of lower priority would send in its place.
//
// Where Awaits reports true, the caller waits for the writer as long as the socket has something to
// do, and then calls StopAwaiting.
func (d Driver) SetBackpressure(on bool) { d.sched.backpressure = on }

// Awaits reports whether the stream that the scheduler has chosen has nothing to send yet, while
// others have.
func (d Driver) Awaits() bool {
	if !d.sched.backpressure || d.sched.num[awaited] == 0 || !d.Sendable() {
		return false
	}
	s := d.next()
	return s != nil && s.readiness == awaited
}

// StopAwaiting lets the scheduler go on to the next stream where Awaits reports true. waited is how
// long the caller has waited for the stream's writer, and enough is the time in which a quick
// writer queues the next piece. A writer that has taken longer is late: the next time that its
// stream has sent all its data, it is not awaited, and for more times the more often in a row it
// was late.
func (d Driver) StopAwaiting(waited, enough time.Duration) {
	if !d.Awaits() {
		return
	}
	s := d.next()
	if waited >= enough {
		s.await.backoff = min(2*s.await.backoff+1, maxAwaitSkip)
		s.await.skip = s.await.backoff
	}
	d.setReadiness(s, notReady)
}

// worthAwaiting reports whether the writer of s, which has sent all its data, is expected to queue
// more soon.
func (s *Stream) worthAwaiting() bool {
	if s.await.skip > 0 {
		s.await.skip--
		return false
	}
	return true
}
