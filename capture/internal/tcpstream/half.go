package tcpstream

import (
	"bytes"
	"math"
	"sort"
	"time"
)

const (
	// maxPieces bounds the pieces that wait in one direction, since putting one between them takes
	// time for each.
	maxPieces = 4096

	// pieceOverhead is counted for a piece that waits, beside its octets.
	pieceOverhead = 128

	// noAck is the acknowledgement of a segment that has none.
	noAck = int64(math.MinInt64)

	// reordered is how late a segment is at most that has overtaken others; one that is later was
	// sent again.
	reordered = 3 * time.Millisecond
)

// A piece is what a segment has: octets, and behind them some that were cut off.
type piece struct {
	mark
	pos  int64 // of its first octet
	data []byte
	cut  int
	ack  int64 // position in the other half that was acknowledged, or noAck
}

func (p *piece) size() int64 { return int64(len(p.data)) + int64(p.cut) }
func (p *piece) end() int64  { return p.pos + p.size() }

// part returns what p has from one position up to another, both of them within p.
func (p *piece) part(from, to int64) piece {
	q := *p
	n := int64(len(p.data))
	q.data = p.data[min(from-p.pos, n):min(to-p.pos, n)]
	q.pos, q.cut = from, int(to-from)-len(q.data)
	return q
}

// half is what one side sends. Positions count its octets as sequence numbers do, but never wrap:
// base has position 0.
type half struct {
	hasBase bool
	base    uint32

	seen    bool // a segment of this side was seen
	syn     bool
	isn     uint32
	started bool  // next is known
	next    int64 // position behind what was handed on

	hasAck   bool  // the peer has acknowledged something
	firstAck int64 // the lowest position that it has acknowledged
	acked    int64 // the highest position that it has acknowledged

	fin     bool
	finAt   int64
	finAck  int64
	finMark mark

	// phantom is 1 where the peer has acknowledged one octet more than was seen: a FIN that is not
	// in the capture.
	phantom int64

	queue []piece // what waits, in order, without overlaps
	ended bool
	last  time.Time // the time of the last call of the sink
	copy  uint64    // the latest segment, in recent

	// missing says that octets are known to be missing by their acknowledgement only; since says
	// from where on.
	missing bool
	since   mark
}

// pos is the position of a sequence number: of those it may have, the one closest to next.
func (h *half) pos(seq uint32) int64 {
	if !h.hasBase {
		h.hasBase, h.base = true, seq
	}
	return h.next + int64(int32(seq-h.base-uint32(h.next)))
}

// ack notes an acknowledgement of the peer, and returns its position, or noAck where it makes no
// sense.
func (h *half) ack(seq uint32) int64 {
	pos := h.pos(seq)
	if h.started && (pos < h.next-farAway || pos > h.next+farAway) {
		return noAck
	}
	if !h.hasAck {
		h.hasAck, h.firstAck, h.acked = true, pos, pos
	}
	h.firstAck, h.acked = min(h.firstAck, pos), max(h.acked, pos)
	return pos
}

// ackedAll reports whether the peer has acknowledged all before a position.
func (h *half) ackedAll(pos int64) bool { return h.hasAck && h.acked >= pos }

// ackOnly reports whether octets are known to be missing by their acknowledgement only.
func (h *half) ackOnly() bool {
	return h.started && !h.ended && len(h.queue) == 0 && !h.fin && h.hasAck && h.acked > h.next+h.phantom
}

// hole is the number of octets between next and what is known behind it.
func (h *half) hole() int64 {
	switch {
	case len(h.queue) > 0:
		return h.queue[0].pos - h.next
	case h.fin:
		return h.finAt - h.next
	case h.ackOnly():
		return h.acked - h.next
	}
	return 0
}

// visible is where the hole was seen first, or where what is next had to wait.
func (h *half) visible() *mark {
	switch {
	case len(h.queue) > 0:
		return &h.queue[0].mark
	case h.fin:
		return &h.finMark
	}
	return &h.since
}

// waits reports whether something is left once all that can be handed on was.
func (h *half) waits() bool { return !h.ended && (len(h.queue) > 0 || h.fin || h.ackOnly()) }

// overlap returns how many octets of p were seen before.
func (h *half) overlap(p *piece) int64 {
	n, from := int64(0), p.pos
	if h.started && from < h.next {
		n = min(p.end(), h.next) - from
		from += n
	}
	for i := h.search(from); i < len(h.queue) && h.queue[i].pos < p.end(); i++ {
		n += min(h.queue[i].end(), p.end()) - max(h.queue[i].pos, from)
	}
	return n
}

// search returns the index of the first piece that ends behind a position.
func (h *half) search(pos int64) int {
	n := len(h.queue)
	if n == 0 || h.queue[n-1].end() <= pos {
		return n
	}
	return sort.Search(n, func(i int) bool { return h.queue[i].end() > pos })
}

// differs reports whether a waiting piece has other octets than p at the same positions.
func differs(q, p *piece) bool {
	from := max(q.pos, p.pos)
	to := min(q.pos+int64(len(q.data)), p.pos+int64(len(p.data)))
	return from < to && !bytes.Equal(q.data[from-q.pos:to-q.pos], p.data[from-p.pos:to-p.pos])
}
