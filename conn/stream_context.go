package conn

import (
	"context"

	"github.com/sluice-go/sluice/conn/header"
)

// ReadContext is [Stream.Read] whose wait ends when ctx is done, with ctx's error, as of ctx.Err. A
// context that is done when it is called makes it fail whatever has arrived. The stream goes on:
// nothing of the message is lost, and the next read continues where the last one that returned
// octets ended.
func (st *Stream) ReadContext(ctx context.Context, p []byte) (int, error) {
	w, err := st.newInterrupt(ctx)
	if err != nil {
		return 0, err
	}
	defer w.stopWatch()
	return st.read(p, w)
}

// HeadContext is [Stream.AwaitHead] whose wait ends when ctx is done, with ctx's error, as of
// ctx.Err. A context that is done when it is called makes it fail also where the head has arrived.
// The stream goes on, and AwaitHead may be called again. Client only.
func (st *Stream) HeadContext(ctx context.Context) (*header.Message, error) {
	w, err := st.newInterrupt(ctx)
	if err != nil {
		return nil, err
	}
	defer w.stopWatch()
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	return st.awaitHeadLocked(w)
}

// interrupt ends the wait of one call when a context is done. It is memory of its own, and not part
// of the stream: the context may be done while the call returns, and its Stream may serve another
// connection soon after. A nil *interrupt belongs to a call without a context.
type interrupt struct {
	st   *Stream
	c    *Conn
	ctx  context.Context
	stop func() bool // ends the watch of ctx; nil before the watch has begun

	// Guarded by Conn.mu.

	on  bool  // ctx is watched, and the call has not returned
	err error // the error of ctx, once it is done while the call waits
}

// newInterrupt returns nil for a context that is never done, and the error of one that is done
// already.
func (st *Stream) newInterrupt(ctx context.Context) (*interrupt, error) {
	if ctx.Done() == nil {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &interrupt{st: st, c: st.Conn(), ctx: ctx}, nil
}

// causeLocked returns why the call is to end, nil as long as it may wait.
func (w *interrupt) causeLocked() error {
	if w == nil {
		return nil
	}
	return w.err
}

// watchLocked begins to watch the context, before the call waits for the first time, and reports
// whether it has. If so, it has released the lock meanwhile, since the context may be the
// application's own code, and the caller looks at the state of the stream again.
func (w *interrupt) watchLocked() bool {
	if w == nil || w.on {
		return false
	}
	w.on = true
	defer w.c.mu.Lock() // also when that does not return
	w.c.unlockAndNotify()
	w.stop = context.AfterFunc(w.ctx, w.done)
	return true
}

// done is called when the context is done, on a goroutine of package context, which it ends.
func (w *interrupt) done() {
	err := w.ctx.Err()
	c := w.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	ok := false
	defer c.recoverLocked(&ok)
	if w.on {
		w.err = err
		w.st.canRead.Broadcast()
		w.st.interruptReadLocked()
	}
	ok = true
}

// stopWatch is called when the call that had the interrupt returns.
func (w *interrupt) stopWatch() {
	if w == nil || !w.on {
		return
	}
	w.c.mu.Lock()
	w.on = false
	w.c.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
}
