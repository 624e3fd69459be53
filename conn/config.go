package conn

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// Config holds the settings of one connection. The zero value is ready to use: zero means the
// default that a field's comment names, and what is out of range is brought into it. A Config is
// copied when a connection starts; the caller's value is never changed.
//
// Fields that net/http's HTTP2Config has keep its names and meanings.
type Config struct {
	// MaxConcurrentStreams is how many streams the peer may have open at once
	// (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113 §5.1.2), and how many a server has promised or
	// pushed at once, which the client's limit may make fewer. Default
	// [DefaultMaxConcurrentStreams], 250.
	MaxConcurrentStreams int

	// MaxDecoderHeaderTableSize bounds the HPACK table for what the peer sends
	// (SETTINGS_HEADER_TABLE_SIZE), in octets. Default [DefaultHeaderTableSize], 4096.
	MaxDecoderHeaderTableSize int

	// MaxEncoderHeaderTableSize bounds the HPACK table for what is sent, whatever the peer allows,
	// in octets. Default [DefaultHeaderTableSize], 4096.
	MaxEncoderHeaderTableSize int

	// MaxReadFrameSize is the largest frame payload that the peer may send
	// (SETTINGS_MAX_FRAME_SIZE), in octets, 16384 to 16777215. Default [DefaultMaxReadFrameSize],
	// 16384.
	MaxReadFrameSize int

	// MaxReceiveBufferPerConnection is the connection's receive window, in octets, 65535 to 2^31-1.
	// Default [DefaultMaxReceiveBufferPerConnection], 1 MiB, which MaxReceiveBufferGrowth makes
	// larger where the path is long.
	MaxReceiveBufferPerConnection int

	// MaxReceiveBufferPerStream is a stream's receive window (SETTINGS_INITIAL_WINDOW_SIZE), in
	// octets, at most 2^31-1: as much as the peer may send ahead of the reader. Default
	// [DefaultMaxReceiveBufferPerStream], 512 KiB, which MaxReceiveBufferGrowth makes larger where
	// the path is long.
	MaxReceiveBufferPerStream int

	// MaxUnreadPerConnection is how many octets of DATA that are not read yet the connection holds
	// before it tells the peer to have smaller windows for its streams
	// (SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113 §6.9.2): a 256th of it for each, 16 to 64 KiB, until
	// three quarters are free again. Up to there a stream that is not read costs the other streams
	// nothing, and beyond it those that are read go on. Default
	// [DefaultMaxUnreadPerConnection], 8 MiB.
	MaxUnreadPerConnection int

	// MaxReceiveBufferGrowth is how many octets the receive windows of streams may grow by, all
	// streams of the connection together, and the window of the connection by as many. They grow
	// where a reader takes what comes and the window is smaller than what the path carries in a
	// round trip, which is measured by the acknowledgement of SETTINGS, and by a PING every ten
	// seconds while DATA arrives. Default [DefaultMaxReceiveBufferGrowth], 16 MiB, enough for
	// 1 Gbit/s over 100 ms, but none where MaxReceiveBufferPerStream or
	// MaxReceiveBufferPerConnection is set; negative: none.
	MaxReceiveBufferGrowth int

	// SendPingTimeout is how long nothing may arrive before a PING asks whether the peer is still
	// there. Default 0: no PING is sent.
	SendPingTimeout time.Duration

	// PingTimeout is how long the answer to such a PING may take, after which the connection is
	// lost. Default [DefaultPingTimeout], 15 s.
	PingTimeout time.Duration

	// PingBudget is how many such PINGs are sent without HEADERS or DATA of the peer between them,
	// which servers count and punish, grpc-go for example: so many while no stream is open, and so
	// many while some are. Default 0: no limit.
	PingBudget int

	// PingRenewal is how long after the last PING the budget is full again while a stream is open,
	// though no HEADERS or DATA have come. Without it a peer that has vanished after its last
	// answer is never found out. Default 0: time does not renew it.
	PingRenewal time.Duration

	// WriteByteTimeout ends the connection when a write makes no progress for this long, or up to
	// two and a half times as long, since progress is looked at when time is up. Where the
	// net.Conn is no TCP or Unix socket and its deadlines do not work, progress is not seen within
	// what one Write takes: there it is three times as long, in which the peer must have taken
	// 34 octets a second, and at least 512. Default [DefaultWriteByteTimeout], 5 minutes;
	// negative: no limit. A server's connection that ends in good order waits as long for the peer
	// to receive the rest of what was written, 30 s without progress where it is not set.
	WriteByteTimeout time.Duration

	// CountError, if set, is called for every protocol error that is found with "conn_" or
	// "stream_", by the error's scope, and the name of its code: "stream_PROTOCOL_ERROR".
	CountError func(errType string)

	// MaxHeaderBytes bounds a decoded header block, counted as RFC 9113 §6.5.2 says (32 octets for
	// each field on top of name and value). Default [DefaultMaxHeaderBytes], 1 MiB, as net/http.
	MaxHeaderBytes int

	// MaxHeaderFields bounds the number of field lines of a header block, every crumb of a cookie
	// counted. Default [DefaultMaxHeaderFields], 500. Cookies whose crumbs must be the same ones
	// over and over count as too many.
	MaxHeaderFields int

	// FirstByteTimeout is how long a client may take to send its first octet: load balancers open
	// connections ahead. Server only. Default 0: PrefaceTimeout includes it; negative: no limit.
	FirstByteTimeout time.Duration

	// PrefaceTimeout is how long the peer may take to send its preface and first SETTINGS, for a
	// client from its first octet on where FirstByteTimeout is set. Default
	// [DefaultPrefaceTimeout], 45 s; negative: no limit.
	PrefaceTimeout time.Duration

	// SettingsTimeout is how long the peer may take to acknowledge our SETTINGS (RFC 9113 §6.5.3).
	// Default [DefaultSettingsTimeout], 1 minute; negative: no limit.
	SettingsTimeout time.Duration

	// HeaderTimeout is how long the peer may take from the first octet of a header block (HEADERS
	// or PUSH_PROMISE with the CONTINUATION frames behind it) to its last. Default
	// [DefaultHeaderTimeout], 1 minute; negative: no limit.
	HeaderTimeout time.Duration

	// FrameTimeout is how long the peer may take from the first octet of any other frame to its
	// last, beside a second for each KiB of its length. HeaderTimeout takes its place where
	// only that is set. Default [DefaultFrameTimeout], 5 minutes; negative: no limit.
	FrameTimeout time.Duration

	// IdleTimeout ends a connection that had no open stream for this long, with GOAWAY. Default 0:
	// never.
	IdleTimeout time.Duration

	// StallTimeout resets a stream whose data waits for the peer's flow-control window, when it was
	// let send less than 64 octets for each second of this time. Default [DefaultStallTimeout], 1
	// hour, on a server, whose memory such streams hold, and none on a client, where the caller may
	// cancel; negative: no limit.
	StallTimeout time.Duration

	// TunnelCloseTimeout is how long a client waits, after the Close of a Tunnel, for the server to
	// end its direction, before it resets the stream. Default [DefaultTunnelCloseTimeout],
	// 1 minute; negative: no limit.
	TunnelCloseTimeout time.Duration

	// MaxConnectionAge is how long a connection lives before it is drained with GOAWAY (RFC 9113
	// §6.8). A random tenth is added or taken so that connections opened together do not end
	// together. Default 0: no limit.
	MaxConnectionAge time.Duration

	// MaxConnectionAgeGrace is how long the streams that run when a drain begins may take before
	// the connection is closed. It holds for drains by age and by Shutdown. Default 0: no limit.
	MaxConnectionAgeGrace time.Duration

	// EnableConnectProtocol tells clients that extended CONNECT works here (RFC 8441 §3). Default
	// false.
	EnableConnectProtocol bool

	// EnablePush lets the server push (SETTINGS_ENABLE_PUSH, RFC 9113 §8.4). Client only. Default
	// false.
	EnablePush bool

	// TreePriorities lets requests carry a place in the dependency tree of RFC 7540 §5.3
	// (priority.Params.Tree). Otherwise the server is told that no such signals come
	// (SETTINGS_NO_RFC7540_PRIORITIES, RFC 9218 §2.1), and none are sent. Client only. Default
	// false.
	TreePriorities bool

	// Limits bounds what the peer can make the connection do. Zero fields mean defaults.
	Limits Limits

	// Scheduler makes the scheduler that decides which stream sends next. Default: priority.NewAuto
	// on a server, which goes by what the client asks for, and round robin on a client. A server
	// whose scheduler has a method IgnoresTree() bool that returns true tells clients to send no
	// priorities of RFC 7540 (SETTINGS_NO_RFC7540_PRIORITIES, RFC 9218 §2.1), which has those that
	// know RFC 9218 use that. It is called while the connection's lock is held, so it must be quick
	// and must not call the connection. One that breaks the contract of priority.Scheduler ends the
	// connection with INTERNAL_ERROR and an error that wraps priority.ErrContract; priority.Check
	// finds that in tests.
	Scheduler func() Scheduler

	// Tracer, if set, sees every frame in and out.
	Tracer Tracer

	// FramePolicy, if set, judges every frame that the peer sends.
	FramePolicy FramePolicy

	// Padding, if set, chooses the padding of frames that are sent; see PadTo and PadRandom. It is
	// called while the connection's lock is held, so it must be quick and must not call the
	// connection. Default nil: none.
	Padding PaddingFunc

	// SettingsOrder has these settings come first in our SETTINGS frame, in this order, the rest
	// behind them. Those that are otherwise left out because they have their initial values (RFC
	// 9113 §6.5.2) are sent where they are named. Settings that this side does not send are
	// ignored.
	SettingsOrder []SettingID

	// Grease sends a setting and frames of identifiers that mean nothing, which the peer must
	// ignore (RFC 9113 §5.5), so that it shows early where it does not. Default false.
	Grease bool

	// Origins are sent in an ORIGIN frame behind our SETTINGS: see Server.SendOrigin. Server only.
	// Default: none.
	Origins []string

	// OnOrigin, if set, gets the origins of each ORIGIN frame (RFC 8336), up to 256 of them, and
	// OnAltSvc what each ALTSVC frame says (RFC 7838 §4). Whether to believe the server is their
	// matter. They are called by the goroutine that reads, outside any lock, and must not block.
	// Client only.
	OnOrigin func(c *Client, origins []string)
	OnAltSvc func(c *Client, a AltSvc)

	// Received are octets of the peer that were read from the socket before the connection was
	// made, to be handled as if they came from its first read.
	Received []byte

	// Upgrade, if set, begins a server connection that came from an HTTP/1.1 request with "Upgrade:
	// h2c" (RFC 7540 §3.2).
	Upgrade *Upgrade
}

