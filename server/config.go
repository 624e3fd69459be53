package server

import (
	"cmp"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// Config holds the settings of HTTP/2. The zero value is ready to use: zero means the default that
// a field's comment names, and what is out of range is brought into it. The caller's value is never
// changed.
//
// Fields that net/http's HTTP2Config has keep its names and meanings. Where a field is zero here,
// the value of the http.Server's HTTP2 field counts.
type Config struct {
	// MaxConcurrentStreams is how many streams a client may have open at once
	// (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113 §5.1.2), and how many handlers run at once for one
	// connection: a handler counts until it returns, whatever becomes of its stream. Default 250.
	MaxConcurrentStreams int

	// MaxDecoderHeaderTableSize bounds the HPACK table for what a client sends
	// (SETTINGS_HEADER_TABLE_SIZE), in octets. Default 4096.
	MaxDecoderHeaderTableSize int

	// MaxEncoderHeaderTableSize bounds the HPACK table for what we send, whatever the client
	// allows, in octets. Default 4096.
	MaxEncoderHeaderTableSize int

	// MaxReadFrameSize is the largest frame payload that a client may send
	// (SETTINGS_MAX_FRAME_SIZE), in octets, 16384 to 16777215. Default 16384.
	MaxReadFrameSize int

	// MaxReceiveBufferPerConnection is a connection's receive window, in octets, 65535 to 2^31-1.
	// Default 1 MiB, which MaxReceiveBufferGrowth makes larger where the path is long.
	MaxReceiveBufferPerConnection int

	// MaxReceiveBufferPerStream is a stream's receive window (SETTINGS_INITIAL_WINDOW_SIZE), in
	// octets, at most 2^31-1: as much as a client may send ahead of the handler that reads it.
	// Default 512 KiB, which MaxReceiveBufferGrowth makes larger where the path is long.
	MaxReceiveBufferPerStream int

	// MaxUnreadPerConnection is how many octets of request bodies that no handler has read yet the
	// connection holds before it tells the client to have smaller windows for its streams
	// (SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113 §6.9.2): a 256th of it for each, 16 to 64 KiB, until
	// three quarters are free again. Up to there a stream that is not read costs the other streams
	// nothing, and beyond it those that are read go on. Default 8 MiB.
	MaxUnreadPerConnection int

	// MaxReceiveBufferGrowth is how many octets the receive windows of streams may grow by, all
	// streams of a connection together, and the window of the connection by as many. They grow
	// where a handler takes what comes and the window is smaller than what the path carries in a
	// round trip. Default 16 MiB, enough for 1 Gbit/s over 100 ms, but none where
	// MaxReceiveBufferPerStream or MaxReceiveBufferPerConnection is set; negative: none.
	MaxReceiveBufferGrowth int

	// SendPingTimeout is how long nothing may arrive before a PING asks whether the client is still
	// there. Default 0: no PING is sent.
	SendPingTimeout time.Duration

	// PingTimeout is how long the answer to such a PING may take. Default 15 s.
	PingTimeout time.Duration

	// WriteByteTimeout ends a connection when a write makes no progress for this long. Default 5
	// minutes; negative: no limit.
	WriteByteTimeout time.Duration

	// PermitProhibitedCipherSuites permits TLS 1.2 cipher suites that RFC 9113 §9.2.2 prohibits.
	// Default false: such a connection is refused with INADEQUATE_SECURITY.
	PermitProhibitedCipherSuites bool

	// CountError, if set, is called for every protocol error that is found with "conn_" or
	// "stream_", by the error's scope, and the name of its code: "stream_PROTOCOL_ERROR". Several
	// goroutines call it.
	CountError func(errType string)

	// MaxHeaderFields bounds the number of field lines of a request, every crumb of a cookie
	// counted. A request over it is answered with 431. Default 500.
	MaxHeaderFields int

	// FirstByteTimeout is how long a new connection may stay silent, once TLS is there: load
	// balancers open connections ahead. Default: what the http.Server's ReadHeaderTimeout or
	// ReadTimeout, or PrefaceTimeout, says where one of them is set, its IdleTimeout where that is,
	// and otherwise 1 hour; negative: no limit.
	FirstByteTimeout time.Duration

	// PrefaceTimeout is how long a client may take for the TLS handshake, and from its first octet
	// on to send its preface and first SETTINGS, and on a port that serves HTTP/1.1 too to show
	// which of the two it speaks. Default 45 s; negative: no limit. The http.Server's
	// ReadHeaderTimeout, ReadTimeout and, for the handshake, WriteTimeout take its place where they
	// are shorter.
	PrefaceTimeout time.Duration

	// SettingsTimeout is how long a client may take to acknowledge our SETTINGS (RFC 9113 §6.5.3).
	// Default 1 minute; negative: no limit.
	SettingsTimeout time.Duration

	// HeaderTimeout is how long a client may take from the first octet of a header block to its
	// last. Default: the http.Server's ReadHeaderTimeout or ReadTimeout, or 1 minute; negative: no
	// limit.
	HeaderTimeout time.Duration

	// FrameTimeout is how long a client may take from the first octet of any other frame to its
	// last, beside a second for each KiB of its length. Default 5 minutes; negative: no limit.
	FrameTimeout time.Duration

	// StallTimeout resets a stream whose data waits for the client's flow-control window, when it
	// was let send less than 64 octets for each second of this time. Default 1 hour; negative: no
	// limit.
	StallTimeout time.Duration

	// MaxConnectionAge is how long a connection lives before it is drained with GOAWAY (RFC 9113
	// §6.8). A random tenth is added or taken so that connections opened together do not end
	// together. Default 0: no limit.
	MaxConnectionAge time.Duration

	// MaxConnectionAgeGrace is how long the streams that run when a drain begins may take before
	// the connection is closed. It holds for drains by age and by Shutdown. Default 0: no limit.
	MaxConnectionAgeGrace time.Duration

	// EnableConnectProtocol tells clients that extended CONNECT works here (RFC 8441 §3). A handler
	// finds the protocol in Request.Header[":protocol"], and must refuse those that it does not
	// know; AcceptConnect makes a connection of the stream. Default false: such a request is reset
	// with PROTOCOL_ERROR.
	EnableConnectProtocol bool

	// EarlyData says which requests that an intermediary has got in TLS early data are answered
	// with 425 (RFC 8470). For HTTP/1.1 it holds for a Server, and not with Configure. Default
	// EarlyDataSafe: those whose method is not safe.
	EarlyData EarlyData

	// AllowH2CUpgrade lets an HTTP/1.1 client on cleartext switch with "Upgrade: h2c" (RFC 7540
	// §3.2, which RFC 9113 has dropped). It holds for a Server whose Protocols include unencrypted
	// HTTP/2; a request with a body is not upgraded. Default false.
	AllowH2CUpgrade bool

	// Dispatch says how handlers are run. Default DispatchElastic.
	Dispatch Dispatch

	// Limits bounds what a client can make a connection do. Zero fields mean defaults.
	Limits core.Limits

	// Scheduler makes the scheduler that decides which stream of a connection sends next. Default:
	// priority.NewAuto, which goes by RFC 9218 where the client uses it, by the dependency tree of
	// RFC 7540 §5.3 where the client states a place in that alone, and treats all responses alike
	// where it states nothing. priority.NewExtensible goes by RFC 9218 alone and has clients told
	// so (SETTINGS_NO_RFC7540_PRIORITIES of 1), priority.NewTree by the tree alone, and
	// priority.NewRoundRobin by neither, which is also what DisableClientPriority of the
	// http.Server asks for (Go 1.27). One of the application's own that breaks the contract of
	// priority.Scheduler ends its connection (priority.Check finds that in tests).
	Scheduler func() priority.Scheduler

	// Tracer, if set, sees every frame in and out.
	Tracer conn.Tracer

	// FramePolicy, if set, judges every frame that a client sends: it may count it, drop it, reset
	// its stream or end the connection.
	FramePolicy conn.FramePolicy

	// Padding, if set, chooses the padding of frames that are sent (RFC 9113 §10.7); conn.PadTo and
	// conn.PadRandom make the usual ones. It must be quick, and must not use the connection.
	// Default nil: none.
	Padding core.PaddingFunc

	// SettingsOrder has these settings come first in our SETTINGS frame, in this order, sent even
	// with their initial values. Default: an order of our own.
	SettingsOrder []frame.SettingID

	// Origins are the origins, "https://host:port" without a port that is the default, for which
	// clients may use a connection over TLS beside that of its server name (RFC 8336). The
	// certificate must be valid for them. A client that asks for another one should get the status
	// 421 from the handler. Default: none are named.
	Origins []string

	// AltServices tells clients over TLS, in ALTSVC frames, where else an origin is served (RFC
	// 7838 §4): the keys are origins as in Origins, the values those of an Alt-Svc field,
	// `h2="alt.example.com:443"; ma=3600`. For single responses a handler sets the field. Default:
	// none.
	AltServices map[string]string

	// Grease sends a setting and frames of identifiers that mean nothing, which clients must ignore
	// (RFC 9113 §5.5). Default false.
	Grease bool
}

// Dispatch is a way of running handlers.
type Dispatch uint8

const (
	// DispatchElastic runs requests of one connection on one goroutine, one after another, as long
	// as they are quick, and writes their responses together. More goroutines join as soon as a
	// handler waits for its body, for flow control or for more than a millisecond, or when there is
	// work for another CPU. Where handlers take more than 100 µs on average, each request gets a
	// goroutine, and so it does for a second to a minute where a handler has held up the requests
	// behind it. A handler finds the profiler labels of the goroutine that called Serve, whatever
	// other handlers have set. A handler that leaves its goroutine locked to its thread is noticed,
	// at the latest when 64 requests of its connection have run behind it; from then on requests
	// are served as with DispatchGoroutine.
	DispatchElastic Dispatch = iota

	// DispatchGoroutine gives each request a goroutine of its own, which ends with the handler, and
	// with it the thread that the handler has locked it to (runtime.LockOSThread).
	DispatchGoroutine
)

// withHTTP2Config fills the zero fields of c from net/http's settings.
func (c Config) withHTTP2Config(h *http.HTTP2Config) Config {
	if h == nil {
		return c
	}
	c.MaxConcurrentStreams = cmp.Or(c.MaxConcurrentStreams, h.MaxConcurrentStreams)
	c.MaxDecoderHeaderTableSize = cmp.Or(c.MaxDecoderHeaderTableSize, h.MaxDecoderHeaderTableSize)
	c.MaxEncoderHeaderTableSize = cmp.Or(c.MaxEncoderHeaderTableSize, h.MaxEncoderHeaderTableSize)
	c.MaxReadFrameSize = cmp.Or(c.MaxReadFrameSize, h.MaxReadFrameSize)
	c.MaxReceiveBufferPerConnection = cmp.Or(c.MaxReceiveBufferPerConnection, h.MaxReceiveBufferPerConnection)
	c.MaxReceiveBufferPerStream = cmp.Or(c.MaxReceiveBufferPerStream, h.MaxReceiveBufferPerStream)
	c.SendPingTimeout = cmp.Or(c.SendPingTimeout, h.SendPingTimeout)
	c.PingTimeout = cmp.Or(c.PingTimeout, h.PingTimeout)
	c.WriteByteTimeout = cmp.Or(c.WriteByteTimeout, h.WriteByteTimeout)
	c.PermitProhibitedCipherSuites = c.PermitProhibitedCipherSuites || h.PermitProhibitedCipherSuites
	if c.CountError == nil {
		c.CountError = h.CountError
	}
	return c
}

// connConfig is what package conn needs of c and of the http.Server.
func (c *Config) connConfig(hs *http.Server) conn.Config {
	return conn.Config{
		MaxConcurrentStreams:          c.MaxConcurrentStreams,
		MaxDecoderHeaderTableSize:     c.MaxDecoderHeaderTableSize,
		MaxEncoderHeaderTableSize:     c.MaxEncoderHeaderTableSize,
		MaxReadFrameSize:              c.MaxReadFrameSize,
		MaxReceiveBufferPerConnection: c.MaxReceiveBufferPerConnection,
		MaxReceiveBufferPerStream:     c.MaxReceiveBufferPerStream,
		MaxUnreadPerConnection:        c.MaxUnreadPerConnection,
		MaxReceiveBufferGrowth:        c.MaxReceiveBufferGrowth,
		SendPingTimeout:               c.SendPingTimeout,
		PingTimeout:                   c.PingTimeout,
		WriteByteTimeout:              c.WriteByteTimeout,
		CountError:                    c.CountError,
		MaxHeaderBytes:                hs.MaxHeaderBytes,
		MaxHeaderFields:               cmp.Or(c.MaxHeaderFields, maxHeaderValueCount(hs)),
		PrefaceTimeout:                c.PrefaceTimeout,
		SettingsTimeout:               c.SettingsTimeout,
		FirstByteTimeout:              c.firstByteTimeout(hs),
		HeaderTimeout:                 cmp.Or(c.HeaderTimeout, hs.ReadHeaderTimeout, max(hs.ReadTimeout, 0)),
		FrameTimeout:                  cmp.Or(c.FrameTimeout, defaultFrameTimeout),
		IdleTimeout:                   max(cmp.Or(hs.IdleTimeout, hs.ReadTimeout), 0),
		StallTimeout:                  c.StallTimeout,
		MaxConnectionAge:              c.MaxConnectionAge,
		MaxConnectionAgeGrace:         c.MaxConnectionAgeGrace,
		EnableConnectProtocol:         c.EnableConnectProtocol,
		Limits:                        c.Limits,
		Scheduler:                     c.scheduler(hs),
		Tracer:                        c.Tracer,
		FramePolicy:                   c.FramePolicy,
		Padding:                       c.Padding,
		SettingsOrder:                 c.SettingsOrder,
		Grease:                        c.Grease,
	}
}

// scheduler makes the scheduler of a connection; nil is conn's default.
func (c *Config) scheduler(hs *http.Server) func() priority.Scheduler {
	if c.Scheduler == nil && disableClientPriority(hs) {
		return priority.NewRoundRobin
	}
	return c.Scheduler
}

// defaultMaxHandlers is conn's default for MaxConcurrentStreams.
const defaultMaxHandlers = 250

// maxHandlers is how many handlers of one connection run at once.
func (c *Config) maxHandlers() int {
	if c.MaxConcurrentStreams > 0 {
		return c.MaxConcurrentStreams
	}
	return defaultMaxHandlers
}

// sniffTimeout bounds the time until a cleartext client has shown what it speaks; 0 is no limit.
func (c *Config) sniffTimeout(hs *http.Server) time.Duration {
	return max(cmp.Or(hs.ReadHeaderTimeout, max(hs.ReadTimeout, 0), c.PrefaceTimeout, defaultPrefaceTimeout), 0)
}

// firstByteTimeout bounds the time until a client has sent its first octet; 0 or less is no limit.
func (c *Config) firstByteTimeout(hs *http.Server) time.Duration {
	return cmp.Or(c.FirstByteTimeout, hs.ReadHeaderTimeout, max(hs.ReadTimeout, 0), c.PrefaceTimeout,
		max(hs.IdleTimeout, 0), defaultFirstByteTimeout)
}

// What a client may take.
const (
	defaultPrefaceTimeout   = 45 * time.Second
	defaultFrameTimeout     = 5 * time.Minute
	defaultFirstByteTimeout = time.Hour
)
