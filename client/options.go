package client

import (
	"cmp"
	"math"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// Defaults of the fields of Transport. Those of fields that are not named here are of package conn.
const (
	DefaultMaxResponseHeaderBytes        = 10 << 20 // as net/http
	DefaultMaxResponseHeaderFields       = 10_000
	DefaultSendPingTimeout               = 30 * time.Second
	DefaultMaxReceiveBufferPerConnection = 16 << 20
	DefaultMaxReceiveBufferPerStream     = 4 << 20
	DefaultMaxUnreadPerConnection        = 64 << 20
	DefaultReplayBuffer                  = 64 << 10
	DefaultMaxAttempts                   = 8
	DefaultMaxPushedStreams              = 100
	DefaultMaxIdleConnsPerHost           = 100 // of HTTP/1.1
	DefaultTLSHandshakeTimeout           = 10 * time.Second
)

// defaultPingRenewal is conn.Config.PingRenewal where SendPingTimeout is not set: grpc-go takes a
// PING in five minutes, as it measures them.
const defaultPingRenewal = 5*time.Minute + 10*time.Second

// Under Configure, the settings below are those of the http.Transport. It may be changed after
// Configure, so they are looked up when they are needed.

func (t *Transport) disableKeepAlives() bool {
	return t.DisableKeepAlives || t.t1 != nil && t.t1.DisableKeepAlives
}

func (t *Transport) disableCompression() bool {
	return t.DisableCompression || t.t1 != nil && t.t1.DisableCompression
}

func (t *Transport) responseHeaderTimeout() time.Duration {
	if t.t1 != nil {
		return t.t1.ResponseHeaderTimeout
	}
	return t.ResponseHeaderTimeout
}

func (t *Transport) expectContinueTimeout() time.Duration {
	if t.t1 != nil {
		return t.t1.ExpectContinueTimeout
	}
	return t.ExpectContinueTimeout
}

func (t *Transport) idleConnTimeout() time.Duration {
	if t.t1 != nil {
		return t.t1.IdleConnTimeout
	}
	return t.IdleConnTimeout
}

func (t *Transport) maxIdleConns() int {
	if t.t1 != nil {
		return t.t1.MaxIdleConns
	}
	return t.MaxIdleConns
}

func (t *Transport) http2Config() *http.HTTP2Config {
	h := t.HTTP2
	if h == nil && t.t1 != nil {
		h = t.t1.HTTP2
	}
	if h == nil {
		h = &http.HTTP2Config{}
	}
	return h
}

func (t *Transport) strict() bool {
	return t.StrictMaxConcurrentStreams || t.http2Config().StrictMaxConcurrentRequests
}

func (t *Transport) maxHeaderBytes() int {
	n := t.MaxResponseHeaderBytes
	if t.t1 != nil {
		n = t.t1.MaxResponseHeaderBytes
	}
	return int(min(cmp.Or(max(n, 0), DefaultMaxResponseHeaderBytes), math.MaxInt32))
}

// replayBuffer returns how many octets of a body may be buffered.
func (t *Transport) replayBuffer() int { return max(cmp.Or(t.ReplayBuffer, DefaultReplayBuffer), 0) }

func (t *Transport) maxAttempts() int { return max(cmp.Or(t.MaxAttempts, DefaultMaxAttempts), 1) }

// takesPushes reports whether servers may push.
func (t *Transport) takesPushes() bool { return t.PushHandler != nil || t.PushCache != nil }

// maxPushedStreams returns how many pushed streams may run at once on a connection.
func (t *Transport) maxPushedStreams() int {
	return max(cmp.Or(t.MaxPushedStreams, DefaultMaxPushedStreams), 1)
}

// connConfig returns the settings for package conn.
func (t *Transport) connConfig() conn.Config {
	h := t.http2Config()
	cfg := conn.Config{
		MaxConcurrentStreams:      t.maxPushedStreams(),
		MaxDecoderHeaderTableSize: cmp.Or(t.MaxDecoderHeaderTableSize, h.MaxDecoderHeaderTableSize),
		MaxEncoderHeaderTableSize: cmp.Or(t.MaxEncoderHeaderTableSize, h.MaxEncoderHeaderTableSize),
		MaxReadFrameSize:          cmp.Or(t.MaxReadFrameSize, h.MaxReadFrameSize),
		MaxReceiveBufferPerConnection: cmp.Or(
			t.MaxReceiveBufferPerConnection,
			h.MaxReceiveBufferPerConnection,
			DefaultMaxReceiveBufferPerConnection,
		),
		MaxReceiveBufferPerStream: cmp.Or(
			t.MaxReceiveBufferPerStream,
			h.MaxReceiveBufferPerStream,
			DefaultMaxReceiveBufferPerStream,
		),
		MaxUnreadPerConnection: cmp.Or(t.MaxUnreadPerConnection, DefaultMaxUnreadPerConnection),
		MaxReceiveBufferGrowth: t.MaxReceiveBufferGrowth,
		SendPingTimeout:        DefaultSendPingTimeout,
		PingTimeout:            cmp.Or(t.PingTimeout, h.PingTimeout),
		PingBudget:             1,
		PingRenewal:            defaultPingRenewal,
		WriteByteTimeout:       cmp.Or(t.WriteByteTimeout, h.WriteByteTimeout),
		CountError:             t.CountError,
		MaxHeaderBytes:         t.maxHeaderBytes(),
		MaxHeaderFields:        cmp.Or(t.MaxResponseHeaderFields, DefaultMaxResponseHeaderFields),
		PrefaceTimeout:         t.PrefaceTimeout,
		SettingsTimeout:        t.SettingsTimeout,
		HeaderTimeout:          t.HeaderTimeout,
		FrameTimeout:           cmp.Or(t.FrameTimeout, conn.DefaultFrameTimeout),
		StallTimeout:           t.StallTimeout,
		TunnelCloseTimeout:     t.TunnelCloseTimeout,
		IdleTimeout:            t.idleConnTimeout(),
		MaxConnectionAge:       t.MaxConnectionAge,
		MaxConnectionAgeGrace:  t.MaxConnectionAgeGrace,
		EnablePush:             t.takesPushes(),
		TreePriorities:         t.TreePriorities,
		Limits:                 t.Limits,
		Scheduler:              t.Scheduler,
		Tracer:                 t.Tracer,
		FramePolicy:            t.FramePolicy,
		Padding:                t.Padding,
		SettingsOrder:          t.SettingsOrder,
		Grease:                 t.Grease,
	}
	if cfg.CountError == nil {
		cfg.CountError = h.CountError
	}
	t.setConnDefaults(&cfg, h)
	return cfg
}

// setConnDefaults sets what depends on whether the application has chosen it.
func (t *Transport) setConnDefaults(cfg *conn.Config, h *http.HTTP2Config) {
	if interval := cmp.Or(t.SendPingTimeout, h.SendPingTimeout); interval != 0 {
		cfg.SendPingTimeout = max(interval, 0)
		cfg.PingRenewal = cfg.SendPingTimeout // an interval that was asked for is kept while streams are open
	}
	chosen := cmp.Or(t.MaxReceiveBufferPerConnection, h.MaxReceiveBufferPerConnection, t.MaxReceiveBufferPerStream,
		h.MaxReceiveBufferPerStream) != 0
	if cfg.MaxReceiveBufferGrowth == 0 && !chosen {
		cfg.MaxReceiveBufferGrowth = conn.DefaultMaxReceiveBufferGrowth
	}
}
