package conn

import (
	"time"

	"github.com/sluice-go/sluice/conn/header"
)

// CanPush returns why Push would be refused whatever the request, nil where it would not be. Server
// only.
func (st *Stream) CanPush() error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := st.writeErrLocked(); err != nil {
		return err
	}
	return c.core.CanPush(&st.cs)
}

// Push promises the client to answer a request that it has not made (RFC 9113 §8.4), and returns
// the stream for that answer: one like those that HandleStreams gets, with the promised request in
// Message and no body to read. It must be Released exactly once; a client that does not want the
// answer resets it, which OnEnd tells. fields are the request, pseudo-header fields first: GET or
// HEAD, for an authority that this server may speak for.
//
// The promise goes out before whatever is written on st after the return. Nothing is flushed. The
// error, after which nothing was sent, is core.ErrPushDisabled, ErrPushParent, ErrPushUnwanted,
// ErrPushRequest, ErrNoStream, ErrNoMoreStreams or ErrClosed, or as of Write. Server only.
func (st *Stream) Push(fields []header.Field) (*Stream, error) {
	c := st.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if err := st.writeErrLocked(); err != nil {
		return nil, err
	}
	c.core.SetTime(time.Now())
	c.ensureOutputLocked()
	s, err := c.core.Push(&st.cs, fields)
	if err != nil {
		c.dropOutputLocked()
		return nil, err
	}
	pushed := s.Owner.(*Stream)
	pushed.recv.headReceived, pushed.recv.endedWithHead, pushed.recv.endReceived = true, true, true
	return pushed, nil
}
