package conn

import (
	"errors"
	"math"
	"math/bits"
	"runtime"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/socket"
)

// pace is what a connection knows of how quickly its socket takes what is written. Where it is slow
// and several streams are open, the order of the scheduler is what counts: nobody but the flusher
// moves data to the output, little at a time and right before it is written, and it waits for the
// writer of the stream whose turn it is. In all other places the order in which writers come is as
// good as any, and what is written at once is large.
//
// It is made for the first write that waits, and guarded by Conn.mu.
type pace struct {
	full    bool // the socket has not taken all of the present write at once
	crowded bool // more than the output holds waits of several streams
	quick   int  // octets that were written while it was crowded, since the socket was slow
	slow    bool
	until   time.Time     // slow: when it ends unless the socket is slow again before
	since   time.Time     // beginning of the time in which blocked and taken are counted
	blocked time.Duration // for which writes have waited since then
	taken   int           // octets that were written since then
	rate    int           // octets that the socket has taken in a second when that was judged last; 0: not known
	credit  time.Duration // for which the flusher may wait for writers
	waits   bool          // it does
	wake    chan struct{} // ends that; nil until it has waited
}

const (
	// slowWrite is a wait of one write that makes the socket slow. So does it when waits of
	// pauseWrite or more add up to three quarters of judgeTime or more.
	slowWrite  = 2 * time.Millisecond
	pauseWrite = 100 * time.Microsecond
	judgeTime  = 5 * time.Millisecond
	// slowFor is for how long a socket is slow. One that takes a megabyte at once when it has room
	// has none behind that.
	slowFor = 100 * time.Millisecond
	// quickAfter is how many octets a socket takes, while streams compete, before it is quick
	// unless it is slow before. A slow one takes several megabytes at first, since the buffers on
	// the way are empty.
	quickAfter = 8 << 20
	// slowFill is the least that one write of the socket gets, if there is as much, where streams
	// compete for it, and smallFill is less than is worth a system call. See most for fillTime, and
	// unsentLimit for unsentTime.
	slowFill   = 64 << 10
	smallFill  = 16 << 10
	fillTime   = 4 * time.Millisecond
	unsentTime = 8 * time.Millisecond
	// creditPart is the part of the time for which the flusher has waited for the socket, for which
	// it may let the socket wait for a writer, up to maxCredit. What the kernel and the peer have
	// in their buffers mostly lasts for longer, so that nothing is lost. lateAfter is from when on
	// a writer is late, though it may be that the machine is busy.
	creditPart = 4
	maxCredit  = 20 * time.Millisecond
	lateAfter  = time.Millisecond
)

// noteWait has the write that began at start be judged when it is over.
func (c *Conn) noteWait(start time.Time) {
	c.waited = uint16(min(time.Since(start)/pauseWrite, math.MaxUint16))
}

func (c *Conn) ensurePace() {
	if c.pace == nil {
		c.pace = new(pace)
	}
}

// noteFull notes that the socket has not taken all of the present write, and that the flusher will
// wait for it. It reports whether the connection is still there, so that a goroutine may be
// started, for which Serve will wait.
func (c *Conn) noteFull(task bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ensurePace()
	c.pace.full = true
	if !task || c.phase == phaseClosed {
		return false
	}
	c.tasks.Add(1)
	return true
}

// judgePace takes note of the last write, of n octets.
func (c *Conn) judgePace(n int) {
	waited := time.Duration(c.waited) * pauseWrite
	c.waited = 0
	p := c.pace
	if p != nil {
		p.full = false
		p.taken += n
		if p.crowded {
			p.quick += n
		}
	}
	if waited < pauseWrite {
		return
	}
	c.ensurePace()
	p = c.pace
	now := time.Now()
	p.blocked += waited
	p.credit = min(p.credit+waited/creditPart, maxCredit)
	slow := waited >= slowWrite
	if span := now.Sub(p.since); p.since.IsZero() {
		p.since, p.blocked, p.taken = now, 0, 0
	} else if span >= judgeTime {
		slow = slow || p.blocked >= span*3/4
		p.rate = int(float64(p.taken) / span.Seconds())
		p.since, p.blocked, p.taken = now, 0, 0
	}
	if slow {
		p.slow, p.until, p.quick = true, now.Add(slowFor), 0
	}
}

// competes reports whether streams compete for the socket.
func (c *Conn) competes() bool {
	return c.pace != nil && (c.pace.slow || c.pace.crowded) && c.core.NumStreams() > 1
}

// fill moves what may be sent to the output: not much where streams compete for the socket, or may
// compete for one that is full, so that something more urgent may come before what is not there
// yet.
func (c *Conn) fill() {
	competes := c.competes() || c.pace != nil && c.pace.full && c.core.NumStreams() > 1
	if competes {
		c.core.SetBackpressure(true)
		c.core.Fill(c.pace.most())
		c.pace.wakeFlusher()
	} else {
		c.core.Fill(fillLimit)
		if c.core.Contended() && c.core.Sendable() {
			c.ensurePace()
			c.pace.crowded = c.pace.quick < quickAfter
		}
	}
	c.checkScheduler()
}

