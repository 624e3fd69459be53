package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// dispatcher decides for one connection which goroutine runs which request.
//
// Requests wait in a queue. A worker is a goroutine that takes one after another from it, runs
// their handlers and flushes when the queue is empty. While handlers are quick one worker does all,
// which saves the goroutine switch for each request and lets many responses share one write. More
// workers join, since a handler that takes its time must not hold up the requests behind it, for
// which it may even be waiting:
//
//   - when a handler is about to wait in a call of this package, another worker takes over
//     (streamBlocked);
//   - when the queue has made no progress in a millisecond, another worker starts, what is finished
//     is flushed, the handlers that run count as blocked from then on, and the server gives each
//     request a goroutine for a while (checkProgress, handlerTime.stalled);
//   - when the queue holds work for another CPU, a worker starts for it (startWorkersLocked);
//   - when handlers have been slow of late, each request has a worker (handlerTime.workers).
//
// A handler may leave its goroutine changed: with other profiler labels, or locked to its thread.
// Labels are put back before the next handler, and a goroutine that is locked ends with its
// handler. Where it takes microseconds to find out whether a goroutine is locked, that is done
// after some handlers only, and once one is found, each handler of the server has a goroutine that
// no other has run on (handlerTime.oneEach).
//
// A worker ends when there is nothing to do, so a connection without requests has no goroutine
// here. The number of workers, and so of running handlers, never exceeds the number of streams that
// the client may have open, and a handler whose stream was reset still counts (CVE-2023-44487). The
// queue is bounded as well: a request that is reset while it waits is removed from it.
type dispatcher struct {
	sc          *serverConn
	handlerTime *handlerTime     // of the server
	limit       int              // of workers
	queueLimit  int32            // how many requests may wait
	perRequest  bool             // each request has a goroutine of its own (DispatchGoroutine)
	labels      goroutine.Labels // what each handler begins with: those of the goroutine that made the connection

	rounds atomic.Uint32 // times that a worker has begun to take requests from the queue
	end    atomic.Uint32 // connOpen, handlersLeft or allReturned

	mu struct { // handlerTime.mu alone may be taken while it is held
		sync.Mutex
		queue  queue
		active *worker // list of the workers whose handler has not returned

		workers  int32 // goroutines that run work
		running  int32 // workers whose handler has not returned
		blocked  int32 // running workers whose handler has waited in a call of this package, or has held up the queue
		flushing int32 // workers that flush

		started      uint64 // requests that a worker has taken from the queue
		progressMark uint32 // the lower half of started when the timer was armed

		coalescing bool // a worker has yielded to those with a handler and will flush for them
		unflushed  bool // there is output that is perhaps not flushed
		armed      bool // timer runs
		timer      *time.Timer
	}
}

// queueFactor times the limit of workers is how many requests may wait. The client has no more than
// the limit open; the rest is for those that were reset and are still in the queue, and for pushes.
const queueFactor = 4

// add takes new requests, on the goroutine that reads the socket. It returns false if the queue is
// too long now, for which the caller ends the connection.
func (d *dispatcher) add(batch []*conn.Stream) bool {
	d.mu.Lock()
	var dead []*conn.Stream
	d.mu.queue.items = append(d.mu.queue.items, batch...)
	if d.mu.queue.len() > int(d.queueLimit/2) {
		dead = d.mu.queue.removeDead() // as many as are left must come before that is done again
	}
	if d.startWorkersLocked() {
		d.armTimerLocked()
	}
	fits := d.mu.queue.len() <= int(d.queueLimit)
	d.mu.Unlock()
	for _, s := range dead { // outside mu: that may call the user's ConnState
		s.Release()
	}
	return fits
}

// hasRoomForPush reports whether a pushed request may be added: pushes leave half of the queue to
// the client, whose requests end the connection where they do not fit.
func (d *dispatcher) hasRoomForPush() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.queue.len() < int(d.queueLimit/2)
}

// startWorkersLocked starts workers until there are as many that are not blocked as suit the queue.
// It reports whether more requests wait than workers are about to look at the queue.
func (d *dispatcher) startWorkersLocked() (short bool) {
	waiting := d.mu.queue.len()
	if waiting == 0 {
		return false
	}
	target := d.limit
	if !d.perRequest {
		target = d.handlerTime.workers(waiting, d.limit)
	}
	free := int(d.mu.workers - d.mu.running)
	if target == d.limit { // no request is to wait, not for a worker that flushes either: that may last
		free -= int(d.mu.flushing)
	}
	for int(d.mu.workers) < d.limit && free < waiting && int(d.mu.workers-d.mu.blocked) < target {
		d.mu.workers++
		free++
		go d.work() // ends when it finds nothing to do
	}
	return waiting > int(d.mu.workers-d.mu.running-d.mu.flushing)
}

// idleAction is what a worker does that finds no request.
type idleAction uint8

