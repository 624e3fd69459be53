package server

import (
	"runtime"
	"time"
)

// flushEvery is after how many responses a worker flushes although more requests wait, so that the client can go
// on with the first.
const flushEvery = 128

// sampleEvery is how often a worker that is quick looks at the clock: looking costs as much as a small handler.
const sampleEvery = 8

// work runs requests until there is nothing to do.
func (d *dispatcher) work() {
	var last *exchange
	defer func() {
		if last != nil { // the handler has called runtime.Goexit, or this is a crash
			d.lost(last)
		}
	}()
	for {
		start, measure := d.startClock()
		n := 0
		for {
			s := d.next(last)
			if last = nil; s == nil {
				break
			}
			x, h := d.sc.newExchange(s)
			last = x
			x.run(h)
			if n++; n%flushEvery == 0 {
				d.sc.c.Flush()
			}
		}
		if measure && n > 0 {
			d.pace.observe(time.Since(start) / time.Duration(n))
		}
		d.flush()
		if d.retire() {
			return
		}
	}
}

// startClock returns the time if the worker is to measure how long its handlers take.
func (d *dispatcher) startClock() (time.Time, bool) {
	d.mu.Lock()
	d.drains++
	measure := d.drains%sampleEvery == 1 || d.pace.slow()
	d.mu.Unlock()
	if !measure {
		return time.Time{}, false
	}
	return time.Now(), true
}

// flush writes what the worker has appended. Where others run that will have something to write, too, it lets
// them go first.
func (d *dispatcher) flush() {
	d.mu.Lock()
	if d.merging {
		d.mu.Unlock()
		return // whoever has set it flushes later
	}
	d.writing++
	if d.running > d.blocked {
		d.merging = true
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
		d.merging = false
	}
	d.dirty = false
	d.mu.Unlock()
	d.sc.c.Flush()
	d.mu.Lock()
	d.writing--
	d.mu.Unlock()
}

// lost ends a worker whose goroutine is ending in the middle of a handler.
func (d *dispatcher) lost(x *exchange) {
	d.mu.Lock()
	d.endLocked(x)
	d.workers--
	d.staffLocked()
	d.mu.Unlock()
	d.sc.c.Flush()
}
