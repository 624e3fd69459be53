package core

import "time"

// clock makes of the times that the caller brings one that never goes back: timers, token buckets
// and measurements are held against it alone. Without that a clock that is set back, as one without
// a monotonic reading may be, would empty the buckets of an honest peer and put off every timer by
// as much.
type clock struct {
	now   time.Time     // the present, as far as it is known
	ahead time.Duration // by how much now runs ahead of the caller's clock, since that was set back
}

// clockStep is a step back that is not taken for one: callers on several goroutines may bring times
// in another order than they have read them in.
const clockStep = time.Second

// tell takes the caller's time.
func (k *clock) tell(now time.Time) {
	if k.ahead > 0 {
		now = now.Add(k.ahead)
	}
	if d := k.now.Sub(now); d <= 0 {
		k.now = now
	} else if d > clockStep && now == now.Round(0) { // a monotonic reading that is so old was held back by the caller
		k.ahead += d
	}
}

// toCaller returns t as the caller's clock shows it.
func (k *clock) toCaller(t time.Time) time.Time {
	if k.ahead > 0 && !t.IsZero() {
		t = t.Add(-k.ahead)
	}
	return t
}
