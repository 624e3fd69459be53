package capture

import (
	"slices"
	"time"
)

// slots is how many streams the client has open, of those that the server permits
// (RFC 9113 §5.1.2).
type slots struct {
	known bool
	open  uint32
	limit uint32 // 0: none is known
	full  time.Time
	freed time.Time // since then one is free; zero while all are in use
}

func (s *slots) setLimit(n uint32, t time.Time) {
	s.limit = n
	s.full, s.freed = time.Time{}, time.Time{}
	if n > 0 && s.open >= n {
		s.full = t
	}
}

// take counts a stream that the client opens at t. Where it comes right after another one has
// ended, it has waited, at most since all were in use; the time is from then on. A capture does not
// show when the client wanted it.
func (s *slots) take(t time.Time, prompt time.Duration) (waited time.Duration) {
	s.open++
	if !s.known || s.limit == 0 {
		return 0
	}
	if !s.full.IsZero() && !s.freed.IsZero() {
		if t.Sub(s.freed) <= prompt {
			waited = max(t.Sub(s.full), 0)
		} else {
			s.full = time.Time{}
		}
	}
	if s.open >= s.limit {
		s.freed = time.Time{}
		if s.full.IsZero() {
			s.full = t
		}
	}
	return waited
}

// release counts a stream that has ended.
func (s *slots) release(t time.Time, prompt time.Duration) {
	s.open = max(s.open, 1) - 1
	if s.full.IsZero() || s.open >= s.limit {
		return
	}
	if !s.freed.IsZero() && t.Sub(s.freed) > prompt {
		s.full = time.Time{} // one has been free for long: nothing waits
	}
	s.freed = t
}

// maxSeenStreams is how many streams are remembered that had frames at the same time.
const maxSeenStreams = 256

// seen is which streams had frames at one time, and how long these had waited for octets that TCP
// had to send again.
type seen struct {
	at      time.Time
	streams []uint32
	waited  time.Duration
}

// move begins a new time.
func (s *seen) move(t time.Time) {
	if !s.at.Equal(t) {
		s.at, s.streams, s.waited = t, s.streams[:0], 0
	}
}

// saw notes the stream of f.
func (l *ledger) saw(f *Frame) {
	s, id := &l.seen[f.Dir], f.Header.StreamID
	s.move(f.Time)
	if id == 0 || len(s.streams) == maxSeenStreams || slices.Contains(s.streams, id) {
		return
	}
	s.streams = append(s.streams, id)
	if st, ok := l.streams.Get(id); ok {
		st.wait.Network += s.waited
	}
}

// retransmitted says that octets of side d were lost on the way, arrived at t when they were sent
// again, and that those behind them had waited for so long. The frames that they complete come at
// the same time, before or after the call.
func (l *ledger) retransmitted(d Dir, t time.Time, waited time.Duration) {
	s := &l.seen[d]
	s.move(t)
	s.waited += waited
	for _, id := range s.streams {
		if st, ok := l.streams.Get(id); ok {
			st.wait.Network += waited
		}
	}
}
