package tlsrecord

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// Rejected is why octets are not decrypted that the server has not, either (RFC 8446 §4.2.10): the
// client sends again what they were, so that nothing is missing.
const Rejected = "0-RTT data that the server has rejected"

const whyUnknown = "0-RTT data, and it is not known if the server has accepted it"

// firstData takes a record of encrypted data that comes where the direction is in the clear.
func (c *Conn) firstData(h *half, t time.Time, record []byte) verdict {
	if c.hello.count[h.dir] == 0 {
		h.broken = true
	}
	if h.dir == wire.Client && c.info.HelloRetry && c.hello.count[wire.Client] == 1 {
		c.skipped(h, t, Rejected, int64(len(record)))
		return done
	}
	v, why := c.decide()
	switch {
	case v == wait:
		return wait
	case v == again:
		c.giveUp(h, why)
	case c.version() != version13 || !c.hasKeys():
		c.lose(h, 0)
	case h.dir == wire.Client && c.serverMayTell():
		return wait
	case h.dir == wire.Client && c.hello.early == earlyAccepted:
		c.enter(h, stageEarly)
	default:
		c.enter(h, stageHandshake)
	}
	return again
}

// serverMayTell reports whether the server's EncryptedExtensions may still come: they have the
// protocol, and what the server does with 0-RTT data.
func (c *Conn) serverMayTell() bool {
	h := &c.halves[wire.Server]
	open := !c.announced || c.hello.early == earlyOffered
	return open && !c.forced && !h.last && h.failure == "" && h.stage < stageData
}

// enter begins a stage of TLS 1.3.
func (c *Conn) enter(h *half, s stage) {
	c.use(h, c.key13(h, c.secrets, c.suites[0], s, 0))
	h.stage = s
}

// use has the key k open the next records, from sequence number 0.
func (c *Conn) use(h *half, k *key) {
	h.key, h.later, h.seq, h.opened, h.failed = k, nil, 0, false, 0
	c.changed = true
	h.messages = messages{}
	if k != nil {
		h.stage = k.stage
	}
}

// key13 returns the key of a stage, or nil where the log does not have its secret.
func (c *Conn) key13(h *half, of *secrets, s *suite, at stage, update int) *key {
	secret := of.find(labelOf(h.dir, at, version13), update)
	if len(secret) != s.hash.Size() {
		return nil
	}
	k := newKey13(s, secret)
	k.stage, k.update = at, update
	return k
}

// next returns the key behind the next KeyUpdate.
func (c *Conn) next(h *half) *key {
	k := c.key13(h, c.secrets, h.key.suite, stageData, h.key.update+1)
	if k == nil {
		k = newKey13(h.key.suite, h.key.updated())
		k.stage, k.update = stageData, h.key.update+1
	}
	return k
}

// update takes a KeyUpdate (RFC 8446 §4.6.3).
func (c *Conn) update(h *half) { c.use(h, c.next(h)) }

// laterKey returns the key that may be in use already where h.key does not fit, or nil.
func (c *Conn) laterKey(h *half) *key {
	if h.later == nil {
		switch {
		case h.stage == stageEarly:
			h.later = c.key13(h, c.secrets, c.suites[0], stageHandshake, 0)
		case h.stage == stageHandshake:
			h.later = c.key13(h, c.secrets, c.suites[0], stageData, 0)
		case h.stage == stageData && h.key != nil:
			h.later = c.next(h)
		}
	}
	return h.later
}

// open13 takes a record of TLS 1.3 once the direction is encrypted.
func (c *Conn) open13(h *half, t time.Time, record []byte) verdict {
	if record[0] != recData {
		if record[0] == recAlert {
			c.alert(h, t, record[headerSize:])
		}
		return done
	}
	if h.key == nil {
		if v := c.keyless(h); v != done {
			return v
		}
	}
	out := buffers.Get().(*[maxRecord]byte)
	defer buffers.Put(out)
	for _, k := range [2]*key{h.key, nil} {
		seq := h.seq
		if k == nil {
			if k = c.laterKey(h); k == nil {
				break
			}
			seq = 0
		}
		if plain, err := k.open(out[:0], seq, record); err == nil {
			if k != h.key {
				c.use(h, k)
			}
			h.took(seq)
			c.inner(h, t, plain)
			return done
		}
	}
	return c.failed(h, t, record)
}

// keyless is called where the log has no secret for the stage, and may have it by now.
func (c *Conn) keyless(h *half) verdict {
	h.key = c.key13(h, c.secrets, c.suites[0], h.stage, 0)
	if h.key != nil || h.stage == stageHandshake && c.laterKey(h) != nil {
		return done
	}
	switch {
	case c.waitKey() == wait:
		return wait
	case h.stage == stageEarly:
		c.enter(h, stageHandshake)
	default:
		c.giveUp(h, c.missing(labelOf(h.dir, h.stage, version13)))
	}
	return again
}

// took is called once key has opened the record with number seq.
func (h *half) took(seq uint64) {
	h.seq, h.opened, h.failed = seq+1, true, 0
}

// inner takes the plaintext of a record, which ends in the type of the content and padding
// (RFC 8446 §5.2).
func (c *Conn) inner(h *half, t time.Time, plain []byte) {
	n := len(plain)
	for n > 0 && plain[n-1] == 0 {
		n--
	}
	if n < len(plain) {
		h.padded = true
	}
	if n > 0 {
		c.content(h, t, plain[n-1], plain[:n-1])
	}
}

// failed is called where no key opens a record, and nothing is missing before it.
func (c *Conn) failed(h *half, t time.Time, record []byte) verdict {
	h.failed++
	early := h.dir == wire.Client && c.version() == version13 && h.stage == stageHandshake && !h.opened
	if why, hole := c.whySkipped(); early && why != "" {
		c.skipped(h, t, why, int64(len(record)))
		h.counted.hole = hole
		return done
	}
	switch {
	case h.key == nil && h.failed <= maxHandshake:
		return done // the handshake, for which the log has no secret
	case !h.opened || h.failed > maxFailed:
		c.giveUp(h, c.misfit(h))
		return again
	}
	h.seq++
	c.report(h, t, c.plainOf(h, int64(len(record)), 1), "a record fails its authentication")
	return done
}

// whySkipped says why a record of the client that its handshake key does not open is 0-RTT data
// that is passed over, and whether the server has taken it for all that is known; "" is neither.
func (c *Conn) whySkipped() (why string, hole bool) {
	switch {
	case c.hello.early == earlyRejected:
		return Rejected, false
	case c.hello.early == earlyOffered:
		return whyUnknown, true
	case c.hello.early == earlyAccepted && c.secrets.find(labelEarly, 0) == nil:
		return c.missing(labelEarly), true
	}
	return "", false
}
