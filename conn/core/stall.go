package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

func (l *lifetime) stallFrom(now time.Time, cfg *Config) {
	if l.stallAt.IsZero() && cfg.StallTimeout > 0 {
		l.stallAt = now.Add(cfg.StallTimeout)
	}
}

// minProgress is how many octets a second a stream must be able to send, over StallTimeout, not to
// count as stalled: a peer that opens its window octet by octet holds memory as one that never
// does.
const minProgress = 64

// resetStalled ends the streams whose data has waited for the peer's windows for too long.
func (c *Conn) resetStalled() {
	l, timeout := &c.life, c.cfg.StallTimeout
	l.stallAt = time.Time{}
	var stalled []*Stream
	for _, s := range c.streams.All() {
		o := &s.out
		if !o.waiting() {
			continue
		}
		if s.send.Available() > 0 && c.send.Available() > 0 {
			o.since, o.sent = c.now, 0 // it waits for the socket, whose time is its own matter
		}
		if !o.since.Add(timeout).After(c.now) {
			if int64(o.sent) < int64(timeout/time.Second)*minProgress || o.sent == 0 {
				stalled = append(stalled, s)
				continue
			}
			o.since, o.sent = c.now, 0
		}
		if at := o.since.Add(timeout); l.stallAt.IsZero() || at.Before(l.stallAt) {
			l.stallAt = at
		}
	}
	for _, s := range stalled {
		c.resetStream(s, &frame.StreamError{
			StreamID: s.ID, Code: frame.Cancel, Section: "RFC 9113 §10.5",
			Reason: "the peer's window stayed closed for too long", Cause: &TimeoutError{"StallTimeout", timeout},
		})
	}
}