// runtimeOptions is what a Conn needs of its Config after the beginning: a connection that does
// nothing should hold little.
type runtimeOptions struct {
	SendPingTimeout, IdleTimeout time.Duration
	writeTimeout                 time.Duration // WriteByteTimeout, or its default; 0: none
	lingerTimeout                time.Duration // how long a lingering connection may make no progress

	CountError  func(errType string)
	Tracer      Tracer
	FramePolicy FramePolicy
}

func (c *Config) runtimeOptions() runtimeOptions {
	linger := c.WriteByteTimeout
	if linger <= 0 {
		linger = defaultLingerTimeout
	}
	return runtimeOptions{
		SendPingTimeout: c.SendPingTimeout, IdleTimeout: c.IdleTimeout,
		writeTimeout:  min(timeoutOr(c.WriteByteTimeout, DefaultWriteByteTimeout), maxTimeout),
		lingerTimeout: min(linger, maxTimeout),
		CountError:    c.CountError, Tracer: c.Tracer, FramePolicy: c.FramePolicy,
	}
}

// Upgrade is the HTTP/1.1 request that became stream 1 of an HTTP/2 connection (RFC 7540 §3.2).
type Upgrade struct {
	Settings []byte         // the decoded HTTP2-Settings field: a SETTINGS payload
	Request  header.Message // the request; it has no body
}

