package server

import "time"

// A timer runs while requests wait behind a handler or output is not flushed, and looks for
// progress when it fires. It makes up for all that is not known of handlers: one may compute for
// seconds, or wait for something that is no call of this package.

// progressInterval bounds how long a request waits behind a slow one, and a finished response for
// its flush.
const progressInterval = time.Millisecond

func (d *dispatcher) armTimerLocked() {
	if d.mu.armed {
		return
	}
	d.mu.armed = true
	d.mu.progressMark = uint32(d.mu.started)
	if d.mu.timer == nil {
		d.mu.timer = time.AfterFunc(progressInterval, d.checkProgress)
	} else {
		d.mu.timer.Reset(progressInterval)
	}
}

// checkProgress is called by the timer. Where no request was taken from the queue since the timer
// was armed, and no worker is about to, it starts workers; and it flushes.
func (d *dispatcher) checkProgress() {
	d.mu.Lock()
	d.mu.armed = false
	if d.mu.queue.len() > 0 && uint32(d.mu.started) == d.mu.progressMark && d.mu.workers <= d.mu.running+d.mu.flushing {
		d.handlerTime.stalled(time.Now())
		d.blockAllLocked()
		d.startWorkersLocked()
	}
	flush := d.mu.unflushed
	d.mu.unflushed = false
	if d.mu.queue.len() > 0 {
		d.armTimerLocked()
	}
	d.mu.Unlock()
	if flush {
		d.sc.c.Flush()
	}
}

// blockAllLocked counts all handlers that run as blocked: they have held up the queue.
func (d *dispatcher) blockAllLocked() {
	for w := d.mu.active; w != nil; w = w.next {
		if !w.x.set(blocked) {
			d.mu.blocked++
		}
	}
}

// streamBlocked is called when a call of x's handler is about to wait for the client. Finished
// output is flushed, since this goroutine may have been the one to do it.
func (d *dispatcher) streamBlocked(x *exchange) {
	d.mu.Lock()
	if !x.closed() && !x.set(blocked) {
		d.mu.blocked++
	}
	d.startWorkersLocked()
	d.mu.unflushed = false
	d.mu.Unlock()
	d.sc.c.Flush()
}

// outputPending is called when a handler that goes on has given output to the connection.
func (d *dispatcher) outputPending() {
	d.mu.Lock()
	d.mu.unflushed = true
	d.armTimerLocked()
	d.mu.Unlock()
}
