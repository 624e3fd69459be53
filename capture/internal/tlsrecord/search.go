package tlsrecord

import (
	"bytes"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

const (
	// maxFailed bounds the records in a row that fail before a direction is given up.
	maxFailed = 8

	// maxHandshake bounds the records of a handshake for which the log has no secret.
	maxHandshake = 256

	// ticketRecords are the records of a server in which its first NewSessionTicket is expected.
	ticketRecords = 16

	// maxTries bounds the sequence numbers that are tried with a key, for one record, and
	// maxTriedOctets what is decrypted for them. Behind long records short ones may come.
	maxTries       = 4096
	maxTriedOctets = 8 << 20

	// maxGuesses bounds the records for which all secrets of the log are tried.
	maxGuesses = 16

	// Octets that may be decrypted in vain: to begin with, for each octet that comes, and where all
	// secrets of the log are tried.
	minBudget      = 32 << 20
	budgetPerOctet = 16
	guessBudget    = 256 << 20

	// maxVain bounds the octets that all connections decrypt in vain, in some seconds, beyond
	// budgetPerOctet of each.
	maxVain = 16 << 30

	// What a try costs beside its octets, a try with a MAC, and to derive a key: about the octets
	// that are decrypted in the same time.
	tryCost    = 1 << 10
	macCost    = 8 << 10
	deriveCost = 16 << 10
)

const (
	whyLost     = "octets of TLS records are missing"
	whyNotFound = "the records could not be found again behind the octets that are missing"
)

// spend counts n octets that are decrypted in vain, or what takes as long.
func (c *Conn) spend(n int64) {
	c.budget -= n
	c.keys.vain += n
}

// spent reports whether nothing more may be decrypted in vain.
func (c *Conn) spent() bool {
	return c.budget <= 0 || c.keys.vain >= maxVain+c.keys.octets*budgetPerOctet
}

// lost is called where n octets are missing; -1 is unknown.
func (c *Conn) lost(h *half, t time.Time, n int64) {
	if h.closed || h.failure != "" {
		return
	}
	if h.stage == stageClear {
		h.broken, c.changed = true, true
	}
	if h.skip > 0 {
		in := min(int64(h.skip), n)
		if n < 0 {
			in = int64(h.skip)
		} else {
			n -= in
		}
		h.skip -= int(in)
		if n == 0 {
			return
		}
	}
	if left := int64(h.in.need() - len(h.in.p)); !h.searching && len(h.in.p) >= headerSize && n >= 0 && n <= left {
		c.lostWithin(h, t)
		h.skip = int(left - n)
		h.in.clear()
		return
	}
	if n >= 0 {
		n += int64(len(h.in.p))
	}
	h.in.clear()
	c.lose(h, n)
}

// lostWithin is called where octets are missing in the record whose beginning is in h.in.
func (c *Conn) lostWithin(h *half, t time.Time) {
	p, size := h.in.p, h.in.need()
	switch {
	case h.stage == stageClear && p[0] == recHandshake:
		c.handshake(h, t, p[headerSize:])
		h.messages.skip(size-len(p), func(typ byte, body []byte) { c.message(h, t, typ, body) })
	case h.stage == stageClear || !h.opened || p[0] == recChangeCipherSpec:
		c.lose(h, int64(size))
	default:
		h.seq++
		h.messages = messages{lost: h.stage < stageData}
		if p[0] == recData && h.stage != stageHandshake {
			c.report(h, t, c.plainOf(h, int64(size), 1), whyLost)
		}
	}
}

// lose begins to look for a record that is encrypted, n octets behind the last one that is known.
func (c *Conn) lose(h *half, n int64) {
	switch {
	case n < 0:
		h.gap = -1
	case !h.searching:
		h.gap = n
	case h.gap >= 0:
		h.gap += n
	}
	if !h.searching {
		h.failed, h.passed = 0, 0
	}
	h.searching = true
	if n != 0 {
		h.messages = messages{lost: h.stage < stageData}
	}
}

// plainOf is the plaintext, in octets, of n records of a given size in all, or -1 where that cannot
// be said: content of other types than data would count, and so would padding.
func (c *Conn) plainOf(h *half, size, n int64) int64 {
	if h.key == nil || h.padded || h.stage < stageData || size < 0 || c.mayHaveOther(h) {
		return -1
	}
	over := int64(h.key.overhead())
	plain := size - n*over
	if over < 0 || plain < 0 {
		return -1
	}
	if short := n == 1 && (plain == 2 || plain == 5); short && c.version() == version13 {
		return -1 // an alert, a KeyUpdate
	}
	return plain
}

// mayHaveOther reports whether among the next records of a direction may well be some that have no
// data, and do not say so.
func (c *Conn) mayHaveOther(h *half) bool {
	if c.version() == version12 {
		return c.hello.count[wire.Client] > 1 || c.hello.count[wire.Server] > 1 // a renegotiation
	}
	return h.dir == wire.Server && h.key.update == 0 && h.seq < ticketRecords && !(h.carried && h.ticket)
}

// report tells the Sink that n octets of plaintext are missing.
func (c *Conn) report(h *half, t time.Time, n int64, why string) {
	if n == 0 {
		return
	}
	c.announce()
	c.flush(h)
	c.to.Lost(h.dir, t, n, why)
}

// scan looks for an encrypted record. Its verdict is again where the search is over: what is left
// of the octets comes behind that record.
func (c *Conn) scan(h *half, t time.Time, p []byte) (rest []byte, v verdict) {
	for {
		if len(h.in.p) > 0 {
			h.drop(findEncrypted(h.in.p, c.version()))
		}
		if !h.in.whole() {
			if len(p) == 0 {
				return nil, done
			}
			p = h.in.fill(p, maxRecord)
			continue
		}
		size := h.in.need()
		switch c.find(h, t, h.in.p[:size]) {
		case wait:
			return p, wait
		case done:
			rest = append(bytes.Clone(h.in.p[size:]), p...)
			h.in.clear()
			return rest, again
		case again:
			if h.failure != "" {
				return p, again
			}
			h.drop(1)
		}
	}
}

// drop passes over n octets of the input.
func (h *half) drop(n int) {
	if h.gap >= 0 {
		h.gap += int64(n)
	}
	h.passed += int64(n)
	h.in.drop(n)
}

// abandon gives up the search.
func (c *Conn) abandon(h *half, t time.Time, why string) {
	nothing := h.passed == 0 && len(h.in.p) == 0 // behind what is missing
	if h.gap != 0 && (h.stage == stageData || nothing || why == whyNotFound) {
		c.report(h, t, -1, whyLost)
	}
	if !nothing {
		c.undecrypted(h, t, why, h.passed)
	}
	c.giveUp(h, why)
}

// endSearch is called where no more octets come, and no record was found.
func (c *Conn) endSearch(h *half, t time.Time) {
	// What looks like a header by chance, and claims more octets than come, hides the records in them.
	for len(h.in.p) > 0 {
		h.drop(1)
		if _, v := c.feed(h, t, nil); v == wait || !h.searching || h.failure != "" || h.closed {
			break
		}
	}
	if !h.searching || h.failure != "" || h.closed {
		return
	}
	if c.o.StartMissing && !h.opened && h.passed == 0 && len(h.in.p) == 0 {
		return // the direction has nothing
	}
	why := whyNotFound
	if v, missing := c.decide(); v != done {
		why = missing
	}
	c.abandon(h, t, why)
}

// countFailed counts octets of a direction that was given up.
func (c *Conn) countFailed(h *half, t time.Time, p []byte) {
	if n := len(h.in.p) + len(p); n > 0 {
		c.undecrypted(h, t, h.failure, int64(n))
	}
	h.in.clear()
}

// find tries to open a record with the keys and the sequence numbers that are possible. It returns
// done where it has, and again where the record is none.
func (c *Conn) find(h *half, t time.Time, record []byte) verdict {
	v, why := c.decide()
	switch v {
	case wait:
		return wait
	case again:
		c.abandon(h, t, why)
		return again
	}
	if c.secrets == nil && c.keys.get(c.hello.client.random) != nil {
		c.secrets = c.keys.get(c.hello.client.random)
		c.budget += minBudget
	}
	out := buffers.Get().(*[maxRecord]byte)
	defer buffers.Put(out)
	any := false
	for try := range c.candidates(h, len(record)) {
		any = true
		for seq := try.low; seq <= try.high && !c.spent(); seq++ {
			c.spend(int64(len(record)) + tryCost)
			if try.key.suite.kind == aesCBC {
				c.spend(macCost)
			}
			if plain, err := try.key.open(out[:0], seq, record); err == nil {
				c.found(h, t, try, seq)
				c.deliver(h, t, record[0], plain)
				return done
			}
		}
	}
	return c.notFound(h, t, any)
}

// notFound is called where no candidate opens a record.
func (c *Conn) notFound(h *half, t time.Time, any bool) verdict {
	h.failed++
	switch {
	case c.secrets == nil && c.hello.done[wire.Client] && c.waitKey() == wait:
		return wait
	case c.secrets == nil:
		if any && h.failed < maxGuesses && !c.spent() {
			break
		}
		why := whyNoHandshake
		if len(c.info.ClientRandom) > 0 {
			why = c.noKey()
		}
		c.abandon(h, t, why)
	case !any && c.waitKey() == wait:
		return wait
	case !any:
		c.abandon(h, t, c.missing(labelOf(h.dir, stageData, c.version())))
	case h.gap == 0 && h.stage == stageClear && h.failed >= maxFailed, c.spent():
		c.abandon(h, t, whyNotFound)
	}
	return again
}

// deliver takes the plaintext of a record.
func (c *Conn) deliver(h *half, t time.Time, typ byte, plain []byte) {
	if c.version() == version13 {
		c.inner(h, t, plain)
	} else {
		c.content(h, t, typ, plain)
	}
}