// Defaults of the fields of Config.
const (
	DefaultMaxConcurrentStreams          = 250                     // as net/http
	DefaultHeaderTableSize               = header.DefaultTableSize // of both tables
	DefaultMaxReadFrameSize              = frame.MinMaxFrameSize
	DefaultMaxReceiveBufferPerConnection = 1 << 20
	DefaultMaxReceiveBufferPerStream     = 512 << 10
	DefaultMaxUnreadPerConnection        = 8 << 20
	DefaultMaxReceiveBufferGrowth        = 16 << 20
	DefaultMaxHeaderBytes                = 1 << 20 // as net/http
	DefaultMaxHeaderFields               = 500     // as net/http from Go 1.27 on
	DefaultPingTimeout                   = 15 * time.Second
	DefaultWriteByteTimeout              = 5 * time.Minute
	DefaultPrefaceTimeout                = 45 * time.Second
	DefaultSettingsTimeout               = time.Minute
	DefaultHeaderTimeout                 = time.Minute
	DefaultFrameTimeout                  = 5 * time.Minute
	DefaultStallTimeout                  = time.Hour // of a server
	DefaultTunnelCloseTimeout            = time.Minute
)

// defaultLingerTimeout is how long a server waits without progress for the peer to receive what was
// written, where WriteByteTimeout is not set.
const defaultLingerTimeout = 30 * time.Second

// maxTimeout stands for no limit where times are added up.
const maxTimeout = 10 * 365 * 24 * time.Hour

// clampOr returns v brought into lo..hi, or def where v is not positive.
func clampOr(v, def, lo, hi int) uint32 {
	if v <= 0 {
		v = def
	}
	return uint32(min(max(v, lo), hi))
}

// timeoutOr returns d, def for 0, and 0 (none) for a negative d.
func timeoutOr(d, def time.Duration) time.Duration { return max(cmp.Or(d, def), 0) }

