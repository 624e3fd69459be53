package core

import "time"

// A connection whose peer goes over a limit that honest peers could meet is drained, so that nobody
// whose request runs loses it: GOAWAY with NO_ERROR names the last stream that is processed (RFC
// 9113 §6.8). What an honest client opens later, not knowing of that, it may send elsewhere. One
// that goes on is cut off.

const (
	// drainHold is how long the peer has to close a connection that is drained for its behavior,
	// once no stream is left. What it opens meanwhile counts.
	drainHold = time.Second
	// minBeyondDrain is how many streams the peer may open after such a GOAWAY, of which it may not
	// know yet.
	minBeyondDrain = 1000
)

// forceDrain drains the connection for what the peer does, in one step.
func (c *Conn) forceDrain(reason string) {
	d := &c.shutdown
	if d.forced {
		return
	}
	d.forced = true
	d.heldTo = c.now.Add(drainHold).UnixNano()
	if d.step == running {
		d.graceBy = after(c.now, c.cfg.DrainGrace)
	}
	if d.step != drainFinal {
		c.endDrain(reason)
	}
	c.emit(Event{Kind: EventFault, Err: calm(reason)})
}

// openedBeyond charges a stream that the peer has opened after our final GOAWAY.
func (c *Conn) openedBeyond() error {
	if !c.shutdown.forced {
		return nil
	}
	c.limit.beyondDrain++
	if c.limit.beyondDrain <= max(minBeyondDrain, 4*int32(min(c.cfg.MaxConcurrentStreams, 1<<20))) {
		return nil
	}
	return calm("too_many_resets: and more streams after GOAWAY")
}
