package server

import (
	"cmp"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/stream/priority"
)

// Config holds the settings of HTTP/2. The zero value is ready to use: zero means the default that
// a field's comment names, and what is out of range is brought into it. The caller's value is never
// changed.
//
// Fields that conn.Config has too mean what they mean there, the peer being the client, and have
// the same default; comments here say what differs. Where a field is zero that net/http's
// HTTP2Config has too, the value of the http.Server's HTTP2 field counts.
type Config struct {
	// MaxConcurrentStreams is as in conn.Config, and is how many handlers run at once for one
	// connection as well: a handler counts until it returns, whatever becomes of its stream.
	MaxConcurrentStreams int

	// The sizes of HPACK's tables, of frames and of the receive buffers are as in conn.Config.
	// Buffers hold the parts of request bodies that handlers have not read.
	MaxDecoderHeaderTableSize     int
	MaxEncoderHeaderTableSize     int
	MaxReadFrameSize              int
	MaxReceiveBufferPerConnection int
	MaxReceiveBufferPerStream     int
	MaxUnreadPerConnection        int
	MaxReceiveBufferGrowth        int

	// PINGs to find out whether the client is still there, and the limit of writes that make no
	// progress, are as in conn.Config.
	SendPingTimeout  time.Duration
	PingTimeout      time.Duration
	WriteByteTimeout time.Duration

	// PermitProhibitedCipherSuites permits TLS 1.2 cipher suites that RFC 9113 §9.2.2 prohibits.
	// Default false: such a connection is refused with INADEQUATE_SECURITY.
	PermitProhibitedCipherSuites bool

	// CountError is as in conn.Config. Several goroutines call it.
	CountError func(errType string)

	// MaxHeaderFields is as in conn.Config. A request over it is answered with 431. Where it is
	// zero, MaxHeaderValueCount of the server counts.
	MaxHeaderFields int

	// FirstByteTimeout is how long a new connection may stay silent, once TLS is there: load
	// balancers open connections ahead. Where it is zero, ReadHeaderTimeout, ReadTimeout,
	// PrefaceTimeout and IdleTimeout take its place, in this order. Default
	// [DefaultFirstByteTimeout], 1 hour; negative: no limit. It is as in conn.Config otherwise.
	FirstByteTimeout time.Duration

	// PrefaceTimeout is as in conn.Config, from the client's first octet on. It is as well how long
	// a TLS handshake may take, and how long a client may take to show which protocol it speaks on
	// a port that serves HTTP/1.1 too; for these ReadHeaderTimeout, ReadTimeout and, for the
	// handshake, WriteTimeout of the server take its place where they are set.
	PrefaceTimeout time.Duration

	// SettingsTimeout is as in conn.Config.
	SettingsTimeout time.Duration

	// HeaderTimeout is as in conn.Config. Where it is zero, ReadHeaderTimeout or ReadTimeout of the
	// server takes its place.
	HeaderTimeout time.Duration

	// FrameTimeout is as in conn.Config, but HeaderTimeout does not take its place.
	FrameTimeout time.Duration

	// StallTimeout, MaxConnectionAge and MaxConnectionAgeGrace are as in conn.Config.
	StallTimeout          time.Duration
	MaxConnectionAge      time.Duration
	MaxConnectionAgeGrace time.Duration

	// EnableConnectProtocol is as in conn.Config. A handler finds the protocol in
	// Request.Header[":protocol"], and must refuse those that it does not know; AcceptConnect makes
	// a connection of the stream. Where it is false such a request is reset with PROTOCOL_ERROR.
	// Handlers of WebSocket libraries need WebSocket around them, too, and a Server whose Handler
	// that is needs no EnableConnectProtocol.
	EnableConnectProtocol bool

	// EarlyData says which requests that an intermediary has got in TLS early data are answered
	// with 425 (RFC 8470). For HTTP/1.1 it holds for a Server, and not with Configure. Default
	// EarlyDataSafe: those whose method is not safe.
	EarlyData EarlyData

	// AllowH2CUpgrade lets an HTTP/1.1 client on cleartext switch with "Upgrade: h2c" (RFC 7540
	// §3.2, which RFC 9113 has dropped). It holds for a Server whose Protocols include unencrypted
	// HTTP/2; a request with a body is not upgraded. Default false.
	AllowH2CUpgrade bool

	// IgnoreALPN has a client's first octets decide between HTTP/2 and HTTP/1.1 over TLS, as they
	// do on cleartext, whichever of the two ALPN has chosen. Proxies need it: Go's http.Transport
	// lets ALPN choose "h2" with a proxy, and sends CONNECT in HTTP/1.1 then. A client that speaks
	// what was chosen (RFC 9113 §3.2) sees no difference. The connection that a handler of HTTP/1.1
	// hijacks is the tls.Conn; with Configure, where ALPN has chosen "h2", it is one that has its
	// methods, and Shutdown of the http.Server waits until it is closed. Default false.
	IgnoreALPN bool

	// Dispatch says how handlers are run. Default DispatchElastic.
	Dispatch Dispatch

	// Limits is as in conn.Config.
	Limits Limits

	// Scheduler is as in conn.Config. The default, priority.NewAuto, goes by RFC 9218 where the
	// client uses it, by the dependency tree of RFC 7540 §5.3 where the client states a place in
	// that alone, and treats all responses alike where it states nothing. priority.NewExtensible
	// goes by RFC 9218 alone and has clients told so (SETTINGS_NO_RFC7540_PRIORITIES of 1),
	// priority.NewTree by the tree alone, and priority.NewRoundRobin by neither, which is also what
	// DisableClientPriority of the server asks for.
	Scheduler func() Scheduler

	// Tracer, FramePolicy, Padding and SettingsOrder are as in conn.Config.
	Tracer        Tracer
	FramePolicy   FramePolicy
	Padding       PaddingFunc
	SettingsOrder []SettingID

	// Origins is as in conn.Config: the origins, "https://host:port" without a port that is the
	// default, for which clients may use a connection beside that of its server name (RFC 8336).
	// They are sent over TLS only, and the certificate must be valid for them. A client that asks
	// for another one should get the status 421 from the handler.
	Origins []string

	// AltServices tells clients over TLS, in ALTSVC frames, where else an origin is served (RFC
	// 7838 §4): the keys are origins as in Origins, the values those of an Alt-Svc field,
	// `h2="alt.example.com:443"; ma=3600`. For single responses a handler sets the field. Default:
	// none.
	AltServices map[string]string

	// Grease is as in conn.Config.
	Grease bool
}

