package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// after returns now+d, or the zero time where d is no limit.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// Deadline returns the time at which Tick is to be called, and whether there is one. Calling Tick
// earlier does no harm. Start, Receive, Shutdown, Open, Queue, Consume, Driver.Probe,
// Driver.SetTime, Driver.SetPartial and the end of the last stream, with which the connection
// becomes idle, may move the time to an earlier one.
func (c *Conn) Deadline() (at time.Time, ok bool) {
	if c.connErr != nil {
		return time.Time{}, false
	}
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !c.settings.received {
		earliest(c.settings.prefaceDeadline)
	}
	if !c.settings.acked || c.settings.windowUnacked {
		earliest(c.settings.ackDeadline)
	}
	if !c.partial.since.IsZero() {
		earliest(c.partialDeadline())
	}
	earliest(c.stallCheck)
	if c.streams.Len() == 0 {
		earliest(c.idleDeadline())
	}
	if c.cfg.PingInterval > 0 {
		earliest(c.pingDeadline())
	}
	earliest(c.goAway.next)
	if c.goAway.lingerUntil != 0 {
		earliest(time.Unix(0, c.goAway.lingerUntil))
	}
	if at.IsZero() {
		return at, false
	}
	return at.Add(-c.offset), true
}

// Tick does what is due at the time now: timeouts, keepalive, the steps of a shutdown. An error is
// a *frame.ConnError, to be handed to Fail.
func (c *Conn) Tick(now time.Time) error {
	if c.connErr != nil {
		return nil
	}
	c.advance(now)
	c.haveNow = true
	err := c.checkTimers(c.now)
	c.haveNow = false
	return err
}

func (c *Conn) checkTimers(now time.Time) error {
	if c.settings.ackStale {
		c.startAckTimer()
	}
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	switch {
	case !c.settings.received && due(c.settings.prefaceDeadline):
		timer, after := "PrefaceTimeout", c.cfg.PrefaceTimeout
		if c.settings.noOctetYet {
			timer, after = "FirstByteTimeout", c.cfg.FirstByteTimeout
		}
		return timedOut(frame.ProtocolError, "RFC 9113 §3.4", "no connection preface in time", timer, after)
	case (!c.settings.acked || c.settings.windowUnacked) && due(c.settings.ackDeadline):
		return timedOut(frame.SettingsTimeout, "RFC 9113 §6.5.3", "SETTINGS not acknowledged in time",
			"SettingsTimeout", c.cfg.SettingsTimeout)
	case !c.partial.since.IsZero() && due(c.partialDeadline()):
		timer := "FrameTimeout"
		if c.partial.headers {
			timer = "HeaderTimeout"
		}
		return timedOut(frame.EnhanceYourCalm, "RFC 9113 §10.5", "frame or header block not completed in time",
			timer, c.partialTimeout())
	case c.keepalive.waiting && due(c.pingDeadline()):
		return timedOut(frame.NoError, "RFC 9113 §6.7", "PING not answered in time", "PingTimeout", c.cfg.PingTimeout)
	}
	if due(c.stallCheck) {
		c.resetStalled()
	}
	if c.streams.Len() == 0 && due(c.idleDeadline()) {
		c.beginDrain()
	}
	if c.cfg.PingInterval > 0 && due(c.pingDeadline()) {
		c.sendKeepalive(now)
	}
	return c.checkDrain(now)
}
