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
	defer c.unlock()
	c.shutdownLocked()
}

func (c *Conn) shutdownLocked() {
	if c.phase != alive {
		return
	}
	c.ensureOut()
	c.core.Shutdown(time.Now())
	c.client.changed = true
	c.arm()
	c.flushSoonLocked()
}

// ShutdownUnreserved is Shutdown, unless a slot is reserved whose stream has not been opened, or,
// with idle, a stream of this side is open; it reports whether it was done. A stream of the client
// is never refused by it after its slot was reserved. Client only.
func (c *Conn) ShutdownUnreserved(idle bool) bool {
	c.mu.Lock()
	defer c.unlock()
	if c.client.reserved > 0 || idle && c.inUse() > 0 {
		return false
	}
	if !c.client.leaving { // else the slot hook, which may have called this, is called for nothing
		c.client.leaving = true
		c.shutdownLocked()
	}
	return true
}

// Close closes the connection now. Streams that are open fail.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.phase < dead {
		c.die(&frame.ConnError{Code: frame.NoError, Reason: "connection closed by this side", Cause: errClosed})
	}
	c.unlock()
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
	defer c.unlock()
	c.failLocked(ce)
}

func (c *Conn) failLocked(ce *frame.ConnError) {
	if c.phase != alive {
		return
	}
	c.ensureOut()
	c.core.Fail(ce)
	c.finish()
	if c.err == nil && (ce.Code != frame.NoError || ce.Reason != "") {
		c.err = ce
	}
	c.count(ce)
	c.endStreams(ce)
	c.flushSoonLocked()
}

// lastWords bounds the time for the frames that say why the connection ends. A write that is under
// way may wait for a peer that reads no more.
const lastWords = 5 * time.Second

// finish begins the end: what is in the output is still written.
func (c *Conn) finish() {
	c.phase = finishing
	c.resumeReaderLocked()
	c.lookAt = time.Now().Add(lastWords)
	c.timer.set(c.lookAt)
	c.wakeAll()
}

// finishOutput ends a server's connection whose client sends nothing more, and may have closed its
// direction only: it reads on. What is written is sent before the socket is closed, responses that
// are complete among it, for which there is as much time as a lingering connection may take without
// progress. Streams that are open fail.
func (c *Conn) finishOutput() {
	c.ensureOut()
	c.core.SetPatient(false)
	c.core.Fill(c.core.OutputLen() + fillLimit)
	c.handleEvents()
	if c.checkScheduler(); c.phase != alive {
		return
	}
	c.finish()
	c.lookAt = time.Now().Add(max(lastWords, c.lingerLimit()))
	if c.err == nil {
		c.err = c.ended()
	}
	c.endStreams(c.endErr())
	c.flushSoonLocked()
}

// die closes the socket. It is called with mu held; err is why the connection ended, if that is not
// known already.
func (c *Conn) die(err error) {
	if c.phase == dead {
		return
	}
	wasAlive := c.phase == alive
	c.phase = dead
	c.resumeReaderLocked()
	c.client.lost = wasAlive
	c.client.changed = true
	if c.err == nil {
		c.err = err
	}
	if wasAlive {
		lost := c.err
		if lost == nil {
			lost = &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
		}
		c.endStreams(lost)
	}
	c.wakeAll()
	c.tasks.Add(1)
	go c.closeSocket(c.lingers != nil && c.lingers.ends) // not under mu, nor in the reader's way
}

// endStreams fails every stream that is open. It is called once, when the connection is no longer
// alive: from then on core's table and its scheduler hold streams whose memory may belong to
// another connection already, and must not be used.
func (c *Conn) endStreams(err error) {
	c.client.changed = true
	c.tellKnown()
	c.failPings(err)
	c.core.Streams(func(s *core.Stream) {
		st := s.Owner.(*Stream)
		st.end(err)
		st.closed = true
	})
	c.core.Abandon()
}

// wakeAll wakes who waits for the connection.
func (c *Conn) wakeAll() {
	c.room.Broadcast()
	c.pace.wakeFlusher()
	if t := c.client.lease; t != nil {
		t.serveCond.Signal()
		t.wakeCaughtUpLocked()
	}
}

