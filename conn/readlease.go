package conn

import (
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/socket"
)

// Which goroutine reads a client's socket.
//
//  1. At first the goroutine in Serve does, as on a server.
//  2. When requests follow one another closely, one at a time (noteRequestGapLocked), Serve gives
//     the right to read, the lease, up after a read that leaves no stream open, and waits.
//  3. The goroutine of the next request waits for its response in AwaitHead. There it takes the
//     lease and reads for itself until its head has come (readInlineLocked), which spares waking
//     it, the dearest part of such a request.
//  4. It gives the lease up when no stream is open then, and returns it to Serve otherwise.
//  5. When no request takes the lease for leaseFreeTime, the timer returns it to Serve.
//
// A request that is given up must be able to interrupt its Read, which only sockets of package net
// allow (interruptible.go); it sets a read deadline that has passed (interruptReadLocked).

// readLease is the right to read a client's socket. Its holder owns Conn.reader, and of core the
// methods of the reader. It is guarded by Conn.mu.
type readLease struct {
	holder       leaseHolder
	inlineReader *Stream       // whose request reads, while holder is leaseRequest
	backToBack   bool          // requests follow one another closely, one at a time
	ended        bool          // a request that has read has found the end of the connection
	interrupted  bool          // a read deadline that has passed was set to interrupt the request
	caughtUp     chan struct{} // closed when Serve has handled a read; nil until awaitCatchUpLocked waits

	serveCond sync.Cond // signals Serve that it has the lease, or that the connection has ended
	timer     *time.Timer
	timerOn   bool // timer is set

	grants     uint64 // how often a request has taken the lease
	grantsSeen uint64 // what grants was when the timer fired last
}

type leaseHolder uint8

const (
	leaseServe leaseHolder = iota
	leaseRequest
	leaseFree
)

const (
	// leaseFreeTime is how long the lease may be free. Nothing is read in that time, so a frame
	// that the server sends between two requests may be read that much later, as over a longer
	// path. A shorter time would make each wait for a response dearer, since the kernel has to
	// program the hardware's timer for it whenever the processor goes idle.
	leaseFreeTime = 20 * time.Millisecond
	// backToBackGap is how soon after the last one a request must come for the lease to be given
	// up.
	backToBackGap = 200 * time.Microsecond
)

// acquireLease is called in Serve before each read. Where requests follow one another closely and
// none is open it gives the lease up. Then it waits until Serve has the lease, and reports whether
// Serve is to read: false once a request that has read found the end of the connection.
func (c *Client) acquireLease() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.lease
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

// releaseLeaseLocked gives the lease up: the next request takes it, or the timer returns it to
// Serve.
func (c *Client) releaseLeaseLocked() {
	t := &c.lease
	t.holder, t.inlineReader = leaseFree, nil
	if !t.timerOn {
		c.armLeaseTimerLocked(leaseFreeTime)
	}
}

func (c *Client) armLeaseTimerLocked(d time.Duration) {
	t := &c.lease
	t.timerOn = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, c.leaseTimerFired) // ends by itself
	} else {
		t.timer.Reset(d)
	}
}

// leaseTimerFired returns the lease to Serve if no request has taken it for leaseFreeTime.
func (c *Client) leaseTimerFired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.lease
	t.timerOn = false
	switch {
	case t.holder != leaseFree:
	case t.grants != t.grantsSeen && c.mu.phase == phaseOpen:
		t.grantsSeen = t.grants
		rest := leaseFreeTime
		if idle := c.core.IdleSince(); !idle.IsZero() { // no stream is open: the time counts from the end of the last one
			rest -= time.Since(idle)
		}
		c.armLeaseTimerLocked(rest)
	default:
		t.backToBack = false
		c.returnLeaseLocked()
	}
}

// returnLeaseLocked gives the lease to Serve.
func (c *Client) returnLeaseLocked() {
	t := &c.lease
	t.holder, t.inlineReader = leaseServe, nil
	t.serveCond.Signal()
}

// readInlineLocked takes the lease for st, if it is free, and reads until the head of st has come
// or w, which may be nil, ends the wait. It reports whether it has read, and releases the lock
// meanwhile.
func (c *Client) readInlineLocked(st *Stream, w *interrupt) bool {
	t := &c.lease
	if t.holder != leaseFree || c.mu.phase != phaseOpen {
		return false
	}
	t.grants++
	c.readWithLeaseLocked(st, func() bool {
		return !st.recv.headReceived && st.err == nil && !st.recv.deadline.passed && w.causeLocked() == nil
	})
	return true
}

// readWithLeaseLocked reads in Serve's place while more reports true, and then gives the lease up
// or returns it. st is the stream whose interruptReadLocked ends the Read. The lock is released
// while it reads.
func (c *Client) readWithLeaseLocked(st *Stream, more func() bool) {
	t := &c.lease
	t.holder, t.inlineReader = leaseRequest, st
	goOn := true
	defer func() { // even if code of the application has ended this goroutine
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

// readOnceUnlocked releases the lock, calls readOnce and acquires the lock again.
func (c *Client) readOnceUnlocked() bool {
	defer c.mu.Lock()
	c.unlockAndNotify()
	return c.readOnce()
}

// noteRequestGapLocked finds whether requests follow one another closely. It is called before a
// stream is opened.
func (c *Client) noteRequestGapLocked() {
	t := &c.lease
	if !t.backToBack && c.mayReadInline() && c.mu.settingsReceived && c.core.NumStreams() == 0 {
		// No time at all passes only in a bubble of testing/synctest, where a test may wait for
		// what a server sends.
		gap := time.Since(c.core.IdleSince())
		t.backToBack = gap > 0 && gap < backToBackGap
	}
}

// mayReadInline reports whether requests may read for themselves. With a Tracer or a FramePolicy
// they do not: these are called by the goroutine that reads, and runtime.Goexit in them must not
// end the goroutine of a request.
func (c *Client) mayReadInline() bool {
	return c.interruptible && socket.CanPeek && c.opts.Tracer == nil && c.opts.FramePolicy == nil
}
