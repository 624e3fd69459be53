package tlsrecord

import (
	"bytes"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// handshake takes the content of a record of the handshake.
func (c *Conn) handshake(h *half, t time.Time, p []byte) {
	h.messages.feed(p, func(typ byte, body []byte) { c.message(h, t, typ, body) })
}

// message takes a message of the handshake. The body is there for those types that are kept.
func (c *Conn) message(h *half, t time.Time, typ byte, body []byte) {
	if h.dir == wire.Server && typ != msgHelloRequest {
		c.nameResumed(typ == msgNewSessionTicket)
	}
	if c.times != nil && typ == msgFinished && c.announced {
		c.times.Finished(h.dir, t)
	}
	switch {
	case typ == msgClientHello && h.dir == wire.Client && c.helloMayCome():
		c.clientHello(h, body)
	case typ == msgServerHello && h.dir == wire.Server && c.helloMayCome():
		c.serverHello(h, body)
	case typ == msgNewSessionTicket && c.version() == version12:
		c.hello.ticket = parseTicket(body)
		c.remember()
	case c.version() == version13 && h.stage != stageClear:
		c.message13(h, t, typ, body)
	}
}

// helloMayCome reports whether a hello is in its place. In TLS 1.2 that is anywhere.
func (c *Conn) helloMayCome() bool {
	return c.version() != version13 || c.clear()
}

// clear reports whether neither direction is encrypted yet.
func (c *Conn) clear() bool {
	return c.halves[wire.Client].stage == stageClear && c.halves[wire.Server].stage == stageClear
}

func (c *Conn) clientHello(h *half, body []byte) {
	hello, ok := parseClientHello(body)
	if !ok {
		h.broken, c.changed = true, true
		return
	}
	first := c.hello.count[wire.Client] == 0
	c.hello.count[wire.Client]++
	c.hello.client, c.hello.done[wire.Client] = hello, true
	c.secrets, c.suites, c.guessed, c.changed = nil, nil, false, true
	if !first { // after HelloRetryRequest, or a renegotiation of TLS 1.2
		return
	}
	c.info.Offered, c.info.ServerName = hello.alpn, hello.serverName
	c.info.ClientRandom = bytes.Clone(hello.random[:])
	if hello.earlyData {
		c.hello.early = earlyOffered
	}
	if c.hello.named { // the server was ahead
		c.announce()
	}
}

func (c *Conn) serverHello(h *half, body []byte) {
	hello, ok := parseServerHello(body)
	other := !c.clear() && hello.version != c.version()
	if !ok || other {
		h.broken, c.changed = true, true
		return
	}
	c.hello.count[wire.Server]++
	c.info.Version = hello.version
	c.secrets, c.suites, c.guessed, c.changed = nil, nil, false, true
	if hello.retry() {
		c.info.HelloRetry = true
		c.hello.server, c.hello.done[wire.Server] = serverHello{}, false // the one that counts comes behind
		c.settleEarly(false)
		return
	}
	c.hello.server, c.hello.done[wire.Server] = hello, true
	c.info.CipherSuite = hello.suite
	if c.announced { // a renegotiation
		return
	}
	c.info.ALPN = hello.alpn
	c.info.Resumed = hello.preSharedKey
	if hello.version != version13 {
		c.hello.early = earlyNone
		id := c.hello.client.sessionID
		c.info.Resumed = len(id) > 0 && bytes.Equal(id, hello.sessionID)
	}
}

// nameResumed is called with what follows the ServerHello of TLS 1.2: behind it, a handshake that
// is abbreviated has NewSessionTicket or ChangeCipherSpec (RFC 5077 §3.1).
func (c *Conn) nameResumed(resumed bool) {
	if c.hello.named || !c.hello.done[wire.Server] || c.version() == version13 {
		return
	}
	c.hello.named = true
	c.info.Resumed = resumed
	if c.hello.done[wire.Client] {
		c.announce()
	}
}

// message13 takes a message of TLS 1.3 that was encrypted.
func (c *Conn) message13(h *half, t time.Time, typ byte, body []byte) {
	switch {
	case typ == msgEncryptedExtensions && h.dir == wire.Server && h.stage == stageHandshake:
		e := parseEncryptedExtensions(body)
		c.info.ALPN, c.info.EarlyData = e.alpn, e.earlyData
		c.settleEarly(e.earlyData)
		c.announce()
	case typ == msgEndOfEarlyData && h.stage == stageEarly:
		c.enter(h, stageHandshake)
	case typ == msgFinished && h.stage == stageHandshake:
		c.enter(h, stageData)
	case typ == msgNewSessionTicket:
		h.ticket = true
	case typ == msgKeyUpdate && h.stage == stageData && len(body) == 1:
		c.update(h)
	}
}

// settleEarly is called once it is known what the server does with 0-RTT data.
func (c *Conn) settleEarly(accepted bool) {
	if c.hello.early != earlyOffered {
		return
	}
	c.changed = true
	c.hello.early = earlyRejected
	if accepted {
		c.hello.early = earlyAccepted
	}
}
