package tlsrecord

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// Bounds of the key logs in which every secret is tried, where the client random is not known.
const (
	maxGuess       = 64  // without a ServerHello
	maxGuessServer = 512 // with one, of the first record; many a client sends an ECH that means nothing
)

const whyNoHandshake = "the handshake is not in the capture"

// decide finds the secrets of the connection, and its cipher suite. It returns done where it has,
// wait where it may do so later, and again, with the reason, where it never will.
func (c *Conn) decide() (v verdict, why string) {
	if len(c.suites) > 0 {
		return done, ""
	}
	need := max(1, c.hello.count[wire.Client], c.hello.count[wire.Server])
	for d := range c.halves {
		if c.hello.count[d] < need && c.mayCome(wire.Dir(d)) {
			return wait, whyNoHandshake
		}
	}
	if c.hello.done[wire.Server] {
		if why := c.unsupported(); why != "" {
			return again, why
		}
	}
	if c.hello.done[wire.Client] {
		c.secrets = c.keys.get(c.hello.client.random)
	}
	if c.secrets == nil && c.version() == version12 && !c.hello.named && c.mayCome(wire.Server) {
		return wait, c.noKey() // until it is known if a session is resumed
	}
	if c.secrets == nil {
		c.secrets = c.resumedSecrets()
	}
	if c.secrets == nil {
		return c.decideGuess()
	}
	return c.decideSuite()
}

// decideSuite is decide once there are secrets.
func (c *Conn) decideSuite() (v verdict, why string) {
	missing := !c.hello.done[wire.Server] || c.hello.count[wire.Server] < c.hello.count[wire.Client]
	switch {
	case missing && (c.version() == version12 || !c.secrets.tls13()):
		return again, "the ServerHello is not in the capture"
	case !c.hello.done[wire.Server]:
		c.guessSuites()
	case c.version() == version13:
		c.suites = []*suite{findSuite(version13, c.hello.server.suite)}
	case c.secrets.find(labelMaster, 0) == nil:
		return c.waitKey(), c.missing(labelMaster)
	default:
		c.suites = []*suite{findSuite(version12, c.hello.server.suite)}
		c.remember()
	}
	return done, ""
}

// decideGuess is decide where there are no secrets for the client random, or none is known: the
// secrets of all connections may be tried.
func (c *Conn) decideGuess() (v verdict, why string) {
	why = whyNoHandshake
	if c.hello.done[wire.Client] {
		why = c.noKey()
	}
	most := maxGuess
	if c.hello.done[wire.Server] {
		most = maxGuessServer
	}
	n := c.keys.Connections()
	ask := !c.hello.done[wire.Client] || c.hello.client.encrypted // else the log would have the random
	if !ask || n == 0 || n > most || c.version() == version12 {
		if c.hello.done[wire.Client] {
			return c.waitKey(), why
		}
		return again, why
	}
	if c.hello.done[wire.Server] {
		c.suites = []*suite{findSuite(version13, c.hello.server.suite)}
	} else {
		c.guessSuites()
	}
	c.budget += c.keys.draw(guessBudget)
	return done, ""
}

// guessSuites has all suites of TLS 1.3 tried.
func (c *Conn) guessSuites() {
	c.guessed = true
	for i := range suites13 {
		c.suites = append(c.suites, &suites13[i])
	}
}

// hasKeys reports whether the secrets and the suite are known.
func (c *Conn) hasKeys() bool { return c.secrets != nil && len(c.suites) == 1 }

// mayCome reports whether a hello of a direction that has not been seen may still come.
func (c *Conn) mayCome(d wire.Dir) bool {
	h := &c.halves[d]
	return !c.forced && !h.broken && !h.last && h.failure == ""
}

// waitKey returns wait where secrets that are not in the log may still come, else again.
func (c *Conn) waitKey() verdict {
	if c.o.HoldBack > 0 && !c.forced {
		return wait
	}
	return again
}

// unsupported says why what the server has chosen is not decrypted, or nothing.
func (c *Conn) unsupported() string {
	s := &c.hello.server
	switch {
	case s.version>>8 == 0x7f:
		return fmt.Sprintf("draft %d of TLS 1.3 is not decrypted", s.version&0xff)
	case s.version != version12 && s.version != version13:
		return tls.VersionName(s.version) + " is not decrypted"
	case findSuite(s.version, s.suite) == nil:
		return "the cipher suite " + tls.CipherSuiteName(s.suite) + " is not decrypted"
	case s.compression != 0:
		return "compression of TLS 1.2 is not undone"
	}
	return ""
}

// noKey says that the key log does not know the connection.
func (c *Conn) noKey() string {
	return fmt.Sprintf("no key for client random %s (the log has %d others)",
		hex.EncodeToString(c.hello.client.random[:]), c.keys.Connections())
}

// missing says which secret of the connection the key log does not have.
func (c *Conn) missing(l label) string {
	return fmt.Sprintf("the key log has no %v for client random %s", l, c.randomText())
}

// misfit says that a secret of the key log is not that of the connection.
func (c *Conn) misfit(h *half) string {
	return fmt.Sprintf("the key log's %v for client random %s does not fit: records fail their authentication",
		labelOf(h.dir, h.stage, c.version()), c.randomText())
}

func (c *Conn) randomText() string {
	if c.secrets == nil {
		return "unknown"
	}
	return hex.EncodeToString(c.secrets.random[:])
}

// labelOf is the label of the secret that a stage needs.
func labelOf(d wire.Dir, s stage, version uint16) label {
	switch {
	case version == version12:
		return labelMaster
	case s == stageEarly:
		return labelEarly
	case s == stageHandshake && d == wire.Client:
		return labelClientHandshake
	case s == stageHandshake:
		return labelServerHandshake
	case d == wire.Client:
		return labelClientTraffic
	}
	return labelServerTraffic
}
