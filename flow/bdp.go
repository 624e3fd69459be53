package flow

import "time"

// A BDPEstimator estimates the bandwidth-delay product of one connection and makes its receive
// windows large enough for it. With smaller windows the peer waits for credit while the path is
// idle. The estimator knows the round-trip time and divides time into sample periods of one
// round-trip time each. A window of which half was consumed within a period limits the peer and
// should grow.
//
// Only octets that a reader has consumed count, not those that have arrived, so a window that is
// not read keeps its size. The zero value knows no round-trip time, and lets no window grow.
type BDPEstimator struct {
	rtt         time.Duration // the round-trip time; 0: not known
	period      uint32        // number of the current sample period
	periodStart time.Time     // when the current sample period began
	pingSent    time.Time     // when the unacknowledged PING or SETTINGS was sent; zero: none
	nextPing    time.Time     // the earliest time at which another PING is of use

	active     uint32 // windows of which data was consumed in the current period
	lastActive uint32 // windows of which data was consumed in the period before
}

// A BDPSample counts the octets that were consumed of one window in the current sample period. The
// zero value is ready to use.
type BDPSample struct {
	period uint32 // the sample period that n belongs to
	n      uint32 // octets consumed in that period
	rate   uint32 // KiB a second that were consumed when the window grew last; 0: it has not grown
}

const (
	// maxRTT is the longest round-trip time that is believed. A peer may answer as late as it
	// likes.
	maxRTT = 4 * time.Second

	// pingInterval is the shortest time between two measurements of the round-trip time.
	pingInterval = 10 * time.Second

	// maxBurst limits the rate that is computed from a part of a period: at most maxBurst times the
	// octets consumed are assumed for a complete period, because a window may be used up in a burst
	// that says little about the path.
	maxBurst = 8
)

// RTT returns the round-trip time, or 0 where it is not known.
func (e *BDPEstimator) RTT() time.Duration { return e.rtt }

// PingSent records that a PING, or another frame that the peer acknowledges at once, such as
// SETTINGS, is sent now.
func (e *BDPEstimator) PingSent(now time.Time) { e.pingSent = now }

// PingAcked records that the frame of the last PingSent was acknowledged. A shorter round-trip time
// is believed at once, since nothing makes a path look shorter than it is. The acknowledgement may
// have waited behind DATA, so a longer round-trip time moves the estimate by an eighth of the
// difference only. Without a PingSent before it, the call does nothing.
func (e *BDPEstimator) PingAcked(now time.Time) {
	if e.pingSent.IsZero() {
		return
	}
	rtt := min(now.Sub(e.pingSent), maxRTT)
	if e.rtt == 0 {
		// The peer was busy with the start of the connection when it answered first, so a second
		// measurement is of use at once.
		e.nextPing = now
	} else {
		e.nextPing = now.Add(pingInterval)
	}
	e.pingSent = time.Time{}
	if e.rtt > 0 && rtt > e.rtt {
		rtt = e.rtt + (rtt-e.rtt)/8
	}
	e.rtt = max(rtt, 0)
}

// DataReceived records that DATA has arrived, and begins a new sample period where the last one is
// over. It reports whether to send a PING now that measures the round-trip time: when at least
// minBytes octets were consumed in the period, no PING is unacknowledged, and the last measurement
// is 10 s old or the only one. conn is the sample of the connection's window.
func (e *BDPEstimator) DataReceived(conn *BDPSample, minBytes uint32, now time.Time) (ping bool) {
	if e.rtt == 0 {
		return false
	}
	ping = conn.n >= minBytes && conn.period == e.period && e.pingSent.IsZero() && !now.Before(e.nextPing)
	if now.Sub(e.periodStart) >= e.rtt {
		e.period++
		e.periodStart = now
		e.lastActive, e.active = e.active, 0
	}
	return ping
}

// Consumed counts n octets of w that were consumed. It reports whether w may have to grow, in which
// case the caller should call Grow.
func (e *BDPEstimator) Consumed(s *BDPSample, w *RecvWindow, n uint32) (mayGrow bool) {
	if s.period != e.period {
		s.period, s.n = e.period, 0
		e.active++
	}
	s.n += n
	return 2*uint64(s.n) >= uint64(w.size) && e.rtt > 0
}

// ActiveWindows returns of how many windows data is consumed: in the current sample period or in
// the one before, whichever had more.
func (e *BDPEstimator) ActiveWindows() uint32 { return max(e.active, e.lastActive) }

// Grow makes w larger, by at most maxGrowth octets, if half of it was consumed in the current
// sample period: to twice the octets that are consumed in a round-trip time at the current rate. It
// does so again only when the rate has risen by a tenth since. If the rate has not, the window did
// not limit the peer, and more octets would lie in a queue, which makes the round-trip time longer
// still. Grow returns by how many octets w has grown, and the increment of the WINDOW_UPDATE that
// the caller must send now.
func (e *BDPEstimator) Grow(s *BDPSample, w *RecvWindow, maxGrowth uint32, now time.Time) (grown, increment uint32) {
	if s.period != e.period || 2*uint64(s.n) < uint64(w.size) {
		return 0, 0
	}
	// A slow reader may take longer than one period.
	took := uint64(max(now.Sub(e.periodStart), e.rtt/maxBurst, 1))
	// The products below stay under 2^64: n is at most 2^31-1 and maxRTT is under 2^32 ns.
	n := min(uint64(s.n), MaxWindow)
	rate := n * uint64(time.Second>>10) / took
	if s.rate > 0 && 10*rate < 11*uint64(s.rate) {
		return 0, 0
	}
	want := 2 * n * uint64(e.rtt) / took
	size := uint64(w.size)
	target := min(want, size+uint64(maxGrowth), MaxWindow)
	if target <= size {
		return 0, 0
	}
	if target == want { // where maxGrowth was too small, the same rate may let it grow again
		s.rate = uint32(min(rate, 1<<31))
	}
	return uint32(target - size), w.Resize(uint32(target))
}
