package conn

import (
	"math/bits"
	"runtime"
	"time"
)

// backpressure is what a connection knows of how quickly its socket takes what is written. Where it
// is slow and several streams are open, the order of the scheduler is what counts: the output gets
// no more data than one short write takes, and the flusher, which fills it up right before it
// writes, waits for the writer of the stream that is to send next. Everywhere else the order in
// which writers come is as good as any, and what is written at once is large. It is guarded by
// Conn.mu.
type backpressure struct {
	socketFull      bool // the socket has not taken all of the present write at once
	contended       bool // more data than the output takes waits, of several streams
	contendedOctets int  // octets that were written while contended, since the socket was slow last

	slow      bool      // writes have waited for slowWait, or for most of the time
	slowUntil time.Time // when slow is cleared, unless the socket is slow again before

	windowStart time.Time     // when blocked and written were cleared
	blocked     time.Duration // for how long writes have waited since windowStart
	written     int           // octets that were written since windowStart
	rate        int           // octets a second that the socket has taken in the last window; 0: not known

	waitCredit   time.Duration // for how long the flusher may wait for writers
	flusherWaits bool          // the flusher is in waitForWriterLocked
	wake         chan struct{} // ends the wait of the flusher; nil until it has waited
}

const (
	// slowWait is a wait of one write that makes the socket slow. So does it when waits of
	// countedWait or more add up to three quarters of rateWindow or more.
	slowWait    = 2 * time.Millisecond
	countedWait = 100 * time.Microsecond
	rateWindow  = 5 * time.Millisecond
	// slowTime is how long a socket is slow after that. One that takes a megabyte at once when it
	// has room is not slow again within it.
	slowTime = 100 * time.Millisecond
	// quickOctets is how much a socket takes while streams compete, without being slow, before it
	// is quick. A slow one takes several megabytes at first, since the buffers on the way are
	// empty.
	quickOctets = 8 << 20
	// Where streams compete, one write gets what the socket takes in writeTime, but at least
	// slowWriteSize, if there is as much; and the kernel may hold unsent what the socket takes in
	// unsentTime (notSentLimitLocked). For less than smallWriteSize of output a system call is not
	// worth it yet.
	slowWriteSize  = 64 << 10
	smallWriteSize = 16 << 10
	writeTime      = 4 * time.Millisecond
	unsentTime     = 8 * time.Millisecond
	// The flusher may wait for writers, while the socket gets nothing, for one waitCreditPart-th of
	// the time that it has waited for the socket before, up to maxWaitCredit. What the kernel and
	// the peer have in their buffers mostly lasts for longer, so that nothing is lost. A writer
	// that comes after lateAfter is late, though it may be that the machine is busy.
	waitCreditPart = 4
	maxWaitCredit  = 20 * time.Millisecond
	lateAfter      = time.Millisecond
)

func (c *Conn) ensureBackpressureLocked() {
	if c.mu.out.backpressure == nil {
		c.mu.out.backpressure = new(backpressure)
	}
}

// updateBackpressureLocked takes the last write, of n octets, into account.
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

// writeSize returns what one write of the socket gets where streams compete for it: what it takes
// in writeTime.
func (p *backpressure) writeSize() int {
	return min(max(int(int64(p.rate)*int64(writeTime)/int64(time.Second)), slowWriteSize), fillLimit)
}

// notSentLimitLocked returns how many octets the kernel is to hold that it cannot send yet, as a
// power of two: what the socket takes in unsentTime where streams are to compete, so that it always
// has something to send; 0 is no limit.
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

// awaitStreamWriterLocked is called by a flusher that may wait, before it writes the output. Where
// the stream that is to send next has nothing yet, its writer gets to run first. Where the output
// is empty, too, the flusher waits for the writer as long as waitCredit lasts. It reports whether
// there may be more for the output now. It releases the lock meanwhile.
func (c *Conn) awaitStreamWriterLocked() bool {
	if !c.core.Awaits() || c.core.OutputLen() >= smallWriteSize {
		return false
	}
	for range 2 { // a writer that was woken runs next
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		if !c.core.Awaits() {
			return c.mu.phase < phaseLingering
		}
	}
	if c.core.OutputLen() > 0 {
		return false // there is enough to write for a while
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

// waitForWriterLocked waits, with the lock released, until wakeFlusherLocked is called, or for d.
func (c *Conn) waitForWriterLocked(d time.Duration) {
	p := c.mu.out.backpressure
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	p.flusherWaits = true
	c.writer.unlocked = true
	c.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-p.wake:
	case <-timer.C:
	}
	timer.Stop()
	c.mu.Lock()
	c.writer.unlocked = false
	if !p.flusherWaits { // wakeFlusherLocked has sent
		select {
		case <-p.wake:
		default:
		}
	}
	p.flusherWaits = false
}

// wakeFlusherLocked ends the wait of waitForWriterLocked: a stream has something to send, or the
// connection has ended.
func (p *backpressure) wakeFlusherLocked() {
	if p != nil && p.flusherWaits {
		p.flusherWaits = false
		p.wake <- struct{}{} // never blocks: it is empty while flusherWaits is set
	}
}
