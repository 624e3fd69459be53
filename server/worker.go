package server

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// worker is the memory of a goroutine that runs requests, used for one request after another and
// by one goroutine after another.
type worker struct {
	state responseState // of the response that its handler makes
	names headerNames   // of the last request's header
	spare *exchange     // for the next request
	spent bool          // the goroutine must run no other handler

	// The fields below are guarded by the mu of the dispatcher that the worker works for.
	x          *exchange // the exchange whose handler runs; nil between two
	prev, next *worker   // neighbours in the list of active workers
	number     uint32    // x is the request of this number on its connection
}

var workerPool = sync.Pool{New: func() any { return new(worker) }}

// A worker flushes, although more requests wait, after so many responses or so many octets of them:
// the client can go on with the first, and the rest need not be kept in memory for long.
const (
	flushResponses = 128
	flushOctets    = 64 << 10
)

// Where it takes microseconds to find out whether a goroutine is locked to its thread, that is done
// after each of the first requests of a connection and then after one in so many.
const (
	lockedFirst = 64
	lockedEvery = 512
)

// work runs requests until there is nothing to do.
func (d *dispatcher) work() {
	growStack(0)
	goroutine.Restore(d.labels) // the goroutine that has started this one may be a handler's
	w := workerPool.Get().(*worker)
	ended := false
	defer func() {
		if !ended { // the handler has called runtime.Goexit, or this is a crash
			d.abandon(w)
		}
	}()
	for {
		start := d.handlerTime.start(d.rounds.Add(1))
		n, idle := d.runQueue(w)
		if n > 0 && !start.IsZero() {
			d.handlerTime.observe(time.Since(start) / time.Duration(n))
		}
		if idle == flushAfterOthers {
			runtime.Gosched()
			d.stopCoalescing()
		}
		if idle == exit {
			break
		}
		d.sc.c.Flush()
		if d.retire(w) {
			break
		}
	}
	ended, w.spent = true, false
	workerPool.Put(w)
	if d.end.Load() != connOpen {
		d.workerEnded()
	}
}

// runQueue runs requests until the queue is empty or the worker is spent. After each handler it
// makes the goroutine fit for the next one, or has the worker be spent. It returns how many it has
// run, and what is to be done next.
func (d *dispatcher) runQueue(w *worker) (n int, idle idleAction) {
	flushed := w.state.total
	for {
		x, idle := d.dequeue(w)
		if x == nil {
			return n, idle
		}
		if err := x.s.SetOwner(x); err != nil && !(x.s.RemoteEnded() && outlives(err)) {
			x.s.Release() // it was reset while it waited; without mu: that may call the user's ConnState
			d.undoDequeue(w)
			continue
		}
		x.run(&w.names)
		n++
		goroutine.Restore(d.labels) // for the next handler
		switch {
		case d.perRequest || d.handlerTime.oneEach.Load():
			w.spent = true
		case goroutine.LockedIsQuick:
			w.spent = goroutine.Locked()
		case w.number <= lockedFirst || w.number%lockedEvery == 0:
			if w.spent = goroutine.Locked(); w.spent {
				d.handlerTime.oneEach.Store(true)
			}
		}
		if n%flushResponses == 0 || w.state.total-flushed >= flushOctets {
			flushed = w.state.total
			d.sc.c.Flush()
		}
	}
}

// outlives reports whether a request that came whole is served though its stream has died while it
// waited: where the client has left, which may count on what it had sent, but not where it has
// taken the request back, was cut off for sending too much, or a panic has left the connection in
// disorder.
func outlives(err error) bool {
	var ce *frame.ConnError
	return errors.As(err, &ce) && ce.Code != frame.EnhanceYourCalm && ce.Code != frame.InternalError
}
