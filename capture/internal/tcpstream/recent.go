package tcpstream

import (
	"hash/crc32"
	"time"
)

const (
	// maxRecent is the number of segments that are remembered, of all connections.
	maxRecent = 16384

	// maxSteps bounds the segments of a direction that are looked at for one that was seen before.
	maxSteps = 256

	// duplicate is how far apart two copies of a segment are at most that were sent once, but
	// captured twice: on two interfaces, or by a mirrored port. No sender is as quick.
	duplicate = time.Millisecond
)

// seen is a segment that was seen.
type seen struct {
	pos, end int64
	time     time.Time
	sum      uint32
	before   uint64 // the segment of the same half before this one
}

// recent remembers the latest segments, for when they come again. Those of a half are linked; a
// link that is too old leads to a segment that was overwritten, and ends there.
type recent struct {
	ring []seen
	n    uint64 // segments up to now; the number of the latest one
}

func newRecent(n uint64) recent { return recent{ring: make([]seen, n)} }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum tells octets that differ apart.
func sum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// add remembers a piece of a half.
func (r *recent) add(h *half, p *piece) {
	r.n++
	r.ring[r.n%uint64(len(r.ring))] = seen{p.pos, p.end(), p.time, sum(p.data), h.copy}
	h.copy = r.n
}

// find returns the latest segment of a half with the octet at a position, or nil.
func (r *recent) find(h *half, pos int64) *seen {
	at := h.copy
	for range maxSteps {
		if at == 0 || r.n-at >= uint64(len(r.ring)) {
			return nil
		}
		s := &r.ring[at%uint64(len(r.ring))]
		if s.pos <= pos && pos < s.end {
			return s
		}
		at = s.before
	}
	return nil
}
