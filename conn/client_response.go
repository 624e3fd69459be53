package conn

import "github.com/sluice-go/sluice/conn/header"

// ResponseHead is the head of a response and what was known of its content when it was asked for.
type ResponseHead struct {
	*header.Message      // valid until Release
	NoBody          bool // nothing follows the head
	Complete        bool // all of the response has arrived
}

// AwaitHead is Head, and reports whether content follows and whether all of it has arrived.
func (st *Stream) AwaitHead() (ResponseHead, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	m, err := st.awaitHeadLocked(nil)
	return ResponseHead{m, st.recv.endedWithHead, st.recv.endReceived}, err
}

// Head waits for the final head of the response and returns it; it is valid until Release. The
// error is as of Read.
func (st *Stream) Head() (*header.Message, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	return st.awaitHeadLocked(nil)
}

// awaitHeadLocked waits for the head, until w, which may be nil, ends the wait.
func (st *Stream) awaitHeadLocked(w *interrupt) (*header.Message, error) {
	for !st.recv.headReceived {
		switch {
		case st.err != nil:
			return nil, st.err
		case st.recv.deadline.passed:
			return nil, errDeadline
		}
		if err := w.causeLocked(); err != nil {
			return nil, err
		}
		if w.watchLocked() {
			continue // the lock was released meanwhile
		}
		if !st.c.readInlineLocked(st, w) {
			st.canRead.Wait()
		}
	}
	return &st.cs.Head, nil
}
