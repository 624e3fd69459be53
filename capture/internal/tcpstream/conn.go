package tcpstream

import (
	"container/list"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// conn is a connection with what is known of its two halves. Which half is the client's is known
// when a SYN is seen, or when the connection has begun without one.
type conn struct {
	Conn
	a       *Assembler
	key     tuple
	half    [2]half // what key[i] sends
	packets uint64
	first   uint64 // number of the first packet
	sides   bool   // client, the half of the client, is known
	begun   bool   // that no SYN will be waited for is decided
	strays  int    // segments far away in a row

	sink    wire.Sink
	repeats Retransmits // the sink, if it is one

	size     int       // of what waits
	lastTime time.Time // of a segment
	reset    resetMark // of the RST, if there is resetting
	ended    mark
	done     bool

	idle, waiting, resetting, closing *list.Element // in the lists of the assembler, or nil
}

// resetMark is a RST.
type resetMark struct {
	mark
	by  int   // the half that sent it
	pos int64 // up to where it had sent octets
}

func newConn(a *Assembler, key tuple, s *packet.Segment, from int) *conn {
	c := &conn{a: a, key: key, first: s.Number}
	c.Start, c.Number, c.client = s.Time, s.Number, from
	return c
}

// dir is the direction of what half i sends.
func (c *conn) dir(i int) wire.Dir {
	if i == c.client {
		return wire.Client
	}
	return wire.Server
}

// otherSYN reports whether a SYN is that of another connection with the same addresses.
func (c *conn) otherSYN(s *packet.Segment, from int) bool {
	h := &c.half[from]
	if h.syn {
		return h.isn != s.Seq
	}
	if !h.started {
		return false
	}
	d := h.next - (h.pos(s.Seq) + 1)
	return c.done || d < 0 || d > farAway
}

// late reports whether what is missing since m is not waited for any longer.
func (c *conn) late(m *mark) bool {
	return c.packets-m.packets > maxWaitPackets ||
		c.a.now.number-m.number > maxWaitPackets && c.a.now.time.Sub(m.time) > maxWaitTime
}

// here is the place at hand.
func (c *conn) here() mark {
	m := c.a.now
	m.packets = c.packets
	return m
}

// add takes a segment that half i has sent.
func (c *conn) add(s *packet.Segment, i int) {
	h, o := &c.half[i], &c.half[1-i]
	h.seen = true
	if c.done {
		return
	}
	c.lastTime = s.Time
	if s.RST {
		if c.resetting == nil {
			c.reset = resetMark{c.here(), i, h.pos(s.Seq)}
			c.resetting = c.a.resets.PushBack(c)
		}
		return
	}
	ack := noAck
	if s.ACK {
		ack = o.ack(s.Ack)
	}
	pos := h.pos(s.Seq)
	if s.SYN {
		c.syn(s, i)
		pos++
	}
	if s.ACK && !s.SYN && h.syn && o.syn && i == c.client && c.Connected.IsZero() {
		c.Connected = s.Time
	}
	if h.started && (pos < h.next-farAway || pos > h.next+farAway) {
		c.strays++
		c.counts[i].Strays++
		return
	}
	c.strays = 0
	if c.resetting != nil && c.reset.by == i && pos+int64(len(s.Payload)+s.Cut) > c.reset.pos {
		c.a.resets.Remove(c.resetting) // it goes on, so that RST was forged
		c.resetting = nil
	}
	if end := pos + int64(len(s.Payload)+s.Cut); s.FIN && !h.fin && (!h.started || end >= h.next) {
		h.fin, h.finAt, h.finMark, h.finAck = true, end, c.here(), ack
	}
	if len(s.Payload)+s.Cut > 0 {
		c.octets(i, piece{mark: c.here(), pos: pos, data: s.Payload, cut: s.Cut, ack: ack})
	}
	c.drain()
	if len(h.queue) > maxPieces {
		c.giveUp()
	}
}

// syn begins a half.
func (c *conn) syn(s *packet.Segment, i int) {
	h := &c.half[i]
	if h.syn {
		return
	}
	h.syn, h.isn, c.SYN = true, s.Seq, true
	if !c.sides {
		c.sides, c.client = true, i
		if s.ACK {
			c.client = 1 - i
		}
	}
	if !h.started {
		c.start(i, h.pos(s.Seq)+1)
	}
	c.begun = c.begun || c.half[1-i].started
}

// begin decides where halves begin whose SYN has not been seen.
func (c *conn) begin() {
	if !c.sides {
		c.sides = true
		from, to := c.key[c.client].Port(), c.key[1-c.client].Port()
		if from < to { // client is the sender of the first segment up to now
			c.client = 1 - c.client
		}
	}
	for i := range c.half {
		c.beginHalf(i)
	}
	c.begun = true
}

// beginHalf begins a half, if it has not begun and there is a place to begin at: behind a SYN that
// the peer's acknowledgements tell of; where the peer waits for more; or at the octets seen. The
// last one goes first at the beginning of a capture, where octets may be on their way.
func (c *conn) beginHalf(i int) {
	h, o := &c.half[i], &c.half[1-i]
	switch {
	case h.started:
	case o.syn && h.hasAck:
		c.start(i, h.firstAck)
	case h.hasAck && (len(h.queue) == 0 || c.begun && h.acked <= h.queue[0].pos):
		c.start(i, h.acked)
	case len(h.queue) > 0:
		at := h.queue[0].pos
		if h.queue[0].size() == 1 && h.hasAck && h.acked > at {
			at++ // as likely a keep-alive probe, whose octet is none
		}
		c.start(i, at)
	}
}

// start begins a half at a position.
func (c *conn) start(i int, pos int64) {
	h := &c.half[i]
	h.started, h.next = true, pos
	c.trim(h)
}

// to is the sink. The connection is opened if it is not.
func (c *conn) to() wire.Sink {
	if c.sink == nil {
		c.Client, c.Server = c.key[c.client], c.key[1-c.client]
		c.sink = c.a.open(&c.Conn)
		c.repeats, _ = c.sink.(Retransmits)
		for i := range c.half {
			if h := &c.half[i]; h.ended { // by FIN, without octets
				c.sink.End(c.dir(i), h.last, wire.Closed)
			}
		}
	}
	return c.sink
}

// retransmitted tells the sink of octets that were sent again.
func (c *conn) retransmitted(i int, t time.Time, octets int, filled time.Duration) {
	c.counts[i].Repeated += uint64(octets)
	if c.begun {
		c.to()
	}
	if c.repeats != nil {
		c.repeats.Retransmitted(c.dir(i), t, octets, max(filled, 0))
	}
}
