package tlsrecord

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// changeCipherSpec takes the record that says that those behind it use the keys agreed on
// (RFC 5246 §7.1). In TLS 1.3 it means nothing (RFC 8446 §D.4).
func (c *Conn) changeCipherSpec(h *half) verdict {
	if c.version() == version13 || h.key != nil && h.hello == c.hello.count[wire.Server] {
		return done
	}
	if c.hello.count[h.dir] == 0 {
		h.broken = true
	}
	if h.dir == wire.Server {
		c.nameResumed(true)
	}
	v, why := c.decide()
	switch {
	case v == wait:
		return wait
	case v == again:
		c.giveUp(h, why)
		return done
	case c.version() == version13:
		return done
	}
	c.use(h, c.key12(h))
	h.hello = c.hello.count[wire.Server]
	return done
}

// key12 returns the key of a direction in TLS 1.2, which decide has found secrets for.
func (c *Conn) key12(h *half) *key {
	keys := keys12(c.suites[0], c.secrets.find(labelMaster, 0),
		c.hello.client.random, c.hello.server.random, c.hello.server.encryptThenMAC)
	return keys[h.dir]
}

// open12 takes an encrypted record of TLS 1.2.
func (c *Conn) open12(h *half, t time.Time, record []byte) verdict {
	if record[0] == recChangeCipherSpec { // of a renegotiation
		return c.changeCipherSpec(h)
	}
	out := buffers.Get().(*[maxRecord]byte)
	defer buffers.Put(out)
	plain, err := h.key.open(out[:0], h.seq, record)
	if err != nil {
		return c.failed(h, t, record)
	}
	h.took(h.seq)
	c.content(h, t, record[0], plain)
	return done
}

// content takes what a record has carried.
func (c *Conn) content(h *half, t time.Time, typ byte, plain []byte) {
	switch typ {
	case recData:
		c.data(h, t, plain)
	case recHandshake:
		c.handshake(h, t, plain)
	case recAlert:
		c.alert(h, t, plain)
	}
}