// fillToWrite moves what may be sent to the output, which is written next, and reports whether some
// of it has stayed where it is, which lend allows.
func (c *Conn) fillToWrite(lend bool) (lent bool) {
	c.ensureOut()
	most, mostLent := fillLimit, lendLimit
	if p := c.pace; p != nil {
		if p.slow && time.Now().After(p.until) {
			p.slow = false
		}
		if p.crowded && (!c.core.Contended() || p.quick >= quickAfter) {
			p.crowded = false
		}
		competes := c.competes()
		c.core.SetBackpressure(competes)
		if competes {
			most, mostLent = p.most(), p.most()
		}
	}
	if lend && c.lends() {
		lent = c.fillLend(mostLent)
	} else {
		c.core.Fill(most)
	}
	c.handleEventsLocked()
	c.checkScheduler()
	if c.client.writeErr != nil {
		c.core.Output(c.core.Output(nil)) // nobody will read it
	}
	return lent
}

// most is how much one write of the socket gets where streams compete for it: what it takes in
// fillTime.
func (p *pace) most() int {
	return min(max(int(int64(p.rate)*int64(fillTime)/int64(time.Second)), slowFill), fillLimit)
}

// unsentLimit returns how much the kernel is to hold that it cannot send yet, as a power of two:
// what the socket takes in unsentTime where streams are to compete, so that it never has nothing to
// do; 0 is no limit.
func (c *Conn) unsentLimit() (exponent uint8) {
	if c.core.NumStreams() < 2 {
		return 0
	}
	rate := 0
	if c.pace != nil {
		rate = c.pace.rate
	}
	octets := int64(rate) * int64(unsentTime) / int64(time.Second)
	if exponent = uint8(bits.Len64(uint64(octets))); exponent > 22 {
		return 0 // as much as most systems allow
	}
	return max(exponent, 17)
}

// limitNotSent has the kernel hold no more octets that it cannot send yet than unsentLimit says:
// what it holds cannot be overtaken. It is called by the flusher before it writes n octets, and
// costs a system call when the limit changes.
func (c *Conn) limitNotSent(n int, exponent uint8) {
	if n < smallFill || exponent == c.capped {
		return
	}
	c.capped = exponent
	s := socket.Of(socket.BelowTLS(c.wire))
	if s == nil {
		return
	}
	limit := 0 // the default of the system
	if exponent > 0 {
		limit = 1 << exponent
	}
	s.LimitNotSent(limit)
}

// checkScheduler ends the connection if core has found a fault of the scheduler.
func (c *Conn) checkScheduler() {
	if c.phase != phaseOpen {
		return
	}
	if err := c.core.Err(); err != nil {
		c.failByCore(err)
	}
}

// failByCore ends the connection for an error of core's own.
func (c *Conn) failByCore(err error) {
	var fault *frame.ConnError
	if errors.As(err, &fault) {
		c.failLocked(fault)
	}
}

// awaitOtherWriteLocked is called by a flusher that may wait, before it writes what is in the
// output. Where the stream whose turn it is has nothing to send yet, its writer is let go first;
// where the output is empty, too, it is waited for, as long as the socket can do without. It
// reports whether there may be more for the output now.
func (c *Conn) awaitWriter() bool {
	if !c.core.Awaits() || c.core.OutputLen() >= smallFill {
		return false
	}
	for range 2 { // one that has been woken runs next
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		if !c.core.Awaits() {
			return c.phase < phaseLingering
		}
	}
	if c.core.OutputLen() > 0 {
		return false // that takes a while
	}
	start := time.Now()
	if c.pace.slow && c.pace.credit > 0 {
		c.pause(c.pace.credit)
	}
	took := time.Since(start)
	c.pace.credit = max(c.pace.credit-took, 0)
	if c.core.OutputLen() == 0 && (!c.pace.slow || c.pace.credit == 0) {
		c.core.StopAwaiting(took, lateAfter)
	}
	return c.phase < phaseLingering
}

// pause waits until wakeFlusher is called, or for the time d.
func (c *Conn) pause(d time.Duration) {
	p := c.pace
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	p.waits = true
	c.writing = true // mu is free
	c.mu.Unlock()
	timer := time.NewTimer(d)
	select {
	case <-p.wake:
	case <-timer.C:
	}
	timer.Stop()
	c.mu.Lock()
	c.writing = false
	if !p.waits { // wake has, or had, something
		select {
		case <-p.wake:
		default:
		}
	}
	p.waits = false
}

// wakeFlusher ends the pause of the flusher: a stream has something to send, or the connection has
// changed. It is called with mu held.
func (p *pace) wakeFlusher() {
	if p != nil && p.waits {
		p.waits = false
		p.wake <- struct{}{} // has room: it is empty while waits is set
	}
}
