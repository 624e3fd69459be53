package conn

import "github.com/sluice-go/sluice/conn/header"

// ResponseHead is the head of a response and what was known of its content when it was asked for.
type ResponseHead struct {
	*header.Message      // valid until Release
	NoBody          bool // nothing follows the head
	Complete        bool // all of the response has arrived
}

// AwaitHead waits for the final head of the response. It reports whether content follows, and
// whether all of it has arrived. The error is as of Read.
func (st *Stream) AwaitHead() (ResponseHead, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	m, err := st.awaitHeadLocked(nil)
	return ResponseHead{m, st.recv.endedWithHead, st.recv.endReceived}, err
}

// awaitHeadLocked waits for the head, until w, which may be nil, ends the wait.
func (st *Stream) awaitHeadLocked(w *interrupt) (*header.Message, error) {
	for !st.recv.headReceived || st.promisingLocked() {
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
		if !st.c.client.readInlineLocked(st, w) {
			st.canRead.Wait()
		}
	}
	return &st.cs.Head, nil
}
