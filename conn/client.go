package conn

import (
	"context"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
)

// OpenStream opens a stream with a request, whose pseudo-header fields come first (RFC 9113
// §8.3.1), and with end if it has no body. Nothing is flushed. The error is core.ErrNoStream while
// the peer's limit of streams is reached, and core.ErrNoMoreStreams when another connection is
// needed. Client only.
func (c *Conn) OpenStream(fields []header.Field, end bool) (*Stream, error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.catchUpLocked()
	if c.mu.phase != phaseOpen {
		return nil, core.ErrNoMoreStreams
	}
	c.ensureOutputLocked()
	head := false
	for _, f := range fields {
		if f.Name == ":method" {
			head = f.Value == "HEAD"
			break
		}
	}
	s, err := c.core.Open(core.Request{Fields: fields, Head: head, End: end})
	if err != nil {
		c.dropOutputLocked()
		return nil, err
	}
	st := s.Owner.(*Stream)
	st.send.finished = end
	c.handleEventsLocked()
	return st, nil
}

// ResponseHead is the head of a response and what was known of its content when it was asked for.
type ResponseHead struct {
	*header.Message      // valid until Release
	NoBody          bool // nothing follows the head
	Complete        bool // all of the response has arrived
}

// AwaitHead is Head that tells more.
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

// awaitHeadLocked waits for the head until w ends that, which may be nil.
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
			continue // much may have changed
		}
		if !st.c.readInlineLocked(st, w) {
			st.canRead.Wait()
		}
	}
	return &st.cs.Head, nil
}

// AwaitSettings waits for the peer's SETTINGS, the first frame of a connection (RFC 9113 §3.4), and
// returns those in force. The error is that of ctx, or of the connection. Client only.
func (c *Conn) AwaitSettings(ctx context.Context) (core.Settings, error) {
	c.mu.Lock()
	if c.mu.settingsReceived || c.mu.phase != phaseOpen {
		defer c.mu.Unlock()
		if !c.mu.settingsReceived {
			return core.Settings{}, c.endErrLocked()
		}
		return c.core.PeerSettings(), nil
	}
	if c.client.settingsReady == nil {
		c.client.settingsReady = make(chan struct{})
	}
	known := c.client.settingsReady
	c.mu.Unlock()
	select {
	case <-known:
	case <-ctx.Done():
		return core.Settings{}, ctx.Err()
	}
	return c.AwaitSettings(ctx)
}

// signalSettingsLocked wakes who waits in AwaitSettings. It is called with mu held.
func (c *Conn) signalSettingsLocked() {
	if c.client == nil {
		return
	}
	if known := c.client.settingsReady; known != nil {
		c.client.settingsReady = nil
		c.mu.pending = append(c.mu.pending, callback{f: func(error) { close(known) }})
	}
}
