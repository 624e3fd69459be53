package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

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

// soonCancelled is the age from which a request that is cancelled is one that somebody has waited
// for. As many streams as may be open at once can be opened and cancelled ten times a second so.
const rapidResetAge = 100 * time.Millisecond

// chargeReset charges a RST_STREAM of a client's, unless the request was of use or has had its time
// (CVE-2023-44487). Clients whose users leave, or whose deadlines pass, cancel many requests at
// once, many of them in the very packet that has the request: so nothing but their number tells
// them apart from an attack.
func (c *Conn) chargeReset(s *Stream) {
	free := c.cfg.Role == Client || s.headSent || c.goAway.forced || c.now.Sub(s.began) >= rapidResetAge
	if !free && !c.limit.reset(c.now) {
		c.forceDrain("too_many_resets")
	}
}
