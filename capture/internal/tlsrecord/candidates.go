package tlsrecord

import (
	"iter"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A candidate is a key that may open a record, and the sequence numbers that the record may have.
type candidate struct {
	of        *secrets
	key       *key
	low, high uint64
}

// span is how many records may be missing.
func (h *half) span() (low, high uint64) {
	if h.gap < 0 {
		return 0, maxTries - 1
	}
	low = uint64(h.gap+maxRecord-1) / maxRecord
	return low, min(uint64(h.gap)/(headerSize+16), low+maxTries-1)
}

// candidates are the keys that may open the next record of a direction, in the order in which they
// come into use.
func (c *Conn) candidates(h *half) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		low, high := h.span()
		if h.key != nil {
			if !yield(candidate{c.secrets, h.key, h.seq + low, h.seq + high}) {
				return
			}
		}
		switch {
		case c.version() != version13:
			if h.key == nil {
				yield(candidate{c.secrets, c.key12(h), 0, high})
			}
		case h.stage == stageData && h.key != nil:
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
	lost := int64(-1)
	switch before := h.stage; {
	case by.key == h.key:
		if lost = 0; seq != h.seq {
			lost = h.plainOf(h.gap, int64(seq-h.seq))
		}
	case before == stageData:
	case c.version() == version12 && seq <= 1: // Finished is the first record
		lost = 0
	case by.key.stage == stageHandshake && before != stageEarly:
		lost = 0
	case by.key.stage == stageData && seq == 0 && before != stageEarly:
		lost = 0
	}
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
