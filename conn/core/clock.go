package core

import "time"

// clock turns the times that the caller brings into times that never go back. Timers, token buckets
// and measurements use these alone. Otherwise a clock that is set back, as one without a monotonic
// reading may be, would empty the token buckets of an honest peer and delay every timer by as much.
type clock struct {
	now     time.Time     // the present, as far as it is known
	offset  time.Duration // by how much now is later than the caller's clock, which has been set back
	haveNow bool          // a call that brings the time is under way, so now is the present
}

// clockStep is how far the caller's times may go back without its clock having been set back: its
// goroutines may read the clock in another order than they bring the time in.
const clockStep = time.Second

// advance takes the caller's time.
func (k *clock) advance(now time.Time) {
	if k.offset > 0 {
		now = now.Add(k.offset)
	}
	if d := k.now.Sub(now); d <= 0 {
		k.now = now
	} else if d > clockStep && now == now.Round(0) { // an old monotonic reading is only late: the clock was not set
		k.offset += d
	}
}
