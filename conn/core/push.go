package core

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Errors of Push, beside ErrClosed, ErrNoStream and ErrNoMoreStreams. Each is returned before
// anything was sent.
var (
	// ErrPushDisabled: the client takes no pushes (SETTINGS_ENABLE_PUSH, RFC 9113 §6.5.2).
	ErrPushDisabled = errors.New("http2: the client has disabled push")
	// ErrPushParent: the stream was itself pushed (RFC 9113 §8.4), or is a tunnel (RFC 9113 §8.5).
	ErrPushParent = errors.New("http2: push in answer to a push, or to CONNECT")
	// ErrPushUnwanted: the client resets what is pushed, faster than Limits.FaultBurst and
	// FaultRate allow.
	ErrPushUnwanted = errors.New("http2: the client resets what is pushed")
	// ErrPushRequest: the request is not one that can be promised (RFC 9113 §8.4). The error that
	// wraps it says why.
	ErrPushRequest = errors.New("http2: request cannot be promised")
)

// Push promises the response to a request that the client has not sent, and returns the stream for
// that response, reserved and with the request in Head (RFC 9113 §8.4). fields are the header
// section of the request, pseudo-header fields first: GET or HEAD, without content. The caller has
// to know that this server is authoritative for its authority. PUSH_PROMISE goes to the output at
// once, before any DATA that is queued on parent later. SendHead opens the stream. Server only.
//
// No more streams are promised or pushed at a time than the client's
// SETTINGS_MAX_CONCURRENT_STREAMS, although promised streams do not count there (RFC 9113 §5.1.2):
// so every response can begin when it is ready. Nor are there more than
// Config.MaxConcurrentStreams. Beyond that the error is ErrNoStream.
func (c *Conn) Push(parent *Stream, fields []header.Field) (*Stream, error) {
	if c.cfg.Role != Server {
		panic("BUG: a client promises nothing")
	}
	if err := c.Driver().CanPush(parent); err != nil {
		return nil, err
	}
	m := header.NewMessage(fields)
	var malformed *frame.StreamError
	if errors.As(m.CheckPromise(0), &malformed) {
		return nil, fmt.Errorf("%w: %s (%s)", ErrPushRequest, malformed.Reason, malformed.Section)
	}
	id, ok := c.streams.ids.Next()
	if !ok {
		return nil, ErrNoMoreStreams
	}
	c.mustTransition(parent, stream.SendPromising)
	s := c.newPushStream(id, parent)
	c.mustTransition(s, stream.SendPushPromise)
	c.reserve(s)
	storage := s.Head.Fields
	s.Head = m
	s.Head.Fields = append(storage, m.Fields...)
	s.headRecv = true
	var promised [4]byte
	binary.BigEndian.PutUint32(promised[:], id)
	c.appendBlock(
		frame.Header{Type: frame.TypePushPromise, Flags: frame.FlagEndHeaders, StreamID: parent.ID},
		promised[:],
		fields,
	)
	c.counts.PromisesOut++
	return s, nil
}

// CanPush returns the error that Push on parent would return now for any request, nil if there is
// none.
func (d Driver) CanPush(parent *Stream) error {
	switch {
	case d.connErr != nil || d.State().Draining || d.streams.ids.Exhausted():
		return ErrNoMoreStreams
	case !d.peer.EnablePush:
		return ErrPushDisabled
	case d.streams.ids.IsLocal(parent.ID) || parent.tunnel:
		return ErrPushParent
	case !parent.state.CanSend():
		return ErrClosed
	case uint64(d.streams.local+d.streams.reserved) >= d.pushLimit():
		return ErrNoStream
	case d.limit.pushesUnwanted(d.now):
		return ErrPushUnwanted
	}
	return nil
}

// pushLimit returns how many streams may be promised or pushed at a time.
func (c *Conn) pushLimit() uint64 {
	return uint64(min(c.peer.MaxConcurrentStreams, c.cfg.MaxConcurrentStreams))
}

// reserve marks s as promised: it does not count as a concurrent stream (RFC 9113 §5.1.2).
func (c *Conn) reserve(s *Stream) {
	c.countConcurrent(s, -1)
	s.reserved = true
	c.streams.reserved++
}

// openReserved counts s, which was promised, as a concurrent stream from now on. It returns false
// where that would be one too many.
func (c *Conn) openReserved(s *Stream) bool {
	n, limit := uint64(c.streams.remote), uint64(c.cfg.MaxConcurrentStreams)
	if c.cfg.Role == Server {
		n, limit = uint64(c.streams.local), uint64(c.peer.MaxConcurrentStreams)
	}
	if n >= limit {
		return false
	}
	c.countConcurrent(s, -1)
	s.reserved = false
	c.countConcurrent(s, 1)
	return true
}

// recvPushPromise reserves the promised stream (RFC 9113 §6.6, §8.4).
func (c *Conn) recvPushPromise(b *headerBlock) error {
	if !c.cfg.EnablePush {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §8.4", "PUSH_PROMISE although push is disabled")
	}
	parent, ok := c.streams.Get(b.streamID)
	if !ok {
		// The promise may have crossed our RST_STREAM: the promised stream is reserved all the
		// same, and refused.
		if st, _ := c.closedState(b.streamID); st != stream.ClosedResetLocal {
			return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.6", "PUSH_PROMISE on a stream that is not open")
		}
		if err := c.streams.ids.Accept(b.promisedID); err != nil {
			return err
		}
		return frame.NewStreamError(b.promisedID, frame.Cancel, "RFC 9113 §6.6", "promised on a stream that was reset")
	}
	if st := parent.state; !c.streams.ids.IsLocal(parent.ID) || st != stream.Open && st != stream.HalfClosedLocal {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.6", "PUSH_PROMISE on a stream that is not open")
	}
	if err := c.streams.ids.Accept(b.promisedID); err != nil {
		return err
	}
	if c.afterGoAway(b.promisedID) {
		return nil
	}
	if err := c.dec.msg.CheckPromise(b.promisedID); err != nil {
		return err
	}
	// Promised streams do not count as concurrent streams (RFC 9113 §5.1.2). The limit applies to
	// each of the two numbers.
	if uint64(c.streams.reserved) >= uint64(c.cfg.MaxConcurrentStreams) {
		return frame.NewStreamError(
			b.promisedID,
			frame.RefusedStream,
			"RFC 9113 §8.4",
			"more streams promised than SETTINGS_MAX_CONCURRENT_STREAMS",
		)
	}
	s := c.newStream(b.promisedID, priority.Params{})
	c.mustTransition(s, stream.RecvPushPromise)
	c.reserve(s)
	s.Head, c.dec.msg = c.dec.msg, s.Head
	s.noBody = s.Head.Method == "HEAD"
	c.counts.PromisesIn++
	c.emitEvent(Event{Kind: EventPush, Stream: s, Parent: parent})
	return nil
}
