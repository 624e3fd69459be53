package server

import (
	"sync/atomic"
	"time"
)

// pace is how long the handlers of a server take, as a running mean. It is shared by its connections, and a
// lost update does no harm.
type pace struct {
	mean  atomic.Int64 // ns
	procs int          // GOMAXPROCS when the server was made
}

const (
	// slowHandler is the mean from which each request gets a goroutine at once: the switch costs less than 1% then.
	slowHandler = 100 * time.Microsecond
	// parallelWork is how much queued work is worth waking another CPU.
	parallelWork = 100 * time.Microsecond
	// sampleEvery is how often quick workers look at the clock: looking costs as much as a small handler.
	sampleEvery = 8
	// maxSample bounds what one slow handler does to the mean.
	maxSample = 10 * slowHandler
)

// start begins to measure what a worker does when it turns to its queue for the nth time. The zero time is no measure.
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
