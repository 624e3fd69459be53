package conn

import (
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
)

// keepLimit is how many octets of what Finish is given may be kept in memory until the peer's
// window opens. It bounds what a peer with a closed window makes us hold for each stream.
const keepLimit = 16 << 10

// WriteHeaders appends a header section: on a server any number of interim responses (":status"
// 1xx), then the final head, with end if no body and no trailers follow. Pseudo-header fields come
// first and names are in lowercase; fields are not used after the return. Nothing is flushed.
func (st *Stream) WriteHeaders(fields []header.Field, end bool) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	return st.awaitOnEndLocked(st.writeHeadersLocked(fields, end))
}

func (st *Stream) writeHeadersLocked(fields []header.Field, end bool) error {
	c := st.c
	if err := st.writeErrLocked(); err != nil {
		return err
	}
	c.ensureOutputLocked()
	interim := len(fields) > 0 && fields[0].Name == ":status" && len(fields[0].Value) == 3 && fields[0].Value[0] == '1'
	err := c.core.SendHead(&st.cs, core.ResponseHead{Fields: fields, Interim: interim, End: end})
	st.send.finished = st.send.finished || end && err == nil
	c.handleEventsLocked()
	return err
}

// Reply is WriteHeaders with a final head and Finish in one, for a response that is known as a
// whole.
func (st *Stream) Reply(fields []header.Field, p []byte, trailers []header.Field) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	return st.awaitOnEndLocked(st.replyLocked(fields, p, trailers))
}

// ReplyAndRelease is Reply followed, unless that fails, by Release, for a caller that is the last
// to use the stream. It takes the lock once.
func (st *Stream) ReplyAndRelease(fields []header.Field, p []byte, trailers []header.Field) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if err := st.replyLocked(fields, p, trailers); err != nil {
		return st.awaitOnEndLocked(err)
	}
	st.releaseLocked()
	return nil
}

// replyLocked appends a whole response: its head, content and trailers.
func (st *Stream) replyLocked(fields []header.Field, p []byte, trailers []header.Field) error {
	end := len(p) == 0 && len(trailers) == 0
	if err := st.writeHeadersLocked(fields, end); err != nil || end {
		return err
	}
	_, err := st.queueLocked(p, trailers, true)
	return err
}

// Write sends p as DATA. It returns when every octet is copied or sent, and until then waits for
// the peer's windows, for the scheduler to choose the stream, and for the socket. A Write of 128
// KiB or more on a plain socket sends by itself what that takes without waiting; everything else is
// left to a goroutine that flushes. The last 256 KiB may stay in the output until the next Flush.
func (st *Stream) Write(p []byte) (int, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if err := st.writeErrLocked(); err != nil {
		return 0, st.awaitOnEndLocked(err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := st.queueLocked(p, nil, false)
	return n, st.awaitOnEndLocked(err)
}

// Finish sends p as the last DATA, and trailers after it, and ends our side. Where p is at most 16
// KiB it never waits: what the peer's window does not let pass is kept and sent later. Nothing need
// be flushed before it; the end of a small p may stay in the output until the next Flush.
func (st *Stream) Finish(p []byte, trailers []header.Field) error {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	return st.awaitOnEndLocked(st.finishLocked(p, trailers))
}

func (st *Stream) finishLocked(p []byte, trailers []header.Field) error {
	if err := st.writeErrLocked(); err != nil {
		return err
	}
	_, err := st.queueLocked(p, trailers, true)
	return err
}

// queueLocked hands p to core, waits until it is in the output or sent, and returns how many octets
// of p are.
func (st *Stream) queueLocked(p []byte, trailers []header.Field, end bool) (n int, err error) {
	c := st.c
	c.ensureOutputLocked()
	if end && len(trailers) == 0 && c.core.Finish(&st.cs, p, fillLimit) {
		st.send.finished = true
		c.handleEventsLocked()
		return len(p), nil
	}
	ok := false
	defer st.reclaimOnUnwindLocked(&ok)
	n, err = st.queueAndWaitLocked(p, trailers, end)
	ok = true
	return n, err
}

// reclaimOnUnwindLocked is deferred where memory of the application waits to be sent. Should the
// application's own code (a Scheduler, a Padding, Handler.StreamBlocked) unwind the stack, it ends
// the connection, and returns when that memory is read no more.
func (st *Stream) reclaimOnUnwindLocked(ok *bool) {
	if *ok {
		return
	}
	c := st.c
	c.poisonLocked(errUnwound)
	c.closePoisonedLocked()
	for st.send.borrowed > 0 && !c.reclaimLocked(st) {
		st.canWrite.Wait()
	}
}

// queueAndWaitLocked is queueLocked for what does not fit the output at once.
func (st *Stream) queueAndWaitLocked(p []byte, trailers []header.Field, end bool) (int, error) {
	c := st.c
	if n := int64(len(p)); n > st.cs.SendWindow() || n > c.core.SendWindow() ||
		c.core.OutputLen()+len(p) > fillLimit {
		c.core.SetTime(time.Now()) // when the wait begins
	}
	if err := c.core.Queue(&st.cs, core.Content{Data: p, Trailers: trailers, End: end}); err != nil {
		return 0, err
	}
	st.send.drained, st.send.finished = false, end
	if c.writesDirectlyLocked(len(p)) {
		c.flushLocked(maxCallerWrites)
	} else {
		c.fillLocked()
		c.handleEventsLocked()
	}
	if st.send.drained && st.send.borrowed == 0 {
		return len(p), nil
	}
	c.armLocked() // for core's timeout of streams that wait for the peer's window
	c.dropOutputLocked()
	if end && len(p) <= keepLimit {
		c.core.Keep(&st.cs)
		return len(p), nil
	}
	notified := false
	for !st.send.drained || st.send.borrowed > 0 {
		if err := st.writeErrLocked(); err != nil && c.reclaimLocked(st) {
			st.send.finished = false // END_STREAM is not sent either
			return len(p) - c.core.Unqueue(&st.cs), err
		}
		if !notified {
			notified = true
			st.notifyBlockedLocked()
			continue
		}
		if c.core.OutputLen() > 0 || c.core.Sendable() {
			c.flushSoonLocked() // not by this goroutine, which a reset or the deadline must reach
		}
		st.canWrite.Wait()
	}
	return len(p), nil
}

// writeErrLocked returns why nothing can be written on the stream, nil where something can.
func (st *Stream) writeErrLocked() error {
	switch {
	case st.err != nil:
		return st.err
	case st.send.deadline.passed:
		return errDeadline
	case st.c.mu.phase != phaseOpen:
		return st.c.endErrLocked()
	}
	return nil
}