// count reports a fault of the peer to Config.CountError, by its scope and code: the names are few
// and fixed.
func (c *Conn) count(err error) {
	f := c.cfg.CountError
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
	c.notes = append(c.notes, endNote{f: func(error) { c.apart(func() { f(name) }) }})
}

// alarm is the connection's one timer. It is moved only when it must ring earlier: one that rings
// too early looks again.
type alarm struct {
	t    *time.Timer
	f    func()    // what it calls
	at   time.Time // when it will ring; zero: it is not set
	dead bool

	late    bool // it has rung so late that it was set again: see timerLate
	wrecked bool // see Conn.wreck
	closing bool // while the phase is alive: at Conn.lookAt the socket is closed: see Conn.closeIn
}

func (a *alarm) stop() {
	a.dead = true
	if a.t != nil {
		a.t.Stop()
	}
}

// set has the alarm ring at that time at the latest.
func (a *alarm) set(at time.Time) {
	if a.dead || !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	now := time.Now()
	if a.at = at; at.Before(now) {
		a.at = now
	}
	if a.t == nil {
		a.t = time.AfterFunc(a.at.Sub(now), a.f)
	} else {
		a.t.Reset(a.at.Sub(now))
	}
}

// arm sets the timer for what comes next.
func (c *Conn) arm() {
	at, ok := c.core.Deadline()
	if !c.ageAt.IsZero() && (!ok || c.ageAt.Before(at)) {
		at, ok = c.ageAt, true
	}
	if ok {
		c.timer.set(at)
	}
	if c.timer.closing {
		c.timer.set(c.lookAt)
	}
}

// timerLate is how much later than it should the timer must ring for the process not to have run
// meanwhile: it was stopped, or the machine was. What the peer has sent in that time is read before
// anything is held against it, for which it has as much time again, once.
const timerLate = time.Second

// ring runs in the timer's own goroutine.
func (c *Conn) ring() {
	c.mu.Lock()
	if c.timer.dead {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	late := now.Sub(c.timer.at) > timerLate && !c.timer.late
	c.timer.at, c.timer.late = time.Time{}, late
	if late && c.phase == alive {
		c.timer.set(now.Add(timerLate))
		c.mu.Unlock()
		return
	}
	if c.phase != alive {
		c.ringAtEnd(now)
		return
	}
	if err := c.tickAndUnlock(now); err != nil {
		c.fail(err)
	}
}

func (c *Conn) tickAndUnlock(now time.Time) error {
	defer c.unlock()
	return c.tick(now)
}

// tick does what is due. The error is one for fail.
func (c *Conn) tick(now time.Time) (err error) {
	ok := false
	defer c.containLocked(&ok)
	err = c.tickLocked(now)
	ok = true
	return err
}

func (c *Conn) tickLocked(now time.Time) error {
	if c.timer.closing && !now.Before(c.lookAt) {
		c.die(c.lost(c.writeTimedOut(os.ErrDeadlineExceeded)))
		return nil
	}
	c.ensureOut()
	if !c.ageAt.IsZero() && !c.ageAt.After(now) {
		c.ageAt = time.Time{}
		c.core.Shutdown(now)
		c.client.changed = true
	}
	err := c.core.Tick(now)
	c.handleEvents()
	if err == nil {
		c.arm()
		if c.park.allowed && !c.park.parked && !c.timer.closing {
			c.requestParkLocked(now)
		}
		if c.core.OutputLen() > 0 || c.core.Drained() {
			c.flushSoonLocked()
		}
	}
	c.dropOut()
	return err
}

// ringAtEnd is ring for a connection that is no longer alive. It lets go of mu.
func (c *Conn) ringAtEnd(now time.Time) {
	switch {
	case c.phase == lingering:
		c.lookAtLinger(now)
		return
	case c.phase == dead:
	case now.Before(c.lookAt):
		c.timer.set(c.lookAt) // it rang for something that no longer matters
	default:
		c.die(c.err)
	}
	c.unlock()
}
