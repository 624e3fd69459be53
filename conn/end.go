package conn

import (
	"errors"
	"os"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// Shutdown drains the connection with GOAWAY in two steps (RFC 9113 §6.8): requests that are in
// flight are still taken, the streams that run may finish, then the connection closes and Serve
// returns. It does not wait.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.shutdownLocked()
}

func (c *Conn) shutdownLocked() {
	if c.mu.phase != phaseOpen {
		return
	}
	c.ensureOutputLocked()
	c.core.Shutdown(time.Now())
	c.noteQuotaChangedLocked()
	c.armLocked()
	c.flushSoonLocked()
}

// ShutdownUnreserved is Shutdown, unless a slot is reserved whose stream has not been opened, or,
// with idle, a stream of this side is open; it reports whether it was done. A stream of the client
// is never refused by it after its slot was reserved. Client only.
func (c *Conn) ShutdownUnreserved(idle bool) bool {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.client.reserved > 0 || idle && c.quotaUsedLocked() > 0 {
		return false
	}
	if !c.client.shutDown { // else the slot hook, which may have called this, is called for nothing
		c.client.shutDown = true
		c.shutdownLocked()
	}
	return true
}

// Close closes the connection now. Streams that are open fail.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.mu.phase < phaseClosed {
		c.closeLocked(&frame.ConnError{Code: frame.NoError, Reason: "connection closed by this side", Cause: errClosed})
	}
	c.unlockAndNotify()
	return nil
}

// CloseWithError sends GOAWAY with code and debug, and closes the connection once they are written.
// Streams that are open fail.
func (c *Conn) CloseWithError(code frame.Code, debug string) {
	c.fail(&frame.ConnError{Code: code, Reason: debug})
}

// fail ends the connection with GOAWAY for err, which is a *frame.ConnError.
func (c *Conn) fail(err error) {
	var ce *frame.ConnError
	if !errors.As(err, &ce) {
		ce = &frame.ConnError{Code: frame.InternalError, Reason: "internal error", Cause: err}
	}
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.failLocked(ce)
}

func (c *Conn) failLocked(ce *frame.ConnError) {
	if c.mu.phase != phaseOpen {
		return
	}
	c.ensureOutputLocked()
	c.core.Fail(ce)
	c.beginCloseLocked()
	if c.mu.err == nil && (ce.Code != frame.NoError || ce.Reason != "") {
		c.mu.err = ce
	}
	c.countErrorLocked(ce)
	c.failStreamsLocked(ce)
	c.flushSoonLocked()
}

// closeGrace bounds the time for the frames that say why the connection ends. A write that is under
// way may wait for a peer that reads no more.
const closeGrace = 5 * time.Second

// beginCloseLocked begins the end: what is in the output is still written.
func (c *Conn) beginCloseLocked() {
	c.mu.phase = phaseClosing
	c.resumeReaderLocked()
	c.mu.closeBy = time.Now().Add(closeGrace)
	c.mu.timer.setLocked(c.mu.closeBy)
	c.wakeAllLocked()
}

// closeAfterOutputLocked ends a server's connection whose client sends nothing more, and may have
// closed its direction only: it reads on. What is written is sent before the socket is closed,
// responses that are complete among it, for which there is as much time as a lingering connection
// may take without progress. Streams that are open fail.
func (c *Conn) closeAfterOutputLocked() {
	c.ensureOutputLocked()
	c.core.SetBackpressure(false)
	c.core.Fill(c.core.OutputLen() + fillLimit)
	c.handleEventsLocked()
	if c.checkSchedulerLocked(); c.mu.phase != phaseOpen {
		return
	}
	c.beginCloseLocked()
	c.mu.closeBy = time.Now().Add(max(closeGrace, c.lingerLimit()))
	if c.mu.err == nil {
		c.mu.err = c.eofErrLocked()
	}
	c.failStreamsLocked(c.endErrLocked())
	c.flushSoonLocked()
}

// closeLocked closes the socket. It is called with mu held; err is why the connection ended, if
// that is not known already.
func (c *Conn) closeLocked(err error) {
	if c.mu.phase == phaseClosed {
		return
	}
	wasAlive := c.mu.phase == phaseOpen
	c.mu.phase = phaseClosed
	c.resumeReaderLocked()
	c.mu.out.socketLost = wasAlive
	c.noteQuotaChangedLocked()
	if c.mu.err == nil {
		c.mu.err = err
	}
	if wasAlive {
		lost := c.mu.err
		if lost == nil {
			lost = &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
		}
		c.failStreamsLocked(lost)
	}
	c.wakeAllLocked()
	c.tasks.Add(1)
	go c.closeSocket(c.mu.linger != nil && c.mu.linger.inCloseWrite) // not under mu, nor in the reader's way
}

// failStreamsLocked fails every stream that is open. It is called once, when the connection is no
// longer alive: from then on core's table and its scheduler hold streams whose memory may belong to
// another connection already, and must not be used.
func (c *Conn) failStreamsLocked(err error) {
	c.noteQuotaChangedLocked()
	c.signalSettingsLocked()
	c.failPingsLocked(err)
	c.core.Streams(func(s *core.Stream) {
		st := s.Owner.(*Stream)
		st.failLocked(err)
		st.closed = true
	})
	c.core.Abandon()
}

