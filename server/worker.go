package server

import "runtime"

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
	for {
		start := d.pace.start(d.drains.Add(1))
		n, octets := 0, int64(0)
		var then finale
		for {
			x, f := d.next(last)
			if last = x; x == nil {
				then = f
				break
			}
			x.run()
			n++
			if octets += x.resp.written; n%flushResponses == 0 || octets >= flushOctets {
				octets = 0
				d.sc.c.Flush()
			}
		}
		if n > 0 {
			d.pace.stop(start, n)
		}
		if then == leave {
			return
		}
		if then == flushAfterOthers {
			runtime.Gosched()
			d.stopMerging()
		}
		d.sc.c.Flush()
		if d.retire() {
			return
		}
	}
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
