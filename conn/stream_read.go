package conn

import (
	"io"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// Read reads the body of the peer's message. It waits until there is something, and returns io.EOF
// after the end of the message, a *frame.StreamError or *frame.ConnError where the stream has died
// before that, after what had arrived by then, and os.ErrDeadlineExceeded after the read deadline.
func (st *Stream) Read(p []byte) (int, error) { return st.read(p, nil) }

// read is Read that w may end; nil: nothing does.
func (st *Stream) read(p []byte, w *interrupt) (int, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if err := st.awaitBodyLocked(len(p), w); err != nil {
		return 0, st.awaitOnEndLocked(err)
	}
	n := st.recv.body.read(p)
	if n > 0 && c.phase == phaseOpen {
		c.ensureOut()
		before := c.core.OutputLen()
		if c.core.Consume(&st.cs, n) {
			c.core.Tune(&st.cs, time.Now())
		}
		if c.core.OutputLen() > before {
			c.flushSoonLocked() // credit that the peer may be waiting for
		}
		c.dropOut()
	}
	return n, nil
}

// awaitBodyLocked waits until the body has something to read, or w ends that, which may be nil.
func (st *Stream) awaitBodyLocked(want int, w *interrupt) error {
	told := false
	for {
		switch {
		case st.recv.closed:
			return ErrReadClosed
		case st.recv.deadline.passed:
			return errDeadline
		case st.recv.body.size > 0 || want == 0 && st.err == nil && !st.recv.endReceived:
			return nil
		case st.recv.expired:
			return errDeadline
		case st.recv.endReceived: // the message is whole, whatever has become of the stream
			return io.EOF
		case st.err != nil:
			return st.err
		}
		if err := w.causeLocked(); err != nil {
			return err
		}
		if !told {
			told = true
			st.notifyBlockedLocked()
			continue // much may have changed
		}
		if !w.watchLocked() {
			st.canRead.Wait()
		}
	}
}

// notifyBlockedLocked tells the handler that this goroutine is about to wait. It lets go of mu.
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
		return nil // not the memory of a former life
	}
	return st.recv.trailers
}

// CloseRead says that the rest of the peer's message is not wanted. What has arrived and what
// arrives later is dropped, and credit for it given back; a Read that waits returns ErrReadClosed.
func (st *Stream) CloseRead() {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	st.recv.closed = true
	before := c.core.OutputLen()
	st.dropBodyLocked()
	if !st.closed && c.phase == phaseOpen {
		c.ensureOut()
		c.core.StopRecv(&st.cs)
		c.handleEventsLocked()
	}
	if c.core.OutputLen() > before {
		c.flushSoonLocked() // credit that other streams may be waiting for
	}
	st.canRead.Broadcast()
	c.dropOut()
}

// dropBodyLocked throws away what was not read, and gives the peer credit for it.
func (st *Stream) dropBodyLocked() {
	n := st.recv.body.drop()
	if n > 0 && st.c.phase == phaseOpen {
		st.c.ensureOut()
		st.c.core.Consume(&st.cs, n)
	}
}

// receiveDataLocked takes DATA.
func (st *Stream) receiveDataLocked(p []byte, end bool) {
	switch {
	case !st.recv.closed && !st.recv.expired:
		st.recv.body.append(p)
		if f := st.client.onReceive; f != nil && len(p) > 0 {
			n := len(p)
			st.c.pending = append(st.c.pending, callback{f: func(error) { f(n) }})
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
