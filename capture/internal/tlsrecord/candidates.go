package tlsrecord

import (
	"iter"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// finishedSize is the octets of Finished in TLS 1.2.
const finishedSize = 16

// A candidate is a key that may open a record, and the sequence numbers that the record may have.
type candidate struct {
	of        *secrets
	key       *key
	low, high uint64
}

// span is how many records may be missing before one of a given size: the bounds of what is tried.
func (h *half) span(size int) (low, high uint64) {
	tries := uint64(min(maxTries, maxTriedOctets/size))
	if h.gap < 0 {
		return 0, tries - 1
	}
	low = uint64(h.gap+maxRecord-1) / maxRecord
	return low, min(uint64(h.gap)/(headerSize+16), low+tries-1)
}

// candidates are the keys that may open the next record of a direction, which has a given size, in
// the order in which they come into use.
func (c *Conn) candidates(h *half, size int) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		low, high := h.span(size)
		if h.key != nil {
			if !yield(candidate{c.secrets, h.key, h.seq + low, h.seq + high}) {
				return
			}
		}
		switch {
		case c.version() != version13:
			if c.spend(deriveCost); h.key == nil {
				yield(candidate{c.secrets, c.key12(h), 0, high})
			}
		case h.stage == stageData && h.key != nil:
			c.spend(deriveCost)
			yield(candidate{c.secrets, c.next(h), 0, high})
		default:
			c.candidates13(h, high, yield)
		}
	}
}

// candidates13 yields the keys of the stages behind that of h.
func (c *Conn) candidates13(h *half, high uint64, yield func(candidate) bool) {
	all := c.keys.order
	if c.secrets != nil {
		all = []*secrets{c.secrets}
	}
	for _, of := range all {
		for _, s := range c.suites {
			for at := h.stage + 1; at <= stageData; at++ {
				if at == stageEarly && (h.dir == wire.Server || c.hello.early != earlyAccepted) {
					continue
				}
				if c.spend(deriveCost); c.spent() {
					return
				}
				k := c.key13(h, of, s, at, 0)
				if k != nil && !yield(candidate{of, k, 0, high}) {
					return
				}
			}
		}
	}
}

// found ends the search: a candidate has opened the record with the number seq.
func (c *Conn) found(h *half, t time.Time, by candidate, seq uint64) {
	lost := c.lostBefore(h, by.key, seq)
	if by.key != h.key {
		c.use(h, by.key)
		h.messages.lost = by.key.stage == stageHandshake && h.gap != 0
	}
	c.secrets, c.suites = by.of, []*suite{by.key.suite}
	c.info.Version, c.info.CipherSuite = c.version(), by.key.suite.id
	h.searching, h.gap = false, 0
	h.took(seq)
	c.report(h, t, lost, whyLost)
}

// lostBefore is the plaintext, in octets, of the records that are missing before the one with the
// number seq, which k opens; -1 is unknown.
func (c *Conn) lostBefore(h *half, k *key, seq uint64) int64 {
	switch {
	case c.version() == version12 && h.seq == 0 && seq <= 1: // Finished is the first record
		return 0
	case k == h.key && seq == h.seq:
		return 0
	case k == h.key && h.stage == stageHandshake:
		return 0
	case k == h.key:
		n := c.plainOf(h, h.gap, int64(seq-h.seq))
		if c.version() == version12 && h.seq == 0 {
			n = max(-1, n-finishedSize)
		}
		return n
	case h.stage == stageData || h.stage == stageEarly:
		return -1
	case h.stage == stageClear && k.stage > stageEarly && c.mayHaveEarly(h):
		return -1
	case k.stage == stageHandshake || seq == 0:
		return 0
	}
	return -1
}

// mayHaveEarly reports whether a direction may have sent 0-RTT data that the server has taken.
func (c *Conn) mayHaveEarly(h *half) bool {
	return h.dir == wire.Client &&
		(!c.hello.done[wire.Client] || c.hello.early == earlyOffered || c.hello.early == earlyAccepted)
}
