package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// handlerTime is how long the handlers of a server take, as a running mean, and whether requests
// may share goroutines. The connections of the server share it, and a lost update does no harm.
type handlerTime struct {
	mean  atomic.Int64 // in nanoseconds
	procs int          // GOMAXPROCS when the server was made

	// oneEach is set when a handler has left its goroutine locked to its thread, and it takes
	// microseconds to find that out: each goroutine runs one handler from then on.
	oneEach atomic.Bool

	// separateUntil is when requests may share goroutines again, after a handler has held up
	// others, in nanoseconds of the wall clock. In the past, or 0: they may now.
	separateUntil atomic.Int64
	separated     atomic.Bool // separateUntil may be in the future

	mu struct {
		sync.Mutex
		period time.Duration // how long requests did not share goroutines the last time, or do not now
	}
}

const (
	// slowHandler is the mean above which each request gets a goroutine at once: the switch costs
	// less than 1% then.
	slowHandler = 100 * time.Microsecond
	// parallelWork is how much queued work it takes to wake another CPU.
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

// start returns when the nth round of a connection's workers has begun, or the zero time where the
// round is not to be measured.
func (t *handlerTime) start(n uint32) time.Time {
	if n%sampleEvery != 1 && t.mean.Load() <= int64(slowHandler) {
		return time.Time{}
	}
	return time.Now()
}

// observe updates the mean with the duration of a handler, or the mean of some.
func (t *handlerTime) observe(d time.Duration) {
	mean := t.mean.Load()
	if next := mean + (int64(min(d, maxSample))-mean)/8; next != mean {
		t.mean.Store(next)
	}
}

// workers is how many workers the given number of requests can make use of. It is limit where each
// request is to have a goroutine, since handlers have been slow or one has held up others of late,
// and otherwise the number of CPUs that there is work for.
func (t *handlerTime) workers(waiting, limit int) int {
	mean := time.Duration(t.mean.Load())
	if mean > slowHandler || t.separated.Load() && t.separate() {
		return limit
	}
	return max(1, min(t.procs, int(mean*time.Duration(waiting)/parallelWork)+1))
}

// stalled is called when a handler has held up others for progressInterval.
func (t *handlerTime) stalled(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := time.Duration(now.UnixNano() - t.separateUntil.Load())
	switch {
	case since < 0:
		return // the handlers that run were started before requests stopped to share goroutines
	case since < t.mu.period:
		t.mu.period = min(2*t.mu.period, maxSeparate)
	default:
		t.mu.period = minSeparate
	}
	t.separateUntil.Store(now.Add(t.mu.period).UnixNano())
	t.separated.Store(true)
}

// separate reports whether separateUntil is in the future.
func (t *handlerTime) separate() bool {
	left := time.Duration(t.separateUntil.Load() - time.Now().UnixNano())
	if left > 0 && left <= maxSeparate { // a clock that was set back does not make it longer
		return true
	}
	t.separated.Store(false)
	return false
}
