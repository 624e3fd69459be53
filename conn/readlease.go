package conn

import (
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/socket"
)

// Which goroutine reads a client's socket.
//
//  1. At first the goroutine in Serve does, as on a server.
//  2. When requests follow one another closely, one at a time (noteRequestGapLocked), Serve gives the
//     right to read, the lease, up after a read that leaves no stream open, and waits.
//  3. The goroutine of the next request waits for its response in AwaitHead. There it takes the lease
//     and reads for itself until its head has come (readInlineLocked), which spares waking it, the
//     dearest part of such a request.
//  4. It gives the lease up when no stream is open then, and returns it to Serve otherwise.
//  5. When no request takes the lease for leaseFreeTime, the timer returns it to Serve.
//
// A request that is given up must be able to interrupt its Read, which only sockets of package net
// allow (interruptible.go); it sets a read deadline that has passed (interruptReadLocked).

// Who reads a client's socket. That is the goroutine in Serve, as on a server, but for requests
// that follow one another closely without another at the same time: there the goroutine that waits
// for the response reads for itself, which spares waking it, the dearest part of such a request. It
// has the turn from AwaitHead on until its head has come. When nothing is open then, the turn is
// free for the next request, for a moment (leaseFreeTime), after which Serve takes it back. That
// needs a Read that can be interrupted when the request is given up, which only known connections
// have: see isInterruptible.
//
// Who has the turn owns receiver and core's Decode.
type readLease struct {
	holder       leaseHolder
	inlineReader *Stream       // has the turn
	backToBack   bool          // requests follow one another closely
	ended        bool          // a leader has found the end of the connection
	interrupted  bool          // the read deadline was set for the leader to look up
	caughtUp     chan struct{} // closed when Serve has read; nil while nobody waits for that: see Conn.catchUpLocked

	serveCond sync.Cond // Serve waits for its turn
	timer     *time.Timer
	timerOn   bool // it runs

	grants     uint64 // how often a leader has had the turn
	grantsSeen uint64 // of these the timer knows
}

type leaseHolder uint8

const (
	leaseServe leaseHolder = iota
	leaseRequest
	leaseFree
)

const (
	// leaseFreeTime is how long nobody reads at most: what a server says between two requests is
	// heard so much later, as if it were as far away. A timer that rings sooner makes each wait for
	// a response dearer, since the system's clock has to be set for it each time that the processor
	// falls asleep.
	leaseFreeTime = 20 * time.Millisecond
	// backToBackGap is how soon after another a request must come for the turn to be left free.
	backToBackGap = 200 * time.Microsecond
)

// acquireLease waits until it is Serve's turn, and tells whether there is something left to read.
func (c *Conn) acquireLease() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.client.lease
	t.wakeCaughtUpLocked()
	if t.holder == leaseServe && t.backToBack && c.mu.phase == phaseOpen && c.core.NumStreams() == 0 {
		c.releaseLeaseLocked()
	}
	for t.holder != leaseServe {
		if t.holder == leaseFree && (c.mu.phase != phaseOpen || t.ended) {
			t.holder = leaseServe
			break
		}
		t.serveCond.Wait()
	}
	return !t.ended
}

// releaseLeaseLocked leaves the turn to who comes, or to Serve when nobody does.
func (c *Conn) releaseLeaseLocked() {
	t := &c.client.lease
	t.holder, t.inlineReader = leaseFree, nil
	if !t.timerOn {
		c.armLeaseTimerLocked(leaseFreeTime)
	}
}

func (c *Conn) armLeaseTimerLocked(d time.Duration) {
	t := &c.client.lease
	t.timerOn = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, c.leaseTimerFired) // ends by itself
	} else {
		t.timer.Reset(d)
	}
}

// leaseTimerFired gives the turn back to Serve if nobody had it for some time.
func (c *Conn) leaseTimerFired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.client.lease
	t.timerOn = false
	switch {
	case t.holder != leaseFree:
	case t.grants != t.grantsSeen && c.mu.phase == phaseOpen:
		t.grantsSeen = t.grants
		rest := leaseFreeTime
		if idle := c.core.IdleSince(); !idle.IsZero() { // nor is somebody about to lead
			rest -= time.Since(idle)
		}
		c.armLeaseTimerLocked(rest)
	default:
		t.backToBack = false
		c.returnLeaseLocked()
	}
}

// returnLeaseLocked gives the turn to Serve.
func (c *Conn) returnLeaseLocked() {
	t := &c.client.lease
	t.holder, t.inlineReader = leaseServe, nil
	t.serveCond.Signal()
}

// readInlineLocked reads for st, if the turn is free, until its head has come or w, which may be
// nil, ends that, and tells whether it has read. It lets go of mu.
func (c *Conn) readInlineLocked(st *Stream, w *interrupt) bool {
	t := &c.client.lease
	if t.holder != leaseFree || c.mu.phase != phaseOpen {
		return false
	}
	t.grants++
	c.readWithLeaseLocked(st, func() bool {
		return !st.recv.headReceived && st.err == nil && !st.recv.deadline.passed && w.causeLocked() == nil
	})
	return true
}

// readWithLeaseLocked reads in Serve's place while more reports true, and then gives the turn on.
// st is what a kick is for. It is called with mu held, which it lets go of.
func (c *Conn) readWithLeaseLocked(st *Stream, more func() bool) {
	t := &c.client.lease
	t.holder, t.inlineReader = leaseRequest, st
	goOn := true
	defer func() { // also when what is the application's has ended this goroutine
		t.ended = t.ended || !goOn
		if goOn && c.mu.phase == phaseOpen && c.core.NumStreams() == 0 {
			c.releaseLeaseLocked()
		} else {
			c.returnLeaseLocked()
		}
	}()
	for goOn && more() && !c.outputFullLocked() {
		goOn = false
		goOn = c.readOnceUnlocked()
	}
}

// readOnceUnlocked is readOnce for a caller that holds mu.
func (c *Conn) readOnceUnlocked() bool {
	defer c.mu.Lock()
	c.unlockAndNotify()
	return c.readOnce()
}

// noteRequestGapLocked notes how closely requests follow one another. It is called before a stream
// is opened.
func (c *Conn) noteRequestGapLocked() {
	t := &c.client.lease
	if !t.backToBack && c.mayReadInline() && c.mu.settingsReceived && c.core.NumStreams() == 0 {
		// No time at all passes only in a bubble of synctest, where somebody may wait for what a
		// server sends.
		gap := time.Since(c.core.IdleSince())
		t.backToBack = gap > 0 && gap < backToBackGap
	}
}

// mayReadInline reports whether requests may read for themselves. Where the application sees frames
// they do not: it is called by the goroutine that reads, and runtime.Goexit is not to end that of a
// request.
func (c *Conn) mayReadInline() bool {
	return c.interruptible && socket.CanPeek && c.opts.Tracer == nil && c.opts.FramePolicy == nil
}