// Types of other packages, named here so that a Config can be filled in, and a priority be stated,
// without an import of those.
type (
	// Limits bounds what a client can make a connection do.
	Limits = conn.Limits

	// Scheduler decides which response of a connection sends next. Package priority has some.
	Scheduler = conn.Scheduler

	// PriorityParams are the priority of a response: see SetPriority.
	PriorityParams = conn.PriorityParams

	// Tracer sees every frame in and out.
	Tracer = conn.Tracer

	// FramePolicy decides on every frame that a client sends: it may count it, drop it, reset its
	// stream or end the connection.
	FramePolicy = conn.FramePolicy

	// PaddingFunc chooses the padding of frames that are sent (RFC 9113 §10.7): see conn.PadTo and
	// conn.PadRandom.
	PaddingFunc = conn.PaddingFunc

	// SettingID is the identifier of a setting (RFC 9113 §6.5.2).
	SettingID = conn.SettingID
)

// DefaultFirstByteTimeout is the default of Config.FirstByteTimeout. The other defaults are those
// of package conn.
const DefaultFirstByteTimeout = time.Hour

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

// connConfig returns the settings of a connection, which are those of c and of the http.Server.
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
		FrameTimeout:                  cmp.Or(c.FrameTimeout, conn.DefaultFrameTimeout),
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

// scheduler returns what makes the scheduler of a connection; nil is the default of package conn.
func (c *Config) scheduler(hs *http.Server) func() Scheduler {
	if c.Scheduler == nil && disableClientPriority(hs) {
		return priority.NewRoundRobin
	}
	return c.Scheduler
}

// maxHandlers is how many handlers of one connection run at once.
func (c *Config) maxHandlers() int {
	if c.MaxConcurrentStreams > 0 {
		return c.MaxConcurrentStreams
	}
	return conn.DefaultMaxConcurrentStreams
}

// sniffTimeout bounds the time until a cleartext client has shown what it speaks; 0 is no limit.
func (c *Config) sniffTimeout(hs *http.Server) time.Duration {
	return max(cmp.Or(hs.ReadHeaderTimeout, max(hs.ReadTimeout, 0), c.PrefaceTimeout, conn.DefaultPrefaceTimeout), 0)
}

// firstByteTimeout bounds the time until a client has sent its first octet; 0 or less is no limit.
func (c *Config) firstByteTimeout(hs *http.Server) time.Duration {
	return cmp.Or(c.FirstByteTimeout, hs.ReadHeaderTimeout, max(hs.ReadTimeout, 0), c.PrefaceTimeout,
		max(hs.IdleTimeout, 0), DefaultFirstByteTimeout)
}
