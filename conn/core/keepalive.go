package core

import "time"

// keepaliveState is what decides when a keepalive PING is sent, and when it is given up (see
// Config.PingInterval, PingTimeout, PingBudget and PingRenewal).
type keepaliveState struct {
	lastFrame time.Time // when the last frame arrived
	sentAt    time.Time // when the last keepalive PING was sent
	sent      int32     // keepalive PINGs sent while streams were open, since the budget was last full
	sentIdle  int32     // keepalive PINGs sent while no stream was open, since the budget was last full
	waiting   bool      // a keepalive PING was sent, and no frame has arrived since
}

// pingDeadline returns when a keepalive PING is to be sent or, while one is under way, given up. A
// PING is sent only when nothing has arrived for the interval, so never two without something from
// the peer between them. One budget counts while no stream is open, and another while some are;
// time fills only the latter. PingInterval must be above 0.
func (c *Conn) pingDeadline() time.Time {
	if c.keepalive.waiting {
		return after(c.keepalive.sentAt, c.cfg.PingTimeout)
	}
	at := c.keepalive.lastFrame.Add(c.cfg.PingInterval)
	switch {
	case !c.pingBudgetSpent():
	case c.streams.Len() == 0 || c.cfg.PingRenewal <= 0:
		return time.Time{}
	default:
		if renewed := c.keepalive.sentAt.Add(c.cfg.PingRenewal); renewed.After(at) {
			return renewed
		}
	}
	return at
}

// pingBudgetSpent reports whether no keepalive PING may be sent before the budget is filled again.
func (c *Conn) pingBudgetSpent() bool {
	n := c.keepalive.sent
	if c.streams.Len() == 0 {
		n = c.keepalive.sentIdle
	}
	return c.cfg.PingBudget > 0 && int(n) >= c.cfg.PingBudget
}

// resetPingBudget fills the budgets when HEADERS or DATA arrive. Peers that bound PINGs count from
// zero again when they send those. A PING of ours that is not acknowledged may have reached the
// peer before that or after, so the budgets stay as they are while there is one.
func (c *Conn) resetPingBudget() {
	if !c.pings.keepalive && !c.pings.rtt && c.pings.user <= 0 {
		c.keepalive.sent, c.keepalive.sentIdle = 0, 0
	}
}

// Probe asks with a keepalive PING at once whether the peer is still there, if keepalive is on, no
// such PING is under way and the budget allows it.
func (d Driver) Probe(now time.Time) {
	k := &d.keepalive
	if d.connErr != nil || d.cfg.PingInterval <= 0 || k.waiting {
		return
	}
	d.advance(now)
	renewed := d.streams.Len() > 0 && d.cfg.PingRenewal > 0 && !k.sentAt.Add(d.cfg.PingRenewal).After(d.now)
	if !d.pingBudgetSpent() || renewed {
		d.sendKeepalive(d.now)
	}
}

func (c *Conn) sendKeepalive(now time.Time) {
	c.appendPing(keepalivePing)
	c.pings.keepalive = true
	k := &c.keepalive
	k.waiting, k.sentAt = true, now
	if c.streams.Len() == 0 {
		k.sentIdle++
	} else {
		k.sent++
	}
}
