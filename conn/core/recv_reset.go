package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// recvRSTStream handles RST_STREAM (RFC 9113 §6.4).
func (c *Conn) recvRSTStream(h frame.Header, p []byte) error {
	f, err := frame.ParseRSTStream(h, p)
	if err != nil {
		return err
	}
	c.counts.ResetsIn++
	s, ok := c.streams.Get(f.StreamID)
	if !ok {
		if c.cfg.Role == Server && c.streams.ids.IsLocal(f.StreamID) && !c.streams.ids.Idle(f.StreamID) &&
			c.limit.pushReset(c.now) {
			return nil // a push that was all sent before the client could refuse it
		}
		return c.recvOnClosed(f.StreamID, stream.RecvReset)
	}
	if ok, err := c.transition(s, stream.RecvReset); !ok {
		return err
	}
	switch {
	case !c.streams.ids.IsLocal(s.ID):
		c.chargeReset(s)
	case c.cfg.Role == Server:
		c.limit.pushReset(c.now)
	}
	c.emitEvent(Event{Kind: EventReset, Stream: s, Err: &frame.StreamError{
		StreamID: s.ID, Code: f.Code, Initiator: frame.Remote,
	}})
	c.closeStream(s)
	return nil
}

// rapidResetAge is the age up to which a request counts as reset at once. Resets of older ones are
// free: a client can make at most ten times MaxConcurrentStreams of them in a second.
const rapidResetAge = 100 * time.Millisecond

// chargeReset charges a client's RST_STREAM to Limits.ResetBurst (CVE-2023-44487), unless the
// response has begun or the request is older than rapidResetAge. Honest clients, too, reset many
// requests at once when their users leave or their deadlines pass, often in the packet that has the
// request: so nothing but the number tells them apart from an attack.
func (c *Conn) chargeReset(s *Stream) {
	free := c.cfg.Role == Client || s.headSent || c.goAway.forced || c.now.Sub(s.began) >= rapidResetAge
	if !free && !c.limit.reset(c.now) {
		c.forceDrain("too_many_resets")
	}
}
