package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// drainStep is how far a graceful shutdown has come.
type drainStep uint8

const (
	running        drainStep = iota
	drainAnnounced           // GOAWAY with the highest identifier is sent; what is in flight still counts
	drainFinal               // GOAWAY with the last stream is sent: nothing new is processed
)

// shutdownState is the state of GOAWAY in both directions (RFC 9113 §6.8).
type shutdownState struct {
	step    drainStep
	last    uint32    // the last stream of the final GOAWAY
	at      time.Time // of the next step: the final GOAWAY, or the end of the grace
	graceBy time.Time

	guess  bool  // at and graceBy are counted from a time in the past, the true one not known
	forced bool  // for what the peer does
	heldTo int64 // nanoseconds since 1970 up to which the peer may close it itself, or 0

	peerGone bool
	peerLast uint32
}

// drainWait bounds the wait for the answer to the PING between the two GOAWAY frames.
const drainWait = time.Second

// Shutdown begins to drain the connection in two steps: GOAWAY with the highest stream identifier
// and a PING, and when its answer, or a second, has passed and with it every request that was in
// flight, GOAWAY with the last stream that is processed (RFC 9113 §6.8). Drained tells when all
// streams have ended.
func (c *Conn) Shutdown(now time.Time) {
	if c.fatal != nil || c.shutdown.step != running {
		return
	}
	c.tell(now)
	c.beginDrain()
}

// beginDrain is Shutdown at the present time.
func (c *Conn) beginDrain() {
	if c.fatal != nil || c.shutdown.step != running {
		return
	}
	c.shutdown.step = drainAnnounced
	c.drainFrom(c.now)
	if c.cfg.Role == Client && !c.cfg.EnablePush {
		c.finishDrain() // the peer opens no streams, so there is nothing to wait for
		return
	}
	c.appendGoAway(frame.MaxStreamID, frame.NoError, "")
	c.Ping(drainPing)
	c.life.pingsOut-- // not our user's
}

// drainFrom sets the times of a drain that begins now.
func (c *Conn) drainFrom(now time.Time) {
	d := &c.shutdown
	d.guess = false
	if d.step != drainAnnounced {
		return
	}
	d.at = now.Add(drainWait)
	d.graceBy = after(now, c.cfg.DrainGrace)
	if !d.graceBy.IsZero() && d.graceBy.Before(d.at) {
		d.at = d.graceBy
	}
}

// finishDrain sends the final GOAWAY.
func (c *Conn) finishDrain() {
	c.endDrain("")
}

// endDrain sends the final GOAWAY, which says why.
func (c *Conn) endDrain(reason string) {
	c.shutdown.step = drainFinal
	c.shutdown.last = c.ids.LastRemote()
	c.shutdown.at = c.shutdown.graceBy
	c.appendGoAway(c.shutdown.last, frame.NoError, reason)
}

func (d *shutdownState) tick(now time.Time, c *Conn) error {
	if d.heldTo <= now.UnixNano() {
		d.heldTo = 0
	}
	if d.at.IsZero() || d.at.After(now) {
		return nil
	}
	if d.step == drainAnnounced {
		c.finishDrain()
		if d.at.IsZero() || d.at.After(now) {
			return nil
		}
	}
	if c.streams.Len() == 0 {
		d.at, d.heldTo = time.Time{}, 0 // nothing runs that could be cut off
		return nil
	}
	return timedOut(frame.NoError, "", "streams still ran when the grace of the shutdown was over",
		"DrainGrace", c.cfg.DrainGrace)
}

// beyond tells whether the peer opened stream id after the final GOAWAY, so that it is not
// processed.
func (d *shutdownState) beyond(id uint32, c *Conn) bool {
	return d.step == drainFinal && !c.ids.IsLocal(id) && id > d.last
}

// Drained tells whether the connection is over in good order: a drain has come to its end, or the
// peer has sent GOAWAY, and no stream is left.
func (c *Conn) Drained() bool {
	if c.streams.Len() > 0 {
		return false
	}
	return c.shutdown.step == drainFinal && c.shutdown.heldTo == 0 || c.shutdown.peerGone && c.cfg.Role == Client
}
