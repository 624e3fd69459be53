package conn

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Deadlines of streams. SetReadDeadline and SetWriteDeadline are those of a net.Conn; EndReadAt and
// ResetAt are those of an HTTP exchange, after which the message is cut off.

// deadline is a point in time after which reads or writes fail. It has a timer only while it is
// set.
type deadline struct {
	timer  *streamTimer // nil while none runs
	passed bool
}

// streamTimer is the timer of one deadline. It is memory of its own: a timer that fires late, while
// the stream is being released, must not look at a Stream that serves another connection by then.
type streamTimer struct {
	t  *time.Timer
	on bool // cleared when the deadline is moved or the stream released; guarded by Conn.mu
}

// startLocked has d pass after the time wait; the lock is held while passed is called.
func (d *deadline) startLocked(c *Conn, wait time.Duration, passed func()) {
	k := &streamTimer{on: true}
	k.t = time.AfterFunc(wait, func() { // ends by itself
		c.mu.Lock()
		defer c.unlockAndNotify()
		ok := false
		defer c.recoverLocked(&ok)
		if k.on {
			d.passed = true
			passed()
		}
		ok = true
	})
	d.timer = k
}

// stopLocked stops the timer, which runs.
func (d *deadline) stopLocked() {
	d.timer.on = false
	d.timer.t.Stop()
	d.timer = nil
}

// SetReadDeadline sets the time after which reads fail with os.ErrDeadlineExceeded; the zero time
// means never. It may be moved again when it has passed.
func (st *Stream) SetReadDeadline(t time.Time) error {
	return st.setDeadline(&st.recv.deadline, t, func() {
		st.canRead.Broadcast()
		st.interruptReadLocked()
	})
}

// SetWriteDeadline sets the time after which writes fail with os.ErrDeadlineExceeded; the zero time
// means never. A stream that was Released, and still waits to send what Finish was given, is reset
// at that time.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	return st.setDeadline(&st.send.deadline, t, st.writeDeadlinePassedLocked)
}

// writeDeadlinePassedLocked wakes a Write that waits, and resets a stream that was released and
// still waits to send what Finish was given.
func (st *Stream) writeDeadlinePassedLocked() {
	c := st.c
	st.canWrite.Broadcast()
	if done := st.recv.resetOnData && st.send.drained; st.released && !done && !st.closed && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		c.core.Reset(&st.cs, frame.InternalError)
		c.handleEventsLocked() // recycles st
		c.flushSoonLocked()
	}
}

// ResetAt sets the time at which the stream is reset with code, unless our side is complete by
// then; the zero time means never. From then on reads and writes fail with an error that is
// os.ErrDeadlineExceeded. It takes the place of SetWriteDeadline, and differs in this: the stream
// ends also where no Write waits, and a time that has passed cannot be moved. On a tunnel it is
// SetWriteDeadline. On a dead stream it does nothing.
func (st *Stream) ResetAt(t time.Time, code frame.Code) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.err != nil {
		return
	}
	st.setDeadlineLocked(&st.send.deadline, t, func() {
		if st.tunnel != nil || st.send.finished && st.send.drained && st.send.borrowed == 0 {
			st.writeDeadlinePassedLocked()
			return
		}
		st.resetLateLocked(code)
	})
}

// resetLateLocked resets the stream for a deadline that has passed.
func (st *Stream) resetLateLocked(code frame.Code) {
	c := st.c
	if st.closed || c.mu.phase != phaseOpen {
		return
	}
	c.ensureOutputLocked()
	c.core.ResetFor(&st.cs, code, "write deadline exceeded", errDeadline)
	c.handleEventsLocked() // recycles st if it is released
	c.flushSoonLocked()
}

// EndReadAt sets the time until which the peer's message is taken; the zero time means for ever.
// What has arrived by then is still read, and what comes later is dropped: Read fails with
// os.ErrDeadlineExceeded, unless the message was whole. It takes the place of SetReadDeadline, and
// differs in this, and in that a time that has passed cannot be moved. On a stream of CONNECT,
// which may be a tunnel or become one, it is SetReadDeadline. On a dead stream it does nothing.
func (st *Stream) EndReadAt(t time.Time) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.err != nil || st.recv.expired {
		return
	}
	connect := st.cs.Head.Method == "CONNECT"
	st.setDeadlineLocked(&st.recv.deadline, t, func() {
		if !connect {
			st.recv.deadline.passed = false // what has arrived is read
			st.recv.expired = !st.recv.endReceived
		}
		st.canRead.Broadcast()
		st.interruptReadLocked()
	})
}

// setDeadline moves d to t. The lock is held while passed is called.
func (st *Stream) setDeadline(d *deadline, t time.Time, passed func()) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if st.closed && st.err != nil {
		return st.err
	}
	st.setDeadlineLocked(d, t, passed)
	return nil
}

// setDeadlineLocked moves d to t; passed is called when it passes, at once if t is not in the
// future.
func (st *Stream) setDeadlineLocked(d *deadline, t time.Time, passed func()) {
	if d.timer != nil {
		d.stopLocked()
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		passed()
		return
	}
	d.startLocked(st.c, wait, passed)
}
