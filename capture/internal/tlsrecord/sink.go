package tlsrecord

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// Info is what a handshake has shown. What is not known is zero.
type Info struct {
	Version      uint16 // such as tls.VersionTLS13
	CipherSuite  uint16
	ALPN         string   // the protocol chosen
	Offered      []string // the client's list of ALPN, without GREASE
	ServerName   string   // with ECH, the name that is in the clear
	ClientRandom []byte   // 32 octets, or nil
	Resumed      bool     // by a session ID, a ticket or a PSK
	HelloRetry   bool     // there was a HelloRetryRequest
	EarlyData    bool     // the server has accepted 0-RTT data
}

// A Sink takes the plaintext of a connection. End is called with wire.Closed at the close_notify of
// a direction, and with what the Conn was told elsewhere.
type Sink interface {
	wire.Sink

	// Handshake is the first call, once for each Conn.
	Handshake(Info)

	// Undecrypted says that n octets of a direction, as they were on the wire, cannot be decrypted,
	// and why: a phrase without a period. It is called at once where a direction is given up, and
	// again with the rest of its octets, for the same reason, before End; where a direction goes on
	// behind such octets, once before it does, and Lost follows if they were data. The sum of all n is
	// what was not decrypted.
	Undecrypted(why string, d wire.Dir, t time.Time, n int64)
}

// Alerts is what a Sink implements to be told of the alerts that are not close_notify.
// tls.AlertError has their names.
type Alerts interface {
	Alert(d wire.Dir, t time.Time, fatal bool, description uint8)
}

// Times is what a Sink implements to be told when a handshake begins and ends.
type Times interface {
	// Begun has the time of the first octet of the client, where that was seen.
	Begun(t time.Time)

	// Finished has that of each Finished message that could be decrypted, behind Handshake.
	Finished(d wire.Dir, t time.Time)
}

// Options are those of a Conn.
type Options struct {
	// HoldBack is how many octets of a connection are held back at most, while the key log has no
	// secrets for it that could still come; 0 is none. DefaultHoldBack is a good value for live
	// captures.
	HoldBack int

	// StartMissing says that the octets begin in the midst of the connection.
	StartMissing bool
}

// DefaultHoldBack is a good value of Options.HoldBack.
const DefaultHoldBack = 1 << 20

// maxHeld is what may be held back of all connections with the same Keys.
const maxHeld = 16 << 20

// minHoldBack is what may be held back in any case while one direction waits for what the other
// one has said before it: in captures the two are not always in order.
const minHoldBack = 1 << 18

// undecrypted counts octets that cannot be decrypted.
type undecrypted struct {
	why  string
	n    int64 // octets that the Sink has not been told of
	t    time.Time
	hole bool // data is missing there, and the direction goes on
}

// undecrypted counts n octets of a direction that is given up. The Sink is told of the first ones.
func (c *Conn) undecrypted(h *half, t time.Time, why string, n int64) {
	begins := h.counted.why != why
	c.skipped(h, t, why, n)
	if begins {
		c.announce()
		c.to.Undecrypted(why, h.dir, t, h.counted.n)
		h.counted.n = 0
	}
}

// skipped counts n octets of a direction that goes on behind them.
func (c *Conn) skipped(h *half, t time.Time, why string, n int64) {
	if h.counted.why != why {
		c.flush(h)
		h.counted.why = why
	}
	h.counted.n += n
	h.counted.t = t
}

// flush tells the Sink what was counted.
func (c *Conn) flush(h *half) {
	if h.counted.n > 0 {
		c.announce()
		c.to.Undecrypted(h.counted.why, h.dir, h.counted.t, h.counted.n)
	}
	if h.counted.hole {
		c.to.Lost(h.dir, h.counted.t, -1, h.counted.why)
	}
	h.counted = undecrypted{}
}

// giveUp gives a direction up: what is left of it is counted.
func (c *Conn) giveUp(h *half, why string) {
	h.failure = why
	h.searching = false
	h.skip = 0
	c.changed = true
}
