package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// dispatcher decides for one connection which goroutine runs which request.
//
// Requests wait in a queue. A worker is a goroutine that takes one after another from it, runs their handlers
// and flushes when the queue is empty. While handlers are quick one worker does all, which saves the goroutine
// switch for each request and lets many responses share one write. It is elastic, for a handler that takes
// its time must not hold up those behind it, which it may even be waiting for:
//
//   - when a handler reaches a wait in one of our calls, another worker takes over (blocked);
//   - when the queue has made no progress between two ticks of a timer, another worker starts, and what is
//     finished is flushed (tick);
//   - when the queue holds work for another CPU, a worker starts for it (wanted);
//   - when handlers have been slow of late, there is a worker for each request (wanted).
//
// A worker ends when there is nothing to do, so a connection without requests has no goroutine here. The number of
// workers, and so of running handlers, never exceeds the number of streams that the client may have open, and a
// handler whose stream was reset still counts (CVE-2023-44487); the queue is bounded as well.
type dispatcher struct {
	sc    *serverConn
	pace  *pace
	limit int  // of workers
	each  bool // a worker for each request

	drains atomic.Uint32 // times that a worker has turned to the queue

	mu      sync.Mutex
	queue   queue
	workers int    // goroutines
	running int    // of them, those whose handler has not returned
	blocked int    // of the running, those that have waited in a call of ours
	writing int    // of the others, those that flush
	merging bool   // a worker has let others run and will flush for them
	dirty   bool   // something is finished and perhaps not flushed
	armed   bool   // timer runs
	taken   uint64 // requests that a worker has begun
	timer   *time.Timer
	atTick  uint64 // taken when the timer was armed
}

// tickInterval bounds how long a request waits behind a slow one, and a finished response for its flush.
const tickInterval = time.Millisecond

// queueFactor times the limit of workers is how many requests may wait. More wait only if the client resets
// streams and opens new ones.
const queueFactor = 4

// add takes new requests, on the goroutine that reads the socket. It is false if the queue is too long.
func (d *dispatcher) add(batch []*conn.Stream) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queue.len()+len(batch) > queueFactor*d.limit {
		return false
	}
	for _, s := range batch {
		d.queue.push(s)
	}
	d.staffLocked()
	if d.queue.len() > d.freeLocked() {
		d.armLocked()
	}
	return true
}

// hasRoom tells whether a request of our own making may be added: pushes leave half of the queue to the client, whose
// requests would end the connection where there is no room.
func (d *dispatcher) hasRoom() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queue.len() < queueFactor/2*d.limit
}

// freeLocked is how many workers are about to look at the queue.
func (d *dispatcher) freeLocked() int { return d.workers - d.running - d.writing }

// staffLocked starts as many workers as are wanted.
func (d *dispatcher) staffLocked() {
	waiting := d.queue.len()
	if waiting == 0 {
		return
	}
	want := d.wantedLocked(waiting)
	for d.workers < d.limit && d.workers-d.running < waiting && d.workers-d.blocked < want {
		d.workers++
		go d.work() // ends when it finds nothing to do
	}
}

// wantedLocked is how many workers that are not blocked suit a queue of the given length.
func (d *dispatcher) wantedLocked(waiting int) int {
	if d.each || d.pace.slow() {
		return d.limit
	}
	return d.pace.parallel(waiting)
}

// next ends the worker's last exchange, nil at first, and returns the next, nil if there is none: then the
// worker is to do what is returned as well. Streams that were reset while they waited are let go of, outside mu: that
// may call the user's ConnState.
func (d *dispatcher) next(last *exchange, lent *draft) (*exchange, finale) {
	for {
		s, f := d.take(last)
		if s == nil {
			return nil, f
		}
		x := newExchange(d.sc, s, lent)
		if s.SetOwner(x) == nil {
			return x, f
		}
		s.Release()
		last = nil
		d.mu.Lock()
		d.running--
		d.mu.Unlock()
	}
}

// finale is what a worker does that finds the queue empty.
type finale uint8

const (
	flushNow finale = iota
	flushAfterOthers
	leave // another worker will flush
)

// take takes a stream from the queue, for which the worker counts as running a handler.
func (d *dispatcher) take(last *exchange) (*conn.Stream, finale) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last != nil {
		d.endLocked(last)
	}
	if d.queue.len() > 0 {
		d.taken++
		d.running++
		if d.dirty {
			d.armLocked()
		}
		return d.queue.pop(), 0
	}
	switch {
	case d.merging:
		d.workers--
		return nil, leave
	case d.running > d.blocked: // others that will have something to write, too
		d.merging = true
		return nil, flushAfterOthers
	}
	d.writing++
	d.dirty = false
	return nil, flushNow
}

// stopMerging is called when the others have had their turn.
func (d *dispatcher) stopMerging() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.merging = false
	d.writing++
	d.dirty = false
}

func (d *dispatcher) endLocked(x *exchange) {
	d.running--
	if x.is(blocked) {
		d.blocked--
	}
	d.dirty = true
}

// retire ends a worker that has flushed, unless there is something to do.
func (d *dispatcher) retire() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing--
	if d.queue.len() > 0 {
		return false
	}
	d.workers--
	if d.armed && !d.dirty && d.timer.Stop() { // a tick that finds nothing to do costs as much as half a request
		d.armed = false
	}
	return true
}

// streamBlocked is called when a call of x's is about to wait for the client. What is finished is flushed, since
// this goroutine may have been the one to do it.
func (d *dispatcher) streamBlocked(x *exchange) {
	d.mu.Lock()
	if !x.closed() && !x.set(blocked) {
		d.blocked++
	}
	d.staffLocked()
	d.dirty = false
	d.mu.Unlock()
	d.sc.c.Flush()
}

// outputPending notes that a handler that goes on has given output to the connection.
func (d *dispatcher) outputPending() {
	d.mu.Lock()
	d.dirty = true
	d.armLocked()
	d.mu.Unlock()
}

func (d *dispatcher) armLocked() {
	if d.armed {
		return
	}
	d.armed = true
	d.atTick = d.taken
	if d.timer == nil {
		d.timer = time.AfterFunc(tickInterval, d.tick)
	} else {
		d.timer.Reset(tickInterval)
	}
}

// tick runs in the timer's goroutine.
func (d *dispatcher) tick() {
	d.mu.Lock()
	d.armed = false
	if d.queue.len() > 0 && d.taken == d.atTick && d.freeLocked() <= 0 {
		d.pace.observe(tickInterval) // at least that
		if d.workers < d.limit {
			d.workers++
			go d.work() // ends when it finds nothing to do
		}
		d.staffLocked()
	}
	flush := d.dirty
	d.dirty = false
	if d.queue.len() > 0 {
		d.armLocked()
	}
	d.mu.Unlock()
	if flush {
		d.sc.c.Flush()
	}
}

// served tells whether there has been a request.
func (d *dispatcher) served() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken > 0
}

// stop is called when the connection has ended. Requests that wait are still taken, and found dead.
func (d *dispatcher) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.queue.len() == 0 {
		d.timer.Stop()
	}
}
