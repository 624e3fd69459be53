package flow

import "time"

// A Tuner finds out for one connection how large its receive windows have to be: as large as the product of bandwidth
// and delay, or the peer waits for credit while the path is idle. It knows the round-trip time and cuts time into rounds
// of one each, and a window of which half was consumed within a round is in the way and should grow.
//
// What counts is what a reader has consumed, never what has arrived, so a window that nobody reads stays as it is. The
// zero value knows no round-trip time, and lets nothing grow.
type Tuner struct {
	rtt   time.Duration // 0: not known
	round uint32
	start time.Time // of the round
	sent  time.Time // of the question that is under way
	next  time.Time // when it is worth to ask again

	meters, before uint32 // that have counted something in this round, and in the one before
}

// A Meter counts what was consumed of one window in the present round. The zero value is ready to use.
type Meter struct {
	round uint32
	n     uint32
	pace  uint32 // in KiB a second, when the window grew last
}

const (
	// maxRTT is the longest round-trip time that is believed. A peer may answer as late as it likes.
	maxRTT = 4 * time.Second

	// askEvery is the time between two questions for the round-trip time.
	askEvery = 10 * time.Second

	// maxPace is how many times what was consumed could have been in a whole round, at most: a window may be used up in
	// a burst that says little about the path.
	maxPace = 8
)

// RTT returns the round-trip time as far as it is known, 0 where it is not.
func (t *Tuner) RTT() time.Duration { return t.rtt }

// Asked says that something which the peer answers at once is sent now: SETTINGS, or a PING.
func (t *Tuner) Asked(now time.Time) { t.sent = now }

// Answered says that the answer has come. A shorter round-trip time is believed at once, since nothing makes a path
// look shorter than it is; a longer one may have waited behind DATA, so the estimate goes an eighth of the way.
func (t *Tuner) Answered(now time.Time) {
	if t.sent.IsZero() {
		return
	}
	rtt := min(now.Sub(t.sent), maxRTT)
	if t.rtt == 0 {
		t.next = now // the first answer came from a peer that was busy with its own beginning: ask once more
	} else {
		t.next = now.Add(askEvery)
	}
	t.sent = time.Time{}
	if t.rtt > 0 && rtt > t.rtt {
		rtt = t.rtt + (rtt-t.rtt)/8
	}
	t.rtt = max(rtt, 0)
}

// Arrived says that DATA has arrived, with which a new round begins where the last is over. It tells whether to ask for
// the round-trip time, m being the meter of the connection: at least worth octets were consumed in the round, no answer
// is due, and the last one is ten seconds old, or the only one.
func (t *Tuner) Arrived(m *Meter, worth uint32, now time.Time) (ask bool) {
	if t.rtt == 0 {
		return false
	}
	ask = m.n >= worth && m.round == t.round && t.sent.IsZero() && !now.Before(t.next)
	if now.Sub(t.start) >= t.rtt {
		t.round++
		t.start = now
		t.before, t.meters = t.meters, 0
	}
	return ask
}

// Consumed counts n octets of w that were consumed, and tells whether w may have to grow, so that Grow is to be called.
func (t *Tuner) Consumed(m *Meter, w *RecvWindow, n uint32) (look bool) {
	if m.round != t.round {
		m.round, m.n = t.round, 0
		t.meters++
	}
	m.n += n
	return 2*uint64(m.n) >= uint64(w.size) && t.rtt > 0
}

// Meters returns how many windows something is consumed of at present: in this round or in the one before, whichever
// had more of them.
func (t *Tuner) Meters() uint32 { return max(t.meters, t.before) }

// Grow makes w larger, by at most room octets, if half of it was consumed in this round: to twice of what is
// consumed in a round-trip time at the present pace. It does so again only when the pace has become faster by a tenth: if
// it has not, the window was not what kept the peer, and more of it would lie in a queue, which makes the path look
// longer still. Grow returns by how much w has grown and the increment of the WINDOW_UPDATE that the caller must send
// now.
func (t *Tuner) Grow(m *Meter, w *RecvWindow, room uint32, now time.Time) (grown, increment uint32) {
	if m.round != t.round || 2*uint64(m.n) < uint64(w.size) {
		return 0, 0
	}
	took := uint64(max(now.Sub(t.start), t.rtt/maxPace, 1)) // more than a round where the reader is slow
	n := min(uint64(m.n), MaxWindow)                        // so that the products stay below 2^64, as maxRTT is below 2^32 ns
	pace := n * uint64(time.Second>>10) / took
	if m.pace > 0 && 10*pace < 11*uint64(m.pace) {
		return 0, 0
	}
	want := 2 * n * uint64(t.rtt) / took
	size := uint64(w.size)
	target := min(want, size+uint64(room), MaxWindow)
	if target <= size {
		return 0, 0
	}
	if target == want { // and not only as much as there was room for
		m.pace = uint32(min(pace, 1<<31))
	}
	return uint32(target - size), w.Resize(uint32(target))
}
