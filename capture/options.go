package capture

import "time"

// Defaults of Options.
const (
	// DefaultMinStall is that of MinStall. A reader that is not scheduled at once, or collects
	// garbage, keeps a sender waiting for less.
	DefaultMinStall = 20 * time.Millisecond

	// DefaultMaxReadConnections is that of MaxConnections; a [Live] has a bound of its own.
	DefaultMaxReadConnections = 1024

	// DefaultMaxFieldOctets is that of MaxFieldOctets.
	DefaultMaxFieldOctets = 1 << 20
)

// Options say what is shown.
type Options struct {
	// KeyLog has the secrets of TLS connections, in the format of SSLKEYLOGFILE. Those in the
	// capture itself (Decryption Secrets Blocks) are used, too.
	KeyLog []byte

	// MoreKeys, if it is set, is called before each segment of TCP and at the end, and returns lines
	// that a key log has got since, or nil. It is for captures that are read while they are taken.
	MoreKeys func() []byte

	// ShowSecrets shows what is hidden by default: the values of fields such as authorization and
	// cookie, and tokens in paths.
	ShowSecrets bool

	// Bodies has Body events delivered.
	Bodies bool

	// MinStall is the shortest Stall that is shown; default [DefaultMinStall], 20 ms. Shorter ones
	// count in Wait.
	MinStall time.Duration

	// Start, if it is set, is called with the time of the first segment of TCP, before any event. A
	// Connection may come later than that of one that began behind it.
	Start func(time.Time)

	// MaxConnections bounds the connections of a capture that are followed at the same time; default
	// [DefaultMaxReadConnections], 1024. Each needs some 15 KiB. Beyond it the one that was idle for
	// longest has an End that says that it is open, and what follows of it is another one.
	MaxConnections int

	// MaxFieldOctets bounds the octets of a header section that are kept; default
	// [DefaultMaxFieldOctets], 1 MiB.
	MaxFieldOctets int
}
