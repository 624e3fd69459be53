package server

import (
	"runtime"
	"sync"

	"github.com/sluice-go/sluice/internal/httpfield"
)

// worker is the memory of a goroutine that runs requests, used for one after another.
type worker struct {
	draft draft
	names httpfield.Names // of the last request's header
}

var workers = sync.Pool{New: func() any { return new(worker) }}

// After so many responses, or so many octets of them, a worker flushes although more requests wait: the client can
// go on with the first, and the rest need not be kept in memory for long.
const (
	flushResponses = 128
	flushOctets    = 64 << 10
)

// work runs requests until there is nothing to do.
func (d *dispatcher) work() {
	growStack(0)
	var last *exchange
	defer func() {
		if last != nil { // the handler has called runtime.Goexit, or this is a crash
			d.lost(last)
		}
	}()
	w := workers.Get().(*worker)
	for {
		start := d.pace.start(d.drains.Add(1))
		n, flushed := 0, w.draft.total
		var then finale
		for {
			x, f := d.next(last, &w.draft)
			if last = x; x == nil {
				then = f
				break
			}
			x.run(&w.names)
			n++
			if n%flushResponses == 0 || w.draft.total-flushed >= flushOctets {
				flushed = w.draft.total
				d.sc.c.Flush()
			}
		}
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
		if d.retire() {
			break
		}
	}
	workers.Put(w)
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
