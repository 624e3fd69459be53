package core

// SetPatient says whether the socket is slow, so that writers have something new before it has
// taken what it was given. Then the order of the scheduler counts for more than a socket that
// always has something to do: a stream that has sent all that it had, but not its end, keeps its
// turn, and Fill ends where it comes to it. Otherwise a stream would lose its turn whenever its
// writer is about to hand over the next piece, and those behind it would get what it leaves,
// whatever the priorities are.
//
// The caller waits for the writer where Awaits says so, for as long as the socket can do without,
// and then calls StopAwaiting.
func (d Driver) SetPatient(patient bool) { d.patient = patient }

// Awaits reports whether the stream whose turn it is has nothing to send yet, while others have.
func (d Driver) Awaits() bool {
	if !d.patient || d.order.awaited == 0 || !d.Sendable() {
		return false
	}
	s := d.next()
	return s != nil && s.turn == awaited
}

// StopAwaiting passes the turn on to the next stream where Awaits reports true. With late set, the
// stream has had the time that a quick writer needs: it is not awaited the next time that it has
// sent all, if it was late before the next few times.
func (d Driver) StopAwaiting(late bool) {
	if !d.Awaits() {
		return
	}
	s := d.next()
	if late {
		s.late = min(2*s.late+1, maxSkip)
		s.skip = s.late
	}
	d.setTurn(s, noTurn)
}

// maxSkip bounds how often a stream that was late is not awaited.
const maxSkip = 31

// prompt reports whether the writer of s, which has sent all that it had, is expected to have more
// soon.
func (s *Stream) prompt() bool {
	if s.skip > 0 {
		s.skip--
		return false
	}
	return true
}
