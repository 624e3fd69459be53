package conn

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// handleClientEventLocked takes those events that only a client's connection has.
func (c *Conn) handleClientEventLocked(e *core.Event, st *Stream) {
	switch e.Kind {
	case core.EventInformational:
		if f := st.client.onInterim; f != nil {
			m := e.Message
			c.mu.pending = append(c.mu.pending, callback{f: func(error) { c.runIsolated(func() { f(m) }) }})
		}
	case core.EventPush:
		c.acceptPushLocked(st, e.Parent.Owner.(*Stream))
	case core.EventOrigin, core.EventAltSvc:
		c.handleOriginEventLocked(e, st)
	}
}

// noteGoAwayLocked takes what the peer has said with GOAWAY. Of several, each with a lower last
// stream, the first debug data and the first code that tells of a fault are kept: a server that
// says why it goes often says so once (RFC 9113 §6.8).
func (c *Conn) noteGoAwayLocked(err error) {
	var said *frame.ConnError
	if !errors.As(err, &said) {
		return
	}
	if first := c.mu.goAway; first != nil {
		if first.Debug != "" {
			said.Debug = first.Debug
		}
		if first.Code != frame.NoError {
			said.Code = first.Code
		}
	}
	c.mu.goAway = said
	c.noteQuotaChangedLocked()
}

// acceptPushLocked takes a stream that the server has promised. The head of the response may come
// before the handler sees the stream, and in the same memory, so the promised request is copied.
func (c *Conn) acceptPushLocked(st, parent *Stream) {
	if c.handler == nil || parent.owner == nil || parent.released {
		c.core.Reset(&st.cs, frame.RefusedStream) // nobody has asked for it
		st.released = true
		return
	}
	st.client.parent = parent.owner
	promise := st.cs.Head
	promise.Fields = append([]header.Field(nil), st.cs.Head.Fields...)
	st.client.promise = &promise
	st.send.finished = true // there is nothing that we could send
	c.mu.opened = append(c.mu.opened, st)
}

// Ping sends a PING (RFC 9113 §6.7) and waits for its answer. It returns how long that took, or the
// error of ctx or of the connection.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	answer := make(chan error, 1) // one octet of data for each call: never blocks
	start := time.Now()
	data, err := c.startPing(func(err error) { answer <- err })
	if err != nil {
		return 0, err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ctx.Err()
		c.mu.Lock()
		delete(c.mu.pings, data)
		c.mu.Unlock()
	}
	return time.Since(start), err
}

// pingPrefix makes the data of our PINGs differ from those that the connection sends for itself.
const pingPrefix = 0x53 << 56

func (c *Conn) startPing(answered func(error)) (data [8]byte, err error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return data, c.endErrLocked()
	}
	c.mu.lastPing++
	binary.BigEndian.PutUint64(data[:], pingPrefix|c.mu.lastPing)
	if c.mu.pings == nil {
		c.mu.pings = make(map[[8]byte]func(error))
	}
	c.mu.pings[data] = answered
	if c.client != nil && c.client.lease.holder == leaseFree {
		c.returnLeaseLocked() // for the answer to be read
	}
	c.ensureOutputLocked()
	c.core.Ping(data)
	c.flushSoonLocked()
	return data, nil
}

// pingAckedLocked has a call of Ping return whose payload the peer has sent back.
func (c *Conn) pingAckedLocked(data [8]byte) {
	if f := c.mu.pings[data]; f != nil {
		delete(c.mu.pings, data)
		c.mu.pending = append(c.mu.pending, callback{f: f})
	}
}

// failPingsLocked ends the calls of Ping that wait when the connection is lost.
func (c *Conn) failPingsLocked(err error) {
	for _, f := range c.mu.pings {
		c.mu.pending = append(c.mu.pending, callback{f: f, err: err})
	}
	c.mu.pings = nil
}

// endErrLocked is why a connection that is not alive has ended.
func (c *Conn) endErrLocked() error {
	if c.mu.err != nil {
		return c.mu.err
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
}
