package server

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// dispatcher decides for one connection which goroutine runs which request.
//
// Requests wait in a queue. A worker is a goroutine that takes one after another from it, runs
// their handlers and flushes when the queue is empty. While handlers are quick one worker does all,
// which saves the goroutine switch for each request and lets many responses share one write. It is
// elastic, for a handler that takes its time must not hold up those behind it, which it may even be
// waiting for:
//
//   - when a handler reaches a wait in one of our calls, another worker takes over (blocked);
//   - when the queue has made no progress between two ticks of a timer, another worker starts, what is finished is
//     flushed, the handlers that run count as blocked from then on, and the server gives each request a goroutine
//     for a while (tick, pace.stalled);
//   - when the queue holds work for another CPU, a worker starts for it (wanted);
//   - when handlers have been slow of late, there is a worker for each request (wanted).
//
// A handler may leave its goroutine changed: with other profiler labels, or locked to its thread.
// Labels are put back before the next handler, and a goroutine that is locked ends with its
// handler. Where it takes microseconds to see a lock, some handlers are asked only, and from the
// first that is locked on, each handler of the server has a goroutine that no other has run on
// (pace.alone).
//
// A worker ends when there is nothing to do, so a connection without requests has no goroutine
// here. The number of workers, and so of running handlers, never exceeds the number of streams that
// the client may have open, and a handler whose stream was reset still counts (CVE-2023-44487). The
// queue is bounded as well: a request that is reset while it waits leaves it.
type dispatcher struct {
	sc    *serverConn
	pace  *pace
	limit int // of workers

	drains atomic.Uint32 // times that a worker has turned to the queue
	end    atomic.Uint32 // how far the end of the connection is: see stop

	mu      sync.Mutex
	queue   queue
	active  *worker          // those whose handler has not returned, as a list
	labels  goroutine.Labels // what each handler begins with: the labels of the goroutine that made the connection
	workers int32            // goroutines
	running int32            // of them, those whose handler has not returned
	blocked int32            // of the running, those that have waited in a call of ours, or taken longer than a tick
	writing int32            // of the others, those that flush
	taken   uint64           // requests that a worker has begun
	atTick  uint32           // taken, its low half, when the timer was armed
	each    bool             // a goroutine for each request
	merging bool             // a worker has let others run and will flush for them
	dirty   bool             // something is finished and perhaps not flushed
	armed   bool             // timer runs
	timer   *time.Timer
}

// tickInterval bounds how long a request waits behind a slow one, and a finished response for its
// flush.
const tickInterval = time.Millisecond

// queueFactor times the limit of workers is how many requests may wait. The client has no more than
// the limit open; the rest is for those that were reset and are still in the queue, and for pushes.
const queueFactor = 4

// add takes new requests, on the goroutine that reads the socket. It is false if the queue is too
// long now, which ends the connection.
func (d *dispatcher) add(batch []*conn.Stream) bool {
	d.mu.Lock()
	var dead []*conn.Stream
	for _, s := range batch {
		d.queue.push(s)
	}
	if d.queue.len() > d.queueLimit()/2 {
		dead = d.queue.takeDead() // as many as are left must come before the next time
	}
	d.staffLocked()
	if d.queue.len() > d.freeLocked() {
		d.armLocked()
	}
	fits := d.queue.len() <= d.queueLimit()
	d.mu.Unlock()
	for _, s := range dead { // outside mu: that may call the user's ConnState
		s.Release()
	}
	return fits
}

// queueLimit bounds the queue.
func (d *dispatcher) queueLimit() int { return queueFactor * min(d.limit, math.MaxInt32/queueFactor) }

// hasRoom tells whether a request of our own making may be added: pushes leave half of the queue to
// the client, whose requests would end the connection where there is no room.
func (d *dispatcher) hasRoom() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queue.len() < d.queueLimit()/2
}

// freeLocked is how many workers are about to look at the queue.
func (d *dispatcher) freeLocked() int { return int(d.workers - d.running - d.writing) }

// staffLocked starts as many workers as are wanted.
func (d *dispatcher) staffLocked() {
	waiting := d.queue.len()
	if waiting == 0 {
		return
	}
	want := d.wantedLocked(waiting)
	free := int(d.workers - d.running)
	if want == d.limit { // nobody is to wait, not for the flush of another either: it may last
		free = d.freeLocked()
	}
	for int(d.workers) < d.limit && free < waiting && int(d.workers-d.blocked) < want {
		d.workers++
		free++
		go d.work() // ends when it finds nothing to do
	}
}

// wantedLocked is how many workers that are not blocked suit a queue of the given length.
func (d *dispatcher) wantedLocked(waiting int) int {
	if d.each || d.pace.slow() || d.pace.separate() {
		return d.limit
	}
	return d.pace.parallel(waiting)
}

