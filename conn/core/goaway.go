package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// drainStep is how far a graceful shutdown has come.
type drainStep uint8

const (
	running        drainStep = iota
	drainAnnounced           // GOAWAY with the highest identifier is sent; streams of the peer are still accepted
	drainFinal               // GOAWAY with the last stream is sent: no later stream of the peer is processed
)

// goAwayState is the state of GOAWAY in both directions (RFC 9113 §6.8).
type goAwayState struct {
	drain    drainStep
	forced   bool      // this side drains the connection for what the peer has done, see forceDrain
	stale    bool      // next and graceEnd are too early: the caller has not said when the drain began
	received bool      // the peer has sent GOAWAY
	lastSent uint32    // the last stream identifier in our final GOAWAY
	lastRecv uint32    // the last stream identifier in the peer's last GOAWAY
	next     time.Time // when the next step is due: the final GOAWAY, or the end of the grace
	graceEnd time.Time // when streams that still run are cut off, zero for never

	lingerUntil int64 // until when the peer may close a connection without streams itself, in Unix ns, or 0
}

// drainPingWait bounds the wait for the answer to the PING between the two GOAWAY frames.
const drainPingWait = time.Second

// Shutdown begins to drain the connection in two steps (RFC 9113 §6.8). GOAWAY with the highest
// stream identifier and a PING go out at once. When the answer to the PING has arrived, or a second
// has passed, every request that was in flight has arrived, too, and GOAWAY with the last stream
// that is processed follows. Drained reports when all streams have ended.
func (c *Conn) Shutdown(now time.Time) {
	if c.connErr != nil || c.goAway.drain != running {
		return
	}
	c.advance(now)
	c.beginDrain()
}

// beginDrain is Shutdown at the present time.
func (c *Conn) beginDrain() {
	if c.connErr != nil || c.goAway.drain != running {
		return
	}
	c.goAway.drain = drainAnnounced
	c.setDrainTimes(c.now)
	if c.cfg.Role == Client && !c.cfg.EnablePush {
		c.sendFinalGoAway("") // the peer opens no streams, so there is nothing to wait for
		return
	}
	c.appendGoAway(frame.MaxStreamID, frame.NoError, "")
	c.appendPing(drainPing)
}

// setDrainTimes sets the times of a drain that begins now.
func (c *Conn) setDrainTimes(now time.Time) {
	g := &c.goAway
	g.stale = false
	if g.drain != drainAnnounced {
		return
	}
	g.next = now.Add(drainPingWait)
	g.graceEnd = after(now, c.cfg.DrainGrace)
	if !g.graceEnd.IsZero() && g.graceEnd.Before(g.next) {
		g.next = g.graceEnd
	}
}

// sendFinalGoAway ends the first step of a drain: from now on no new stream of the peer is
// processed. The reason is debug data.
func (c *Conn) sendFinalGoAway(reason string) {
	g := &c.goAway
	g.drain, g.next = drainFinal, g.graceEnd
	g.lastSent = c.streams.ids.LastRemote()
	c.appendGoAway(g.lastSent, frame.NoError, reason)
}

// checkDrain takes the steps of a drain that are due.
func (c *Conn) checkDrain(now time.Time) error {
	g := &c.goAway
	if g.lingerUntil <= now.UnixNano() {
		g.lingerUntil = 0
	}
	if g.next.IsZero() || g.next.After(now) {
		return nil
	}
	if g.drain == drainAnnounced {
		c.sendFinalGoAway("")
		if g.next.IsZero() || g.next.After(now) {
			return nil
		}
	}
	if c.streams.Len() == 0 {
		g.next, g.lingerUntil = time.Time{}, 0 // nothing runs that could be cut off
		return nil
	}
	return timedOut(frame.NoError, "", "streams still ran when the grace of the shutdown was over",
		"DrainGrace", c.cfg.DrainGrace)
}

// afterGoAway reports whether the peer has opened stream id after our final GOAWAY, so that it is
// not processed.
func (c *Conn) afterGoAway(id uint32) bool {
	return c.goAway.drain == drainFinal && !c.streams.ids.IsLocal(id) && id > c.goAway.lastSent
}

// Drained reports whether the connection is over in good order: a drain has come to its end, or the
// peer has sent GOAWAY, and no stream is left.
func (c *Conn) Drained() bool { return c.Driver().State().Drained }

// Err returns the connection error that ended c, or nil.
func (c *Conn) Err() error {
	if c.connErr == nil {
		return nil
	}
	return c.connErr
}

// Fail ends the connection: it appends GOAWAY with the error's code and a debug text that says what
// was wrong (RFC 9113 §5.4.1). Nothing follows it: from then on no method appends anything, Receive
// and Tick do nothing, Deadline returns false, and the scheduler is not called any more. Only the
// first call counts.
func (c *Conn) Fail(err *frame.ConnError) {
	if c.connErr != nil {
		return
	}
	c.connErr = err
	c.counts.LastError = err.Code
	debug := err.Reason
	if err.Section != "" {
		debug += " (" + err.Section + ")"
	}
	last := c.streams.ids.LastRemote()
	if c.goAway.drain == drainFinal {
		last = c.goAway.lastSent // never more than was said before (RFC 9113 §6.8)
	}
	c.appendGoAway(last, err.Code, debug)
}
