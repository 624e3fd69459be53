package core

import "time"

// A peer that goes over a limit which honest peers could meet does not lose the requests that run:
// the connection is drained, with GOAWAY (NO_ERROR) that names the last stream that is processed
// (RFC 9113 §6.8). An honest client, which may have opened streams before it received that, sends
// their requests on another connection. A client that goes on to open streams is cut off.

const (
	// drainLinger is how long after its GOAWAY a forced drain lasts at least, so that the peer may
	// close the connection itself. Streams that the peer opens meanwhile are charged.
	drainLinger = time.Second
	// minAfterDrain is how many streams the peer may open after such a GOAWAY, which may not have
	// reached it yet.
	minAfterDrain = 1000
)

// forceDrain drains the connection for what the peer does, in one step: final GOAWAY at once.
func (c *Conn) forceDrain(reason string) {
	g := &c.goAway
	if g.forced {
		return
	}
	g.forced = true
	g.lingerUntil = c.now.Add(drainLinger).UnixNano()
	if g.drain == running {
		g.graceEnd = after(c.now, c.cfg.DrainGrace)
	}
	if g.drain != drainFinal {
		c.sendFinalGoAway(reason)
	}
	c.emitEvent(Event{Kind: EventFault, Err: enhanceYourCalm(reason)})
}

// chargeAfterGoAway charges a stream that the peer has opened after our final GOAWAY.
func (c *Conn) chargeAfterGoAway() error {
	if !c.goAway.forced {
		return nil
	}
	c.limit.afterDrain++
	if c.limit.afterDrain <= max(minAfterDrain, 4*int32(min(c.cfg.MaxConcurrentStreams, 1<<20))) {
		return nil
	}
	return enhanceYourCalm("too_many_resets: and more streams after GOAWAY")
}