// next ends the worker's last exchange and returns the next, nil if there is none: then the worker
// is to do what is returned as well. Streams that were reset while they waited are let go of,
// outside mu: that may call the user's ConnState.
func (d *dispatcher) next(w *worker) (*exchange, finale) {
	for {
		if w.spare == nil {
			w.spare = newExchange(&w.draft)
		}
		s, f := d.take(w)
		if s == nil {
			return nil, f
		}
		x := w.x
		x.sc, x.s, x.parent = d.sc, s, d.sc.ctx
		if err := s.SetOwner(x); err == nil || s.RemoteEnded() && outlives(err) {
			return x, f
		}
		s.Release()
		d.drop(w)
	}
}

// drop undoes take for a request that was reset while it waited. The exchange is as new then: a
// tick may have counted it as blocked.
func (d *dispatcher) drop(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := w.x
	if x.clear(blocked) {
		d.blocked--
	}
	d.unlinkLocked(w)
	x.sc, x.s, x.parent, w.spare = nil, nil, nil, x
}

// outlives reports whether a request that came whole is served though its stream has died while it
// waited: where the client has left, which may count on what it had sent, but not where it has
// taken the request back, was cut off for sending too much, or a panic has left the connection in
// disorder.
func outlives(err error) bool {
	var ce *frame.ConnError
	return errors.As(err, &ce) && ce.Code != frame.EnhanceYourCalm && ce.Code != frame.InternalError
}

// finale is what a worker does that finds the queue empty.
type finale uint8

const (
	flushNow finale = iota
	flushAfterOthers
	leave // another worker will flush
)

// take takes a stream from the queue, for which the worker counts as running a handler. A worker
// that must run no other handler takes none.
func (d *dispatcher) take(w *worker) (*conn.Stream, finale) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.x != nil {
		d.endLocked(w)
	}
	if d.queue.len() > 0 && !w.last {
		d.taken++
		w.seq = uint32(d.taken)
		d.linkLocked(w)
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

// linkLocked counts w as running the handler of its spare exchange.
func (d *dispatcher) linkLocked(w *worker) {
	d.running++
	w.x, w.spare = w.spare, nil
	w.next = d.active
	if d.active != nil {
		d.active.prev = w
	}
	d.active = w
}

// unlinkLocked undoes linkLocked.
func (d *dispatcher) unlinkLocked(w *worker) {
	d.running--
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		d.active = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.x, w.prev, w.next = nil, nil, nil
}

// endLocked ends the exchange of w.
func (d *dispatcher) endLocked(w *worker) {
	if w.x.is(blocked) {
		d.blocked--
	}
	d.dirty = true
	d.unlinkLocked(w)
}

// retire ends a worker that has flushed, unless there is something to do for it.
func (d *dispatcher) retire(w *worker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing--
	if d.queue.len() > 0 && !w.last {
		return false
	}
	d.workers--
	d.staffLocked()
	// A tick that finds nothing to do costs as much as half a request.
	if d.armed && !d.dirty && d.queue.len() == 0 && d.timer.Stop() {
		d.armed = false
	}
	return true
}

// streamBlocked is called when a call of x's is about to wait for the client. What is finished is
// flushed, since this goroutine may have been the one to do it.
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
	d.atTick = uint32(d.taken)
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
	if d.queue.len() > 0 && uint32(d.taken) == d.atTick && d.freeLocked() <= 0 {
		d.pace.stalled(time.Now())
		d.blockAllLocked()
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

// blockAllLocked counts all handlers that run as blocked: they have held up the queue.
func (d *dispatcher) blockAllLocked() {
	for w := d.active; w != nil; w = w.next {
		if !w.x.set(blocked) {
			d.blocked++
		}
	}
}

// served tells whether there has been a request.
func (d *dispatcher) served() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken > 0
}

// The values of dispatcher.end.
const (
	connLives    = iota
	handlersLeft // the connection has ended, and handlers run or requests wait for one
	allReturned  // neither
)

// stop is called when the connection has ended. Requests that wait are still taken. It reports
// whether no handler is left; otherwise the last worker to end calls serverConn.finished.
func (d *dispatcher) stop() (finished bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.queue.len() == 0 {
		d.timer.Stop()
	}
	if d.workers > 0 || d.queue.len() > 0 {
		d.end.Store(handlersLeft)
		return false
	}
	d.end.Store(allReturned)
	return true
}

// workerEnded is called by a worker that no longer counts, and sees to it that the end of a
// connection is told once its last handler has returned.
func (d *dispatcher) workerEnded() {
	if d.end.Load() != handlersLeft {
		return
	}
	d.mu.Lock()
	last := d.workers == 0 && d.queue.len() == 0
	d.mu.Unlock()
	if last && d.end.CompareAndSwap(handlersLeft, allReturned) {
		d.sc.finished()
	}
}

// accepted returns the exchanges that run and have become tunnels.
func (d *dispatcher) accepted() (list []*exchange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := d.active; w != nil; w = w.next {
		if w.x.is(connectAccepted) {
			list = append(list, w.x)
		}
	}
	return list
}
