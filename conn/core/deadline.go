package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// lifetime is what a connection's clock is held against.
type lifetime struct {
	prefaceBy   time.Time // the peer's first SETTINGS are due
	settingsBy  time.Time // the acknowledgement of our SETTINGS is due
	stallAt     time.Time // look for stalled streams
	lastRecv    time.Time
	idleSince   time.Time
	pingAt      time.Time // when the last keepalive PING was sent
	pings       int32     // keepalive PINGs while streams were open, since the budget was last full
	idlePings   int32     // and while none was
	pingsOut    int32     // PINGs of our user that were not answered
	partialKiB  uint32    // length of the frame that is not complete, as far as it is known, in KiB
	partialHead bool      // it is a header block

	partialSince time.Time // when the frame or header block began that is not complete

	idleGuess     bool // idleSince is a time in the past, the true one not known
	pingSent      bool // a keepalive PING was sent, and nothing has arrived since
	pingOut       bool // a keepalive PING was not answered
	silent        bool // server: the client has sent nothing yet, and FirstByteTimeout runs
	tunePinged    bool // a PING that measures the path was not answered
	settingsRecv  bool
	settingsAcked bool
	windowAsked   bool // the peer has not acknowledged initialWindow.size
}

// Deadline returns the time at which Tick wants to be called, and whether there is one. Calling it
// earlier does no harm. The time only ever moves to earlier by calls of Start, Shutdown, Open,
// Queue, Probe and SetPartial, and when the last stream ends, from which on the connection is idle.
func (c *Conn) Deadline() (at time.Time, ok bool) {
	if c.fatal != nil {
		return time.Time{}, false
	}
	l := &c.life
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !l.settingsRecv {
		earliest(l.prefaceBy)
	}
	if !l.settingsAcked || c.life.windowAsked {
		earliest(l.settingsBy)
	}
	earliest(c.partialBy())
	earliest(l.stallAt)
	earliest(c.idleAt())
	earliest(c.pingDue())
	earliest(c.shutdown.at)
	if c.shutdown.heldTo != 0 {
		earliest(time.Unix(0, c.shutdown.heldTo))
	}
	return c.toCaller(at), !at.IsZero()
}

// Tick does what time asks for. An error is a *frame.ConnError, to be handed to Fail.
func (c *Conn) Tick(now time.Time) error {
	if c.fatal != nil {
		return nil
	}
	c.tell(now)
	c.timed = true
	err := c.tick(c.now)
	c.timed = false
	return err
}

func (c *Conn) tick(now time.Time) error {
	l := &c.life
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	switch {
	case !l.settingsRecv && due(l.prefaceBy):
		timer, after := "PrefaceTimeout", c.cfg.PrefaceTimeout
		if l.silent {
			timer, after = "FirstByteTimeout", c.cfg.FirstByteTimeout
		}
		return timedOut(frame.ProtocolError, "RFC 9113 §3.4", "no connection preface in time", timer, after)
	case (!l.settingsAcked || c.life.windowAsked) && due(l.settingsBy):
		return timedOut(frame.SettingsTimeout, "RFC 9113 §6.5.3", "SETTINGS not acknowledged in time",
			"SettingsTimeout", c.cfg.SettingsTimeout)
	case due(c.partialBy()):
		timer := "FrameTimeout"
		if c.life.partialHead {
			timer = "HeaderTimeout"
		}
		return timedOut(frame.EnhanceYourCalm, "RFC 9113 §10.5", "frame or header block not completed in time",
			timer, c.partialTimeout())
	case l.pingSent && due(c.pingDue()):
		return timedOut(frame.NoError, "RFC 9113 §6.7", "PING not answered in time", "PingTimeout", c.cfg.PingTimeout)
	}
	if due(l.stallAt) {
		c.resetStalled()
	}
	if due(c.idleAt()) {
		c.beginDrain()
	}
	if due(c.pingDue()) {
		c.sendKeepalive(now)
	}
	return c.shutdown.tick(now, c)
}

// after returns now+d, or no time for no duration.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

func (l *lifetime) start(now time.Time, cfg *Config) {
	l.prefaceBy = after(now, cfg.PrefaceTimeout)
	if cfg.Role == Server && !cfg.PrefaceDone && cfg.FirstByteTimeout != 0 {
		l.prefaceBy, l.silent = after(now, cfg.FirstByteTimeout), true
	}
	l.settingsBy = after(now, cfg.SettingsTimeout)
	l.lastRecv, l.idleSince = now, now
}

// received notes that a frame has arrived: the peer is alive.
func (l *lifetime) received(now time.Time) {
	l.lastRecv = now
	l.pingSent = false
}