// maxDuration stands for no limit. A longer time could not be added to a time.Time any more, or
// multiplied.
const maxDuration = 30 * 365 * 24 * time.Hour

// clampTimes has no time be longer than maxDuration.
func (c *Config) clampTimes() {
	for _, d := range []*time.Duration{
		&c.SendPingTimeout, &c.PingTimeout, &c.WriteByteTimeout, &c.PrefaceTimeout, &c.SettingsTimeout,
		&c.HeaderTimeout, &c.IdleTimeout, &c.StallTimeout, &c.MaxConnectionAge, &c.MaxConnectionAgeGrace,
	} {
		*d = min(*d, maxDuration)
	}
}

// growth returns what windows may grow by. Where a window's size is set they do not grow, unless
// MaxReceiveBufferGrowth is set, too.
func (c *Config) growth() uint32 {
	n := c.MaxReceiveBufferGrowth
	if n == 0 && c.MaxReceiveBufferPerStream <= 0 && c.MaxReceiveBufferPerConnection <= 0 {
		n = DefaultMaxReceiveBufferGrowth
	}
	return uint32(min(max(n, 0), frame.MaxWindow))
}

// core translates c into the settings of the machine below.
func (c *Config) core(role core.Role) core.Config {
	cc := core.Config{
		Role:                 role,
		MaxConcurrentStreams: clampOr(c.MaxConcurrentStreams, DefaultMaxConcurrentStreams, 1, frame.MaxStreamID),
		DecoderTableSize:     clampOr(c.MaxDecoderHeaderTableSize, DefaultHeaderTableSize, 1, 1<<30),
		EncoderTableSize:     clampOr(c.MaxEncoderHeaderTableSize, DefaultHeaderTableSize, 1, 1<<30),
		MaxReadFrameSize: clampOr(c.MaxReadFrameSize, DefaultMaxReadFrameSize, frame.MinMaxFrameSize,
			frame.MaxMaxFrameSize),
		ConnWindow: clampOr(c.MaxReceiveBufferPerConnection, DefaultMaxReceiveBufferPerConnection, frame.DefaultWindow,
			frame.MaxWindow),
		StreamWindow:          clampOr(c.MaxReceiveBufferPerStream, DefaultMaxReceiveBufferPerStream, 1, frame.MaxWindow),
		MaxUnread:             int64(clampOr(c.MaxUnreadPerConnection, DefaultMaxUnreadPerConnection, 1, 1<<31-1)),
		WindowGrowth:          c.growth(),
		MaxHeaderBytes:        clampOr(c.MaxHeaderBytes, DefaultMaxHeaderBytes, 1, 1<<31-1),
		MaxHeaderFields:       int(clampOr(c.MaxHeaderFields, DefaultMaxHeaderFields, 1, 1<<31-1)),
		EnableConnectProtocol: c.EnableConnectProtocol,
		EnablePush:            c.EnablePush,
		TreePriorities:        c.TreePriorities,
		Timeouts: core.Timeouts{
			PrefaceTimeout:  timeoutOr(c.PrefaceTimeout, DefaultPrefaceTimeout),
			SettingsTimeout: timeoutOr(c.SettingsTimeout, DefaultSettingsTimeout),
			HeaderTimeout:   timeoutOr(c.HeaderTimeout, DefaultHeaderTimeout),
			FrameTimeout:    timeoutOr(cmp.Or(c.FrameTimeout, c.HeaderTimeout), DefaultFrameTimeout),
			StallTimeout:    max(c.StallTimeout, 0),
			IdleTimeout:     max(c.IdleTimeout, 0),
			DrainGrace:      max(c.MaxConnectionAgeGrace, 0),
		},
		Keepalive: core.Keepalive{
			PingInterval: max(c.SendPingTimeout, 0),
			PingTimeout:  timeoutOr(c.PingTimeout, DefaultPingTimeout),
			PingBudget:   max(c.PingBudget, 0),
			PingRenewal:  max(c.PingRenewal, 0),
		},
		Limits:        c.Limits,
		Padding:       c.Padding,
		SettingsOrder: c.SettingsOrder,
	}
	if role == core.Server {
		cc.StallTimeout = timeoutOr(c.StallTimeout, DefaultStallTimeout)
		cc.FirstByteTimeout = c.FirstByteTimeout
	}
	if cc.FrameTimeout == 0 {
		cc.FrameTimeout = -1 // 0 is HeaderTimeout there
	}
	if c.Grease {
		cc.Grease = rand.Uint64() | 1
	}
	switch {
	case c.Scheduler != nil:
		cc.Scheduler = c.Scheduler()
	case role == core.Server:
		cc.Scheduler = priority.NewAuto()
	}
	return cc
}
