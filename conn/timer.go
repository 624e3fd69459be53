package conn

import (
	"os"
	"time"
)

// A connection has one timer, for all that is due at a time.
//
//  1. armLocked sets it for the first of core's deadlines, the connection's age and closeBy. It is
//     only moved when it must fire earlier: one that fires too early is set again.
//  2. timerFired looks whether the process has slept; if so, the reader gets its chance first.
//  3. runDueLocked does what is due while the phase is open: it closes the socket, drains for the
//     age, calls core.Conn.Tick, and checks whether the connection may be parked.
//  4. In later phases the timer polls the lingering connection, or closes the socket at closeBy.

// deadlineTimer is the one timer of a connection.
type deadlineTimer struct {
	t       *time.Timer
	fire    func()    // Conn.timerFired
	firesAt time.Time // when it fires; zero: it is not set
	stopped bool

	extended bool // it has fired late, and was set again: see timerLate
}

func (a *deadlineTimer) stopLocked() {
	a.stopped = true
	if a.t != nil {
		a.t.Stop()
	}
}

// setLocked has the timer fire at that time, or earlier.
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

// armAckTimerLocked arms the timer where SETTINGS were sent whose acknowledgement is awaited.
func (c *Conn) armAckTimerLocked() {
	if c.core.NeedsTime() {
		c.core.SetTime(time.Now())
		c.armLocked()
	}
}

// armLocked sets the timer for the first of core's deadlines, the connection's age and closeBy.
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

// closeInLocked has the timer close the socket after the time d, unless closeDue is cleared before.
func (c *Conn) closeInLocked(d time.Duration) {
	c.mu.closeDue = true
	c.mu.closeBy = time.Now().Add(d)
	c.mu.timer.setLocked(c.mu.closeBy)
}

// timerLate is how late the timer must fire for the process not to have run meanwhile: it was
// stopped, or the machine was. What the peer has sent in that time is read before any deadline
// counts: the reader has as much time again, once.
const timerLate = time.Second

// timerFired is run by the timer, on a goroutine of its own.
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

// runDueRecoverLocked does what is due, and ends the connection if that panics. The error is for
// fail.
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
		if c.core.OutputLen() > 0 || c.core.State().Drained {
			c.flushSoonLocked()
		}
	}
	c.dropOutputLocked()
	return err
}

// timerFiredClosingAndUnlock is timerFired after the open phase.
func (c *Conn) timerFiredClosingAndUnlock(now time.Time) {
	switch {
	case c.mu.phase == phaseLingering:
		c.pollLingerAndUnlock(now)
		return
	case c.mu.phase == phaseClosed:
	case now.Before(c.mu.closeBy):
		c.mu.timer.setLocked(c.mu.closeBy) // it was set for a deadline of the open phase
	default:
		c.closeLocked(c.mu.err)
	}
	c.unlockAndNotify()
}