// wakeAllLocked wakes who waits for the connection.
func (c *Conn) wakeAllLocked() {
	c.mu.out.taken.Broadcast()
	c.mu.out.backpressure.wakeFlusherLocked()
	if c.client != nil {
		c.client.lease.serveCond.Signal()
		c.client.lease.wakeCaughtUpLocked()
	}
}

// countErrorLocked reports a fault of the peer to Config.CountError, by its scope and code: the
// names are few and fixed.
func (c *Conn) countErrorLocked(err error) {
	f := c.opts.CountError
	if f == nil {
		return
	}
	var name string
	var se *frame.StreamError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &se):
		name = "stream_" + se.Code.String()
	case errors.As(err, &ce):
		name = "conn_" + ce.Code.String()
	}
	c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(name) }) }})
}

// deadlineTimer is the connection's one timer. It is moved only when it must ring earlier: one that
// rings too early looks again.
type deadlineTimer struct {
	t       *time.Timer
	fire    func()    // what it calls
	firesAt time.Time // when it will ring; zero: it is not set
	stopped bool

	extended bool // it has rung so late that it was set again: see timerLate
}

func (a *deadlineTimer) stopLocked() {
	a.stopped = true
	if a.t != nil {
		a.t.Stop()
	}
}

// setLocked has the alarm ring at that time at the latest.
func (a *deadlineTimer) setLocked(at time.Time) {
	if a.stopped || !a.firesAt.IsZero() && !at.Before(a.firesAt) {
		return
	}
	now := time.Now()
	if a.firesAt = at; at.Before(now) {
		a.firesAt = now
	}
	if a.t == nil {
		a.t = time.AfterFunc(a.firesAt.Sub(now), a.fire)
	} else {
		a.t.Reset(a.firesAt.Sub(now))
	}
}

// armLocked sets the timer for what comes next.
func (c *Conn) armLocked() {
	at, ok := c.core.Deadline()
	if !c.mu.ageAt.IsZero() && (!ok || c.mu.ageAt.Before(at)) {
		at, ok = c.mu.ageAt, true
	}
	if ok {
		c.mu.timer.setLocked(at)
	}
	if c.mu.closeDue {
		c.mu.timer.setLocked(c.mu.closeBy)
	}
}

// timerLate is how much later than it should the timer must ring for the process not to have run
// meanwhile: it was stopped, or the machine was. What the peer has sent in that time is read before
// anything is held against it, for which it has as much time again, once.
const timerLate = time.Second

// timerFired runs in the timer's own goroutine.
func (c *Conn) timerFired() {
	c.mu.Lock()
	if c.mu.timer.stopped {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	late := now.Sub(c.mu.timer.firesAt) > timerLate && !c.mu.timer.extended
	c.mu.timer.firesAt, c.mu.timer.extended = time.Time{}, late
	if late && c.mu.phase == phaseOpen {
		c.mu.timer.setLocked(now.Add(timerLate))
		c.mu.Unlock()
		return
	}
	if c.mu.phase != phaseOpen {
		c.timerFiredClosingAndUnlock(now)
		return
	}
	if err := c.runDueAndUnlock(now); err != nil {
		c.fail(err)
	}
}

func (c *Conn) runDueAndUnlock(now time.Time) error {
	defer c.unlockAndNotify()
	return c.runDueRecoverLocked(now)
}

// runDueRecoverLocked does what is due. The error is one for fail.
func (c *Conn) runDueRecoverLocked(now time.Time) (err error) {
	ok := false
	defer c.recoverLocked(&ok)
	err = c.runDueLocked(now)
	ok = true
	return err
}

func (c *Conn) runDueLocked(now time.Time) error {
	if c.mu.closeDue && !now.Before(c.mu.closeBy) {
		c.closeLocked(c.lostErrLocked(c.writeTimedOut(os.ErrDeadlineExceeded)))
		return nil
	}
	c.ensureOutputLocked()
	if !c.mu.ageAt.IsZero() && !c.mu.ageAt.After(now) {
		c.mu.ageAt = time.Time{}
		c.core.Shutdown(now)
		c.noteQuotaChangedLocked()
	}
	err := c.core.Tick(now)
	c.handleEventsLocked()
	if err == nil {
		c.armLocked()
		if c.mu.park.allowed && !c.mu.park.parked && !c.mu.closeDue {
			c.requestParkLocked(now)
		}
		if c.core.OutputLen() > 0 || c.core.Drained() {
			c.flushSoonLocked()
		}
	}
	c.dropOutputLocked()
	return err
}

// timerFiredClosingAndUnlock is ring for a connection that is no longer alive. It lets go of mu.
func (c *Conn) timerFiredClosingAndUnlock(now time.Time) {
	switch {
	case c.mu.phase == phaseLingering:
		c.pollLingerAndUnlock(now)
		return
	case c.mu.phase == phaseClosed:
	case now.Before(c.mu.closeBy):
		c.mu.timer.setLocked(c.mu.closeBy) // it rang for something that no longer matters
	default:
		c.closeLocked(c.mu.err)
	}
	c.unlockAndNotify()
}
