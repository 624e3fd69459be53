package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// minProgress is how many octets a second a stream must be able to send, over StallTimeout, not to
// count as stalled: a peer that opens its window octet by octet makes us hold the data as long as
// one that never opens it.
const minProgress = 64

// checkStallsFrom makes sure that resetStalled is called, StallTimeout after now or earlier.
func (c *Conn) checkStallsFrom(now time.Time) {
	if c.stallCheck.IsZero() && c.cfg.StallTimeout > 0 {
		c.stallCheck = now.Add(c.cfg.StallTimeout)
	}
}

// resetStalled resets the streams whose data has waited for the peer's windows for too long.
func (c *Conn) resetStalled() {
	timeout := c.cfg.StallTimeout
	c.stallCheck = time.Time{}
	var stalled []*Stream
	for _, s := range c.streams.All() {
		o := &s.out
		if len(o.data) == 0 {
			continue
		}
		if s.send.Available() > 0 && c.sendWindow.Available() > 0 {
			o.waitSince, o.sent = c.now, 0 // the data waits for the socket, which has a timeout of its own
		}
		if !o.waitSince.Add(timeout).After(c.now) {
			if int64(o.sent) < int64(timeout/time.Second)*minProgress || o.sent == 0 {
				stalled = append(stalled, s)
				continue
			}
			o.waitSince, o.sent = c.now, 0
		}
		if at := o.waitSince.Add(timeout); c.stallCheck.IsZero() || at.Before(c.stallCheck) {
			c.stallCheck = at
		}
	}
	for _, s := range stalled {
		c.resetStream(s, &frame.StreamError{
			StreamID: s.ID, Code: frame.Cancel, Section: "RFC 9113 §10.5",
			Reason: "the peer's window stayed closed for too long", Cause: &TimeoutError{"StallTimeout", timeout},
		})
	}
}
