package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// pace is how long the handlers of a server take, as a running mean. It is shared by its
// connections, and a lost update does no harm.
type pace struct {
	mean  atomic.Int64 // ns
	procs int          // GOMAXPROCS when the server was made

	// alone is set when a handler has left its goroutine locked to its thread, and that takes
	// microseconds to see: each handler has a goroutine from then on that runs no other.
	alone atomic.Bool

	// until is when requests that come may share goroutines again, since a handler has held others
	// up, in nanoseconds of the wall clock. Zero: now.
	until     atomic.Int64
	separated atomic.Bool // until may be ahead

	mu     sync.Mutex
	period time.Duration // how long the last time without sharing was, or is
}

const (
	// slowHandler is the mean from which each request gets a goroutine at once: the switch costs
	// less than 1% then.
	slowHandler = 100 * time.Microsecond
	// parallelWork is how much queued work is worth waking another CPU.
	parallelWork = 100 * time.Microsecond
	// sampleEvery is how often quick workers look at the clock: looking costs as much as a small
	// handler.
	sampleEvery = 8
	// After a handler has held up others, each request has a goroutine for minSeparate. Where that
	// comes again soon after, it is twice as long each time, up to maxSeparate.
	minSeparate = time.Second
	maxSeparate = time.Minute
	// maxSample bounds what one slow handler does to the mean.
	maxSample = 10 * slowHandler
)

// start begins to measure what a worker does when it turns to its queue for the nth time. The zero
// time is no measure.
func (p *pace) start(n uint32) time.Time {
	if n%sampleEvery != 1 && !p.slow() {
		return time.Time{}
	}
	return time.Now()
}

// stop ends a measure after n handlers.
func (p *pace) stop(start time.Time, n int) {
	if !start.IsZero() {
		p.observe(time.Since(start) / time.Duration(n))
	}
}

// observe takes the duration of one handler, or the mean of some.
func (p *pace) observe(d time.Duration) {
	mean := p.mean.Load()
	if next := mean + (int64(min(d, maxSample))-mean)/8; next != mean {
		p.mean.Store(next)
	}
}

func (p *pace) slow() bool { return p.mean.Load() > int64(slowHandler) }

// parallel is how many CPUs the given number of requests can make use of.
func (p *pace) parallel(waiting int) int {
	work := time.Duration(p.mean.Load()) * time.Duration(waiting)
	return max(1, min(p.procs, int(work/parallelWork)+1))
}

// stalled notes that a handler has held up others for a tick.
func (p *pace) stalled(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Duration(now.UnixNano() - p.until.Load())
	switch {
	case since < 0:
		return // of a request that came before
	case since < p.period:
		p.period = min(2*p.period, maxSeparate)
	default:
		p.period = minSeparate
	}
	p.until.Store(now.Add(p.period).UnixNano())
	p.separated.Store(true)
}

// separate reports whether each request is to have a goroutine, since a handler has held others up
// of late.
func (p *pace) separate() bool {
	if !p.separated.Load() {
		return false
	}
	left := time.Duration(p.until.Load() - time.Now().UnixNano())
	if left > 0 && left <= maxSeparate { // a clock that was set back does not make it longer
		return true
	}
	p.separated.Store(false)
	return false
}
