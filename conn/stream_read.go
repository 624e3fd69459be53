package conn

import (
	"io"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// Read reads the body of the peer's message. It waits until there is something. It returns io.EOF
// after the end of the message, and os.ErrDeadlineExceeded after the read deadline. Where the
// stream has died before the end, it returns what had arrived by then, and after that a
// *frame.StreamError or *frame.ConnError.
func (st *Stream) Read(p []byte) (int, error) { return st.read(p, nil) }

// read is Read with an interrupt, which may be nil.
func (st *Stream) read(p []byte, w *interrupt) (int, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if err := st.awaitBodyLocked(len(p), w); err != nil {
		return 0, st.awaitOnEndLocked(err)
	}
	n := st.recv.body.read(p)
	if n > 0 && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		before := c.core.OutputLen()
		if c.core.Consume(&st.cs, n) {
			c.core.Tune(&st.cs, time.Now())
		}
		if c.core.OutputLen() > before {
			c.armAckTimerLocked()
			c.flushSoonLocked() // credit that the peer may be waiting for
		}
		c.dropOutputLocked()
	}
	return n, nil
}

// awaitBodyLocked waits until there is something to read. With want 0 it does not wait on a stream
// that is alive. w, which may be nil, ends the wait.
func (st *Stream) awaitBodyLocked(want int, w *interrupt) error {
	notified := false
	for {
		switch {
		case st.recv.closed:
			return ErrReadClosed
		case st.recv.deadline.passed:
			return errDeadline
		case want > 0 && st.promisingLocked():
		case st.recv.body.size > 0 || want == 0 && st.err == nil && !st.recv.endReceived:
			return nil
		case st.recv.expired:
			return errDeadline
		case st.recv.endReceived: // the message is complete, even if the stream was reset after it
			return io.EOF
		case st.err != nil:
			return st.err
		}
		if err := w.causeLocked(); err != nil {
			return err
		}
		if !notified {
			notified = true
			st.notifyBlockedLocked()
			continue // the lock was released meanwhile
		}
		if !w.watchLocked() {
			st.canRead.Wait()
		}
	}
}

// notifyBlockedLocked calls Handler.StreamBlocked: this goroutine is about to wait. It releases the
// lock for the call, so that the caller must look at the state of the stream again.
func (st *Stream) notifyBlockedLocked() {
	c := st.c
	if c.handler == nil {
		return
	}
	defer c.mu.Lock() // also when that does not return
	c.unlockAndNotify()
	c.handler.StreamBlocked(st)
}

// Trailers returns the trailer section of the peer's message (RFC 9113 §8.1) once Read has returned
// io.EOF. It is valid until Release.
func (st *Stream) Trailers() []header.Field {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	if len(st.recv.trailers) == 0 {
		return nil // and not the empty slice whose memory is kept for the next use of the Stream
	}
	return st.recv.trailers
}

// CloseRead gives up the rest of the peer's message. What has arrived and what arrives later is
// dropped, and credit for it given back; a Read that waits returns ErrReadClosed.
func (st *Stream) CloseRead() {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	st.recv.closed = true
	before := c.core.OutputLen()
	st.dropBodyLocked()
	if !st.closed && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		c.core.StopRecv(&st.cs)
		c.handleEventsLocked()
	}
	if c.core.OutputLen() > before {
		c.flushSoonLocked() // credit that other streams may be waiting for
	}
	st.canRead.Broadcast()
	c.dropOutputLocked()
}

// dropBodyLocked drops what was not read, and gives the peer credit for it.
func (st *Stream) dropBodyLocked() {
	n := st.recv.body.drop()
	if n > 0 && st.c.mu.phase == phaseOpen {
		st.c.ensureOutputLocked()
		st.c.core.Consume(&st.cs, n)
		st.c.armAckTimerLocked()
	}
}

// receiveDataLocked takes DATA of the peer, and with end its END_STREAM.
func (st *Stream) receiveDataLocked(p []byte, end bool) {
	switch {
	case !st.recv.closed && !st.recv.expired:
		st.recv.body.append(p)
		if f := st.client.onReceive; f != nil && len(p) > 0 {
			n := len(p)
			st.c.mu.pending = append(st.c.mu.pending, callback{f: func(error) { f(n) }})
		}
	case st.recv.resetOnData && len(p) > 0:
		st.c.core.Consume(&st.cs, len(p))
		st.c.core.Reset(&st.cs, frame.Cancel)
	default:
		st.c.core.Consume(&st.cs, len(p))
	}
	st.recv.endReceived = st.recv.endReceived || end
	st.wakeReaderLocked()
}

// receiveTrailersLocked takes the trailer section, which ends the message.
func (st *Stream) receiveTrailersLocked(fields []header.Field) {
	st.recv.trailers = append(st.recv.trailers[:0], fields...)
	st.recv.endReceived = true
	st.wakeReaderLocked()
}

// wakeReaderLocked wakes the goroutine that waits in a read of the stream.
func (st *Stream) wakeReaderLocked() {
	if client := st.c.client; client != nil {
		client.queueWakeLocked(st)
	} else {
		st.canRead.Broadcast()
	}
}
