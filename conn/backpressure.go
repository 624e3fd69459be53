package conn

import (
	"math/bits"
	"runtime"
	"time"
)

// backpressure is what a connection knows of how quickly its socket takes what is written. Where it
// is slow and several streams are open, the order of the scheduler is what counts: nobody but the
// flusher moves data to the output, little at a time and right before it is written, and it waits
// for the writer of the stream whose turn it is. In all other places the order in which writers
// come is as good as any, and what is written at once is large.
//
// It is made for the first write that waits, and guarded by Conn.mu.
type backpressure struct {
	socketFull      bool // the socket has not taken all of the present write at once
	contended       bool // more than the output holds waits of several streams
	contendedOctets int  // octets that were written while it was crowded, since the socket was slow
	slow            bool
	slowUntil       time.Time     // slow: when it ends unless the socket is slow again before
	windowStart     time.Time     // beginning of the time in which blocked and taken are counted
	blocked         time.Duration // for which writes have waited since then
	written         int           // octets that were written since then
	rate            int           // octets that the socket has taken in a second when that was judged last; 0: not known
	waitCredit      time.Duration // for which the flusher may wait for writers
	flusherWaits    bool          // it does
	wake            chan struct{} // ends that; nil until it has waited
}

const (
	// slowWait is a wait of one write that makes the socket slow. So does it when waits of
	// countedWait or more add up to three quarters of rateWindow or more.
	slowWait    = 2 * time.Millisecond
	countedWait = 100 * time.Microsecond
	rateWindow  = 5 * time.Millisecond
	// slowTime is for how long a socket is slow. One that takes a megabyte at once when it has room
	// has none behind that.
	slowTime = 100 * time.Millisecond
	// quickOctets is how many octets a socket takes, while streams compete, before it is quick
	// unless it is slow before. A slow one takes several megabytes at first, since the buffers on
	// the way are empty.
	quickOctets = 8 << 20
	// slowWriteSize is the least that one write of the socket gets, if there is as much, where
	// streams compete for it, and smallWriteSize is less than is worth a system call. See most for
	// writeTime, and notSentLimitLocked for unsentTime.
	slowWriteSize  = 64 << 10
	smallWriteSize = 16 << 10
	writeTime      = 4 * time.Millisecond
	unsentTime     = 8 * time.Millisecond
	// waitCreditPart is the part of the time for which the flusher has waited for the socket, for
	// which it may let the socket wait for a writer, up to maxWaitCredit. What the kernel and the
	// peer have in their buffers mostly lasts for longer, so that nothing is lost. lateAfter is
	// from when on a writer is late, though it may be that the machine is busy.
	waitCreditPart = 4
	maxWaitCredit  = 20 * time.Millisecond
	lateAfter      = time.Millisecond
)

func (c *Conn) ensureBackpressureLocked() {
	if c.mu.out.backpressure == nil {
		c.mu.out.backpressure = new(backpressure)
	}
}

// updateBackpressureLocked takes note of the last write, of n octets.
func (c *Conn) updateBackpressureLocked(n int) {
	waited := time.Duration(c.writer.wait) * countedWait
	c.writer.wait = 0
	p := c.mu.out.backpressure
	if p != nil {
		p.socketFull = false
		p.written += n
		if p.contended {
			p.contendedOctets += n
		}
	}
	if waited < countedWait {
		return
	}
	c.ensureBackpressureLocked()
	p = c.mu.out.backpressure
	now := time.Now()
	p.blocked += waited
	p.waitCredit = min(p.waitCredit+waited/waitCreditPart, maxWaitCredit)
	slow := waited >= slowWait
	if span := now.Sub(p.windowStart); p.windowStart.IsZero() {
		p.windowStart, p.blocked, p.written = now, 0, 0
	} else if span >= rateWindow {
		slow = slow || p.blocked >= span*3/4
		p.rate = int(float64(p.written) / span.Seconds())
		p.windowStart, p.blocked, p.written = now, 0, 0
	}
	if slow {
		p.slow, p.slowUntil, p.contendedOctets = true, now.Add(slowTime), 0
	}
}

// streamsCompeteLocked reports whether streams compete for the socket.
func (c *Conn) streamsCompeteLocked() bool {
	return c.mu.out.backpressure != nil && (c.mu.out.backpressure.slow || c.mu.out.backpressure.contended) &&
		c.core.NumStreams() > 1
}

// writeSize is how much one write of the socket gets where streams compete for it: what it takes in
// writeTime.
func (p *backpressure) writeSize() int {
	return min(max(int(int64(p.rate)*int64(writeTime)/int64(time.Second)), slowWriteSize), fillLimit)
}

// notSentLimitLocked returns how much the kernel is to hold that it cannot send yet, as a power of
// two: what the socket takes in unsentTime where streams are to compete, so that it never has
// nothing to do; 0 is no limit.
func (c *Conn) notSentLimitLocked() (exponent uint8) {
	if c.core.NumStreams() < 2 {
		return 0
	}
	rate := 0
	if c.mu.out.backpressure != nil {
		rate = c.mu.out.backpressure.rate
	}
	octets := int64(rate) * int64(unsentTime) / int64(time.Second)
	if exponent = uint8(bits.Len64(uint64(octets))); exponent > 22 {
		return 0 // as much as most systems allow
	}
	return max(exponent, 17)
}

// awaitOtherWriteLocked is called by a flusher that may wait, before it writes what is in the
// output. Where the stream whose turn it is has nothing to send yet, its writer is let go first;
// where the output is empty, too, it is waited for, as long as the socket can do without. It
// reports whether there may be more for the output now.
func (c *Conn) awaitStreamWriterLocked() bool {
	if !c.core.Awaits() || c.core.OutputLen() >= smallWriteSize {
		return false
	}
	for range 2 { // one that has been woken runs next
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		if !c.core.Awaits() {
			return c.mu.phase < phaseLingering
		}
	}
	if c.core.OutputLen() > 0 {
		return false // that takes a while
	}
	start := time.Now()
	if c.mu.out.backpressure.slow && c.mu.out.backpressure.waitCredit > 0 {
		c.waitForWriterLocked(c.mu.out.backpressure.waitCredit)
	}
	took := time.Since(start)
	c.mu.out.backpressure.waitCredit = max(c.mu.out.backpressure.waitCredit-took, 0)
	if c.core.OutputLen() == 0 && (!c.mu.out.backpressure.slow || c.mu.out.backpressure.waitCredit == 0) {
		c.core.StopAwaiting(took, lateAfter)
	}
	return c.mu.phase < phaseLingering
}

// waitForWriterLocked waits until wakeFlusherLocked is called, or for the time d.
func (c *Conn) waitForWriterLocked(d time.Duration) {
	p := c.mu.out.backpressure
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	p.flusherWaits = true
	c.writer.unlocked = true // mu is free
	c.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-p.wake:
	case <-timer.C:
	}
	timer.Stop()
	c.mu.Lock()
	c.writer.unlocked = false
	if !p.flusherWaits { // wake has, or had, something
		select {
		case <-p.wake:
		default:
		}
	}
	p.flusherWaits = false
}

// wakeFlusherLocked ends the pause of the flusher: a stream has something to send, or the
// connection has changed. It is called with mu held.
func (p *backpressure) wakeFlusherLocked() {
	if p != nil && p.flusherWaits {
		p.flusherWaits = false
		p.wake <- struct{}{} // has room: it is empty while waits is set
	}
}