const (
	flushNow         idleAction = iota
	flushAfterOthers            // yield to the workers with a handler first, and flush for them
	exit                        // another worker will flush
)

// dequeue ends the worker's exchange, if it has one, and makes another of the next stream in the
// queue: the worker counts as running its handler. Where there is none, or the worker is spent, it
// returns nil, and what the worker is to do then.
func (d *dispatcher) dequeue(w *worker) (*exchange, idleAction) {
	if w.spare == nil {
		w.spare = new(exchange)
		w.spare.resp.x, w.spare.resp.responseState = w.spare, &w.state
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.x != nil {
		d.mu.unflushed = true
		d.unsetRunningLocked(w)
	}
	if d.mu.queue.len() > 0 && !w.spent {
		d.mu.started++
		d.mu.running++
		w.number = uint32(d.mu.started)
		w.x, w.spare = w.spare, nil
		w.x.sc, w.x.s, w.x.parent = d.sc, d.mu.queue.pop(), d.sc.ctx
		w.next = d.mu.active
		if w.next != nil {
			w.next.prev = w
		}
		d.mu.active = w
		if d.mu.unflushed {
			d.armTimerLocked()
		}
		return w.x, 0
	}
	switch {
	case d.mu.coalescing:
		d.mu.workers--
		return nil, exit
	case d.mu.running > d.mu.blocked: // others that will have something to write, too
		d.mu.coalescing = true
		return nil, flushAfterOthers
	}
	d.mu.flushing++
	d.mu.unflushed = false
	return nil, flushNow
}

// undoDequeue undoes dequeue for a request that was reset while it waited. The exchange is as new
// then: checkProgress may have counted it as blocked.
func (d *dispatcher) undoDequeue(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := w.x
	d.unsetRunningLocked(w)
	x.clear(blocked)
	x.sc, x.s, x.parent, w.spare = nil, nil, nil, x
}

// stopCoalescing is called when the worker that flushes for others has yielded to them.
func (d *dispatcher) stopCoalescing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.coalescing = false
	d.mu.flushing++
	d.mu.unflushed = false
}

// unsetRunningLocked no longer counts w as running a handler, which has returned or is not to be
// called.
func (d *dispatcher) unsetRunningLocked(w *worker) {
	d.mu.running--
	if w.x.is(blocked) {
		d.mu.blocked--
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		d.mu.active = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.x, w.prev, w.next = nil, nil, nil
}

// retire is called by a worker that has flushed. It reports whether the worker is to end, for there
// is nothing to do for it.
func (d *dispatcher) retire(w *worker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.flushing--
	if d.mu.queue.len() > 0 && !w.spent {
		return false
	}
	d.mu.workers--
	d.startWorkersLocked()
	// A timer that fires and finds nothing to do costs as much as half a request.
	if d.mu.armed && !d.mu.unflushed && d.mu.queue.len() == 0 && d.mu.timer.Stop() {
		d.mu.armed = false
	}
	return true
}

// abandon is called by a worker whose goroutine ends in the middle of a handler.
func (d *dispatcher) abandon(w *worker) {
	d.mu.Lock()
	if w.x != nil {
		d.mu.unflushed = true
		d.unsetRunningLocked(w)
	}
	d.mu.workers--
	d.startWorkersLocked()
	d.mu.Unlock()
	d.sc.c.Flush()
	if d.end.Load() != connOpen {
		d.workerEnded()
	}
}

// hasServed reports whether there has been a request.
func (d *dispatcher) hasServed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.started > 0
}

// The values of dispatcher.end.
const (
	connOpen     = iota
	handlersLeft // the connection has ended, and handlers run or requests wait for one
	allReturned  // the connection has ended, and all handlers have returned
)

// connEnded is called when the connection has ended. Requests that wait are still served. It
// reports whether no handler is left; otherwise the last worker to end calls serverConn.allDone.
func (d *dispatcher) connEnded() (allDone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.timer != nil && d.mu.queue.len() == 0 {
		d.mu.timer.Stop()
	}
	if d.mu.workers > 0 || d.mu.queue.len() > 0 {
		d.end.Store(handlersLeft)
		return false
	}
	d.end.Store(allReturned)
	return true
}

// workerEnded is called by a worker that no longer counts, where the connection has ended. The last
// one calls serverConn.allDone.
func (d *dispatcher) workerEnded() {
	d.mu.Lock()
	last := d.mu.workers == 0 && d.mu.queue.len() == 0
	d.mu.Unlock()
	if last && d.end.CompareAndSwap(handlersLeft, allReturned) {
		d.sc.allDone()
	}
}

// tunnels returns the exchanges that run and have become tunnels.
func (d *dispatcher) tunnels() (list []*exchange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := d.mu.active; w != nil; w = w.next {
		if w.x.is(connectAccepted) {
			list = append(list, w.x)
		}
	}
	return list
}
