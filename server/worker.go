package server

import (
	"runtime"
	"sync"

	"github.com/sluice-go/sluice/internal/goroutine"
	"github.com/sluice-go/sluice/internal/httpfield"
)

// worker is the memory of a goroutine that runs requests, used for one after another.
type worker struct {
	draft draft
	names httpfield.Names // of the last request's header
	spare *exchange       // for the next request
	last  bool            // the goroutine must run no other handler

	// Guarded by the mu of the dispatcher that the worker works for:
	x          *exchange // whose handler runs; nil between two
	prev, next *worker   // in dispatcher.active
	seq        uint32    // x is the request of this number
}

var workers = sync.Pool{New: func() any { return new(worker) }}

// After so many responses, or so many octets of them, a worker flushes although more requests wait:
// the client can go on with the first, and the rest need not be kept in memory for long.
const (
	flushResponses = 128
	flushOctets    = 64 << 10
)

// work runs requests until there is nothing to do.
func (d *dispatcher) work() {
	growStack(0)
	goroutine.Restore(d.labels) // the goroutine that has started this one may be a handler's
	w := workers.Get().(*worker)
	ended := false
	defer func() {
		if !ended { // the handler has called runtime.Goexit, or this is a crash
			d.lost(w)
		}
	}()
	for {
		start := d.pace.start(d.drains.Add(1))
		n, then := d.drain(w)
		if n > 0 {
			d.pace.stop(start, n)
		}
		if then == flushAfterOthers {
			runtime.Gosched()
			d.stopMerging()
		}
		if then == leave {
			break
		}
		d.sc.c.Flush()
		if d.retire(w) {
			break
		}
	}
	ended, w.last = true, false
	workers.Put(w)
	d.workerEnded()
}

// drain runs requests until the queue is empty or the worker must not run another. It returns how
// many it has run, and what is to be done next.
func (d *dispatcher) drain(w *worker) (n int, then finale) {
	flushed := w.draft.total
	for {
		x, f := d.next(w)
		if x == nil {
			return n, f
		}
		x.run(&w.names)
		n++
		d.cleanUp(w)
		if n%flushResponses == 0 || w.draft.total-flushed >= flushOctets {
			flushed = w.draft.total
			d.sc.c.Flush()
		}
	}
}

// Where it takes microseconds to know whether a goroutine is locked to its thread, that is asked
// after each of the first requests of a connection and then after one in so many.
const (
	lockedFirst = 64
	lockedEvery = 512
)

// cleanUp makes the goroutine fit for the next handler, or says that it is not.
func (d *dispatcher) cleanUp(w *worker) {
	goroutine.Restore(d.labels)
	switch {
	case d.each || d.pace.alone.Load():
		w.last = true
	case goroutine.LockedIsQuick():
		w.last = goroutine.Locked()
	case w.seq <= lockedFirst || w.seq%lockedEvery == 0:
		if w.last = goroutine.Locked(); w.last {
			d.pace.alone.Store(true)
		}
	}
}

// lost ends a worker whose goroutine is ending in the middle of a handler.
func (d *dispatcher) lost(w *worker) {
	d.mu.Lock()
	if w.x != nil {
		d.endLocked(w)
	}
	d.workers--
	d.staffLocked()
	d.mu.Unlock()
	d.sc.c.Flush()
	d.workerEnded()
}
