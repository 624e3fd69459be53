package core

import (
	"cmp"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// Role is the side of the connection that a Conn plays.
type Role uint8

// The two roles (RFC 9113 §2).
const (
	Server Role = iota
	Client
)

func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "server"
}

// Config holds the settings of a Conn. What a connection cannot work without has a default, which a
// field's comment names, and what is out of range is brought into it; package conn has defaults for
// the rest. A duration of 0 or less means no limit.
type Config struct {
	Role Role

	// What we tell the peer in SETTINGS (RFC 9113 §6.5.2).
	MaxConcurrentStreams  uint32 // 0: 100
	DecoderTableSize      uint32 // 0: HPACK without a dynamic table
	MaxReadFrameSize      uint32 // 16384 to 2^24-1; 0: 16384
	StreamWindow          uint32 // SETTINGS_INITIAL_WINDOW_SIZE, at most 2^31-1; 0: 65535
	MaxHeaderBytes        uint32 // 0: 64 KiB
	EnableConnectProtocol bool   // server: RFC 8441 §3
	EnablePush            bool   // client
	TreePriorities        bool   // client: the signals of RFC 7540 §5.3 are sent, or the server is told that they are not
	PrefaceDone           bool   // server: the client preface has been read by somebody else
	WindowGrowth          uint32 // what the windows of streams together, and that of the connection, may grow by

	MaxHeaderFields  int    // field lines of a header block, cookie crumbs included; 0 or less: 200
	EncoderTableSize uint32 // cap on the HPACK table that we encode with
	ConnWindow       uint32 // the connection's receive window, 65535 to 2^31-1
	MaxUnread        int64  // octets of unread DATA beyond which streams have small windows; 0 or less: ConnWindow

	FirstByteTimeout time.Duration // server: until the client's first octet; 0: PrefaceTimeout includes it; negative: none
	PrefaceTimeout   time.Duration // until the peer's first SETTINGS, from the start or from what ended FirstByteTimeout
	SettingsTimeout  time.Duration // until our SETTINGS are acknowledged
	HeaderTimeout    time.Duration // from the first octet of a header block to its last
	FrameTimeout     time.Duration // from the first octet of another frame to its last; 0: HeaderTimeout
	StallTimeout     time.Duration // data waits for the peer's window
	IdleTimeout      time.Duration // no stream is open
	PingInterval     time.Duration // nothing received: ask with PING
	PingTimeout      time.Duration // until that PING is answered
	PingBudget       int           // such PINGs without HEADERS or DATA of the peer between them; 0: no limit
	PingRenewal      time.Duration // so long after the last PING the budget is full again if a stream is open; 0: never
	DrainGrace       time.Duration // from the start of a drain to its forced end

	// NewStream gives the memory for a Stream. Nil means new(Stream).
	NewStream func() *Stream

	Scheduler priority.Scheduler // nil: round robin
	Limits    Limits

	Padding       PaddingFunc       // nil: nothing is padded
	SettingsOrder []frame.SettingID // these first, in this order, and whether or not their value is the initial one
	Grease        uint64            // random octets for a setting and frames of no meaning; 0: none are sent
}

// normalize fills in what a connection cannot work without, and brings into range what is not.
func (cfg *Config) normalize() {
	cfg.MaxConcurrentStreams = min(cmp.Or(cfg.MaxConcurrentStreams, 100), frame.MaxStreamID)
	cfg.MaxReadFrameSize = min(max(cfg.MaxReadFrameSize, frame.MinMaxFrameSize), frame.MaxMaxFrameSize)
	cfg.StreamWindow = min(cmp.Or(cfg.StreamWindow, frame.DefaultWindow), frame.MaxWindow)
	cfg.ConnWindow = min(max(cfg.ConnWindow, frame.DefaultWindow), frame.MaxWindow)
	cfg.WindowGrowth = min(cfg.WindowGrowth, frame.MaxWindow-max(cfg.ConnWindow, cfg.StreamWindow))
	cfg.MaxHeaderBytes = cmp.Or(cfg.MaxHeaderBytes, 64<<10)
	if cfg.MaxHeaderFields <= 0 {
		cfg.MaxHeaderFields = 200
	}
	if cfg.MaxUnread <= 0 {
		cfg.MaxUnread = int64(cfg.ConnWindow)
	}
	cfg.FirstByteTimeout = min(cfg.FirstByteTimeout, maxTimeout)
	if cfg.FrameTimeout == 0 {
		cfg.FrameTimeout = cfg.HeaderTimeout
	}
	for _, d := range []*time.Duration{
		&cfg.PrefaceTimeout, &cfg.SettingsTimeout, &cfg.HeaderTimeout, &cfg.FrameTimeout, &cfg.StallTimeout, &cfg.IdleTimeout,
		&cfg.PingInterval, &cfg.PingTimeout, &cfg.PingRenewal, &cfg.DrainGrace,
	} {
		*d = min(max(*d, 0), maxTimeout)
	}
	if cfg.NewStream == nil {
		cfg.NewStream = func() *Stream { return new(Stream) }
	}
	if cfg.Scheduler == nil {
		cfg.Scheduler = priority.NewRoundRobin()
	}
}

// maxTimeout is as good as none, and leaves room for sums.
const maxTimeout = 100 * 365 * 24 * time.Hour
