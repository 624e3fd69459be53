package tcpstream

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// caused reports whether all that half i had got when it sent a segment was handed on.
func (c *conn) caused(i int, ack int64) bool {
	o := &c.half[1-i]
	return ack == noAck || o.started && ack <= o.next+o.phantom
}

// drain hands on what can be.
func (c *conn) drain() {
	c.flow()
	for c.unstick(false, "") {
		c.flow()
	}
	if c.half[0].ended && c.half[1].ended {
		c.finish()
	}
}

// flow hands on what is next, of the two halves the one captured first.
func (c *conn) flow() {
	for {
		n, ready := c.ready(0)
		i := 0
		if m, ok := c.ready(1); ok && (!ready || m < n) {
			i, ready = 1, true
		}
		if !ready {
			return
		}
		c.one(i)
	}
}

// ready reports whether something of half i can be handed on, and the number of its packet.
func (c *conn) ready(i int) (uint64, bool) {
	h := &c.half[i]
	switch {
	case !h.started || h.ended:
	case len(h.queue) > 0 && h.queue[0].pos == h.next:
		return h.queue[0].number, c.caused(i, h.queue[0].ack)
	case h.fin && h.finAt <= h.next:
		return h.finMark.number, c.caused(i, h.finAck)
	}
	return 0, false
}

// one hands on the first piece of half i that waits, or its FIN.
func (c *conn) one(i int) {
	h := &c.half[i]
	if len(h.queue) > 0 && h.queue[0].pos == h.next {
		p := c.pop(h)
		c.handOn(i, &p)
		return
	}
	for len(h.queue) > 0 { // behind FIN
		c.pop(h)
		c.counts[i].Strays++
	}
	h.next++
	c.end(i, h.finMark.time, wire.Closed)
}

// handOn hands a piece on that is at next.
func (c *conn) handOn(i int, p *piece) {
	h := &c.half[i]
	h.next, h.phantom, h.missing = p.end(), 0, false
	t := h.at(p.time)
	if len(p.data) > 0 {
		c.counts[i].Octets += uint64(len(p.data))
		c.to().Octets(c.dir(i), t, p.data)
	}
	if p.cut > 0 {
		c.counts[i].Lost += uint64(p.cut)
		c.to().Lost(c.dir(i), t, int64(p.cut), WhyCut)
	}
}

// at is when the sink is told of something at t: times do not decrease.
func (h *half) at(t time.Time) time.Time {
	if t.Before(h.last) {
		return h.last
	}
	h.last = t
	return t
}

// unstick gives up what was waited for long enough, or anything if force is set; why is then why.
// It reports whether there may be more to hand on.
func (c *conn) unstick(force bool, why string) bool {
	if !c.begun && (force || c.a.now.number-c.first > maxWaitPackets) {
		c.begin()
		return true
	}
	for i := range c.half {
		h := &c.half[i]
		if c.begun && !h.started && (h.hasAck || len(h.queue) > 0) {
			c.beginHalf(i)
			return true
		}
		if m := h.ackOnly(); m != h.missing {
			h.missing, h.since = m, c.here()
		}
		if !h.started || !h.waits() {
			continue
		}
		if (force || !h.seen || c.late(h.visible())) && c.skip(i, force, why) {
			return true
		}
	}
	return false
}

// skip gives up what half i waits for. It reports whether it has.
func (c *conn) skip(i int, force bool, why string) bool {
	h, o := &c.half[i], &c.half[1-i]
	if h.hole() <= 0 {
		// Nothing is missing here, but on the other side; unless both wait for each other.
		if o.started && o.hole() > 0 {
			return false
		}
		c.one(i)
		return true
	}
	switch {
	case h.ackedAll(h.next+1) || !h.seen:
		why = WhyMissing
	case force:
	case !o.seen && c.packets-h.visible().packets > 8*maxWaitPackets:
		why = WhyMissing // no acknowledgements are in the capture
	default:
		return false // it will be sent again
	}
	c.lose(i, force, why)
	return true
}

// lose gives up the octets of half i before those known.
func (c *conn) lose(i int, force bool, why string) {
	h, o := &c.half[i], &c.half[1-i]
	n, t := h.hole(), h.visible().time
	if h.ackOnly() && (n == 1 || force && o.fin) { // FIN is acknowledged as an octet is
		h.phantom = 1
		n--
	}
	h.missing = false
	if n > 0 {
		h.next += n
		c.counts[i].Lost += uint64(n)
		c.to().Lost(c.dir(i), h.at(t), n, why)
	}
}

// giveUp hands on all that waits.
func (c *conn) giveUp() {
	c.flow()
	for c.unstick(true, WhyBound) {
		c.flow()
	}
}

// end ends half i.
func (c *conn) end(i int, t time.Time, how wire.How) {
	h := &c.half[i]
	h.ended, t = true, h.at(t)
	if c.sink != nil {
		c.sink.End(c.dir(i), t, how)
	}
}

// finish hands on all that waits, and ends both halves.
func (c *conn) finish() {
	if c.done {
		return
	}
	c.flow()
	for c.unstick(true, WhyUnacked) {
		c.flow()
	}
	for i := range c.half {
		if h := &c.half[i]; !h.ended {
			how, t := wire.Open, c.lastTime
			switch {
			case c.resetting != nil:
				how, t = wire.Reset, c.reset.time
			case h.phantom > 0:
				how = wire.Closed
			}
			c.end(i, t, how)
		}
	}
	c.done, c.ended, c.sink, c.repeats = true, c.here(), nil, nil
	if c.resetting != nil {
		c.a.resets.Remove(c.resetting)
	}
	c.closing = c.a.closed.PushBack(c)
}
