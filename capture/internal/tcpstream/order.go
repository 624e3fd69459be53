package tcpstream

import (
	"bytes"
	"slices"
	"time"
)

// octets takes a piece of half i.
func (c *conn) octets(i int, p piece) {
	h := &c.half[i]
	c.counts[i].Segments++
	if h.ended {
		c.counts[i].Strays++
		return
	}
	if n := h.overlap(&p); n > 0 && c.again(i, &p, n) {
		return
	}
	c.a.recent.add(h, &p)
	if h.started && len(h.queue) == 0 && p.pos == h.next && c.caused(i, p.ack) {
		c.handOn(i, &p)
		return
	}
	c.enqueue(i, &p)
}

// again takes a piece of which n octets were seen before. It reports whether there is nothing else
// in it.
func (c *conn) again(i int, p *piece, n int64) bool {
	h := &c.half[i]
	old := c.a.recent.find(h, p.pos)
	same := old != nil && old.pos == p.pos && old.end == p.end()
	if same && old.sum != sum(p.data) {
		c.counts[i].Conflicts++
	}
	switch {
	case same && absolute(p.time.Sub(old.time)) <= duplicate:
		c.counts[i].Duplicates++
		return true
	case p.size() == 1 && p.end() == h.next && h.ackedAll(h.next):
		return true // a keep-alive probe
	}
	waited := time.Duration(0)
	if old != nil && !h.ackedAll(p.end()) {
		waited = p.time.Sub(old.time)
	}
	c.retransmitted(i, p.time, int(n), waited)
	if n < p.size() {
		return false
	}
	c.a.recent.add(h, p)
	return true
}

// absolute is d without its sign.
func absolute(d time.Duration) time.Duration { return max(d, -d) }

// enqueue keeps what is new in a piece.
func (c *conn) enqueue(i int, p *piece) {
	h := &c.half[i]
	from := p.pos
	if h.started {
		from = max(from, h.next)
	}
	at := h.search(from)
	for from < p.end() {
		to := p.end()
		if at < len(h.queue) {
			to = min(to, h.queue[at].pos)
		}
		if from < to {
			c.insert(i, at, p.part(from, to))
			at++
		}
		if at == len(h.queue) || h.queue[at].pos >= p.end() {
			return
		}
		if differs(&h.queue[at], p) {
			c.counts[i].Conflicts++
		}
		from = max(from, h.queue[at].end())
		at++
	}
}

// insert puts a piece, which overlaps with none, at its place in the queue.
func (c *conn) insert(i, at int, p piece) {
	h := &c.half[i]
	if at < len(h.queue) {
		c.counts[i].Late++
		waited := p.time.Sub(h.queue[at].time)
		if waited > reordered && !h.ackedAll(p.pos+1) {
			c.retransmitted(i, p.time, int(p.size()), waited)
		}
	}
	p.data = bytes.Clone(p.data)
	h.queue = slices.Insert(h.queue, at, p)
	c.grow(len(p.data) + pieceOverhead)
}

// pop takes the first piece off the queue.
func (c *conn) pop(h *half) piece {
	p := h.queue[0]
	h.queue[0] = piece{}
	h.queue = h.queue[1:]
	if len(h.queue) == 0 {
		h.queue = nil
	}
	c.grow(-len(p.data) - pieceOverhead)
	return p
}

// trim drops what waits before next.
func (c *conn) trim(h *half) {
	for len(h.queue) > 0 && h.queue[0].pos < h.next {
		p := &h.queue[0]
		if p.end() > h.next {
			n := len(p.data)
			*p = p.part(h.next, p.end())
			c.grow(len(p.data) - n)
			return
		}
		c.pop(h)
	}
}

// grow counts what waits.
func (c *conn) grow(n int) {
	c.size += n
	c.a.size += n
	switch {
	case c.size > 0 && c.waiting == nil:
		c.waiting = c.a.waiting.PushBack(c)
	case c.size == 0 && c.waiting != nil:
		c.a.waiting.Remove(c.waiting)
		c.waiting = nil
	}
}
