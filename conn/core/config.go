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

// Config holds the settings of a Conn. A value without which a connection cannot work has a
// default, which the comment of its field names; package conn has defaults for the others. A value
// that is out of range is brought into it.
type Config struct {
	Role Role

	// What is sent to the peer in SETTINGS (RFC 9113 §6.5.2).
	MaxConcurrentStreams  uint32 // streams that the peer may have open; 0: 100
	DecoderTableSize      uint32 // SETTINGS_HEADER_TABLE_SIZE; 0: HPACK without a dynamic table
	MaxReadFrameSize      uint32 // SETTINGS_MAX_FRAME_SIZE, 16384 to 2^24-1; 0: 16384
	StreamWindow          uint32 // SETTINGS_INITIAL_WINDOW_SIZE, at most 2^31-1; 0: 65535
	MaxHeaderBytes        uint32 // SETTINGS_MAX_HEADER_LIST_SIZE; 0: 64 KiB
	EnableConnectProtocol bool   // server: extended CONNECT is accepted (RFC 8441 §3)
	EnablePush            bool   // client: the server may push
	TreePriorities        bool   // client: priorities of RFC 7540 §5.3 are sent; else SETTINGS say that they are not

	PrefaceDone      bool   // server: the client preface is not among the octets that Conn is given
	WindowGrowth     uint32 // octets by which all windows of streams together, and that of the connection, may grow
	MaxHeaderFields  int    // field lines of a header block, cookie crumbs included; 0 or less: 200
	EncoderTableSize uint32 // the largest HPACK table of our encoder; the peer may ask for a smaller one
	ConnWindow       uint32 // the connection's receive window, 65535 to 2^31-1
	MaxUnread        int64  // octets of unread DATA above which streams get small windows; 0 or less: ConnWindow

	Timeouts
	Keepalive

	// NewStream returns the memory for a Stream. Nil means new(Stream).
	NewStream func() *Stream

	Scheduler priority.Scheduler // nil: round robin
	Limits    Limits

	Padding       PaddingFunc       // nil: nothing is padded
	SettingsOrder []frame.SettingID // settings to be sent first, in this order, even with the initial value
	Grease        uint64            // random octets for a setting and frames without a meaning; 0: none are sent
}

// Timeouts bound how long a connection waits. A negative value is no limit, and so is 0 where the
// field does not say more.
type Timeouts struct {
	FirstByteTimeout time.Duration // server: from the start to the client's first octet; 0: PrefaceTimeout includes it
	PrefaceTimeout   time.Duration // from the start, or the end of FirstByteTimeout, to the peer's first SETTINGS
	SettingsTimeout  time.Duration // from our SETTINGS to their acknowledgement
	HeaderTimeout    time.Duration // from the first octet of a header block to its last
	FrameTimeout     time.Duration // from the first octet of another frame to its last; 0: HeaderTimeout
	StallTimeout     time.Duration // while data waits for the peer's windows, and less than 64 octets a second pass
	IdleTimeout      time.Duration // while no stream is open
	DrainGrace       time.Duration // from the start of a drain until streams that still run are cut off
}

// Keepalive says when PING asks whether the peer is still there (RFC 9113 §6.7).
type Keepalive struct {
	PingInterval time.Duration // without a frame from the peer, until a keepalive PING is sent; 0: none is sent
	PingTimeout  time.Duration // from a keepalive PING until a frame arrives, or the connection ends; 0: no limit
	PingBudget   int           // keepalive PINGs without HEADERS or DATA of the peer between them; 0: no limit
	PingRenewal  time.Duration // from the last PING until PingBudget is full again, if a stream is open; 0: never
}

// normalize fills in defaults, and brings values into their range.
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

// maxTimeout bounds durations, so that a time and a duration can be added.
const maxTimeout = 100 * 365 * 24 * time.Hour
