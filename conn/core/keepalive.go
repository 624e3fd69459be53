package core

import "time"

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
func (d Driver) Probe(now time.Time) {
	if d.fatal != nil || d.cfg.PingInterval <= 0 || d.life.pingSent {
		return
	}
	d.tell(now)
	renewed := d.streams.Len() > 0 && d.cfg.PingRenewal > 0 && !d.life.pingAt.Add(d.cfg.PingRenewal).After(d.now)
	if !d.budgetUsed() || renewed {
		d.sendKeepalive(d.now)
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
