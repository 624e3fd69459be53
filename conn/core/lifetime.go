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

// What the connection asks with PING for itself.
var (
	drainPing     = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'g', 'o'}
	keepalivePing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'k', 'a'}
	tunePing      = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'b', 'd'}
)

func (l *lifetime) start(now time.Time, cfg *Config) {
	l.prefaceBy = after(now, cfg.PrefaceTimeout)
	if cfg.Role == Server && !cfg.PrefaceDone && cfg.FirstByteTimeout != 0 {
		l.prefaceBy, l.silent = after(now, cfg.FirstByteTimeout), true
	}
	l.settingsBy = after(now, cfg.SettingsTimeout)
	l.lastRecv, l.idleSince = now, now
}

// begun notes that the first octets have arrived.
func (l *lifetime) begun(now time.Time, cfg *Config) {
	if l.silent {
		l.silent = false
		l.prefaceBy = after(now, cfg.PrefaceTimeout)
	}
}

// received notes that a frame has arrived: the peer is alive.
func (l *lifetime) received(now time.Time) {
	l.lastRecv = now
	l.pingSent = false
}

func (l *lifetime) stallFrom(now time.Time, cfg *Config) {
	if l.stallAt.IsZero() && cfg.StallTimeout > 0 {
		l.stallAt = now.Add(cfg.StallTimeout)
	}
}

// after returns now+d, or no time for no duration.
func after(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// SetPartial tells whether the octets received so far end within a frame or a header block, as
// Partial says, and with a frame how long it is. A header block may take HeaderTimeout and another
// frame FrameTimeout, and either a second more for each KiB of the frame. It belongs to the reader,
// as Partial does, and needs the lock, too.
func (c *Conn) SetPartial(partial bool, want int, now time.Time) {
	l := &c.life
	switch {
	case !partial:
		l.partialSince = time.Time{}
		return
	case l.partialSince.IsZero():
		c.tell(now)
		l.partialSince = c.now
	}
	l.partialKiB = uint32(want >> 10)
	l.partialHead = c.in.partialHead // the reader's, which has no lock in Partial
}

// partialTimeout is how long what has begun may take, but for its length.
func (c *Conn) partialTimeout() time.Duration {
	if c.life.partialHead {
		return c.cfg.HeaderTimeout
	}
	return c.cfg.FrameTimeout
}

// partialBy returns when what has begun is due.
func (c *Conn) partialBy() time.Time {
	limit := c.partialTimeout()
	if c.life.partialSince.IsZero() || limit <= 0 {
		return time.Time{}
	}
	return c.life.partialSince.Add(limit + time.Duration(c.life.partialKiB)*time.Second)
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

// idleAt returns when the connection will have been idle for too long.
func (c *Conn) idleAt() time.Time {
	if c.streams.Len() > 0 || c.shutdown.step != running {
		return time.Time{}
	}
	return after(c.life.idleSince, c.cfg.IdleTimeout)
}

// IdleSince returns since when no stream is open, the zero time while one is.
func (c *Conn) IdleSince() time.Time {
	if c.streams.Len() > 0 {
		return time.Time{}
	}
	return c.toCaller(c.life.idleSince)
}

// pingDue returns when a keepalive PING is to be sent or, when one is under way, given up. A PING
// is sent only when nothing has arrived for the interval, so never two without something from the
// peer between. While no stream is open there is one budget, and while some are another, which time
// renews.
func (c *Conn) pingDue() time.Time {
	switch {
	case c.cfg.PingInterval <= 0:
		return time.Time{}
	case c.life.pingSent:
		return after(c.life.pingAt, c.cfg.PingTimeout)
	}
	at := c.life.lastRecv.Add(c.cfg.PingInterval)
	switch {
	case !c.budgetUsed():
	case c.streams.Len() == 0 || c.cfg.PingRenewal <= 0:
		return time.Time{}
	default:
		if renewed := c.life.pingAt.Add(c.cfg.PingRenewal); renewed.After(at) {
			return renewed
		}
	}
	return at
}

// budgetUsed reports whether no keepalive PING may be sent before something renews the budget.
func (c *Conn) budgetUsed() bool {
	n := c.life.pings
	if c.streams.Len() == 0 {
		n = c.life.idlePings
	}
	return c.cfg.PingBudget > 0 && int(n) >= c.cfg.PingBudget
}

// renewPings follows HEADERS and DATA of the peer: one that counts PINGs begins anew when it sends
// those, at the next PING. So it is not known to count from nought while one is under way, which
// may have reached it before or after.
func (c *Conn) renewPings() {
	l := &c.life
	if !l.pingOut && !l.tunePinged && l.pingsOut <= 0 {
		l.pings, l.idlePings = 0, 0
	}
}

// Probe asks with a keepalive PING at once whether the peer is still there, if keepalive is on, no
// such PING is under way and the budget allows it.
func (c *Conn) Probe(now time.Time) {
	if c.fatal != nil || c.cfg.PingInterval <= 0 || c.life.pingSent {
		return
	}
	c.tell(now)
	renewed := c.streams.Len() > 0 && c.cfg.PingRenewal > 0 && !c.life.pingAt.Add(c.cfg.PingRenewal).After(c.now)
	if !c.budgetUsed() || renewed {
		c.sendKeepalive(c.now)
	}
}

func (c *Conn) sendKeepalive(now time.Time) {
	c.Ping(keepalivePing)
	l := &c.life
	l.pingsOut-- // not our user's
	if c.streams.Len() == 0 {
		l.idlePings++
	} else {
		l.pings++
	}
	l.pingSent, l.pingOut, l.pingAt = true, true, now
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

// Draining tells whether a shutdown has begun on either side.
func (c *Conn) Draining() bool { return c.shutdown.step != running || c.shutdown.peerGone }

// Drained tells whether the connection is over in good order: a drain has come to its end, or the
// peer has sent GOAWAY, and no stream is left.
func (c *Conn) Drained() bool {
	if c.streams.Len() > 0 {
		return false
	}
	return c.shutdown.step == drainFinal && c.shutdown.heldTo == 0 || c.shutdown.peerGone && c.cfg.Role == Client
}
