package tunnel

import (
	"sync"
	"time"
)

// heldLimits are the idle and age limits of a Proxy, which wait until they are released: what is to
// come before them may take its time on a busy machine.
type heldLimits struct {
	mu       sync.Mutex // guards the fields below and those of the timers
	released bool
	timers   []*heldTimer
}

// heldTimer is the timer of one of them.
type heldTimer struct {
	*time.Timer
	limits  *heldLimits
	stopped bool
}

// holdLimits has the limits of p wait. It is called before p serves.
func holdLimits(p *Proxy) *heldLimits {
	h := &heldLimits{}
	p.init().startTimer = func(d time.Duration, f func()) timer {
		h.mu.Lock()
		defer h.mu.Unlock()
		t := &heldTimer{Timer: time.AfterFunc(time.Hour, f), limits: h}
		if h.released {
			t.Timer.Reset(d)
		}
		h.timers = append(h.timers, t)
		return t
	}
	return h
}

// release has the limits count: those that are running are over now, unless they find out that
// there was activity.
func (h *heldLimits) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = true
	for _, t := range h.timers {
		if !t.stopped {
			t.Timer.Reset(0)
		}
	}
}

func (t *heldTimer) Reset(d time.Duration) bool {
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	if t.stopped = false; !t.limits.released {
		d = time.Hour
	}
	return t.Timer.Reset(d)
}

func (t *heldTimer) Stop() bool {
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	t.stopped = true
	return t.Timer.Stop()
}
