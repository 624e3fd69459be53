package client

import (
	"cmp"
	"math"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
)

const (
	defaultMaxHeaderBytes   = 10 << 20 // as net/http
	defaultMaxHeaderFields  = 10_000
	defaultSendPingTimeout  = 30 * time.Second
	defaultFrameTimeout     = 5 * time.Minute
	defaultPingRenewal      = 5*time.Minute + 10*time.Second // grpc-go allows a PING in five minutes
	defaultConnWindow       = 16 << 20
	defaultStreamWindow     = 4 << 20
	defaultMaxUnread        = 64 << 20
	defaultGrowth           = 16 << 20
	defaultReplayBuffer     = 64 << 10
	defaultMaxAttempts      = 8
	defaultMaxPushedStreams = 100
	defaultMaxIdlePerHost   = 100
	defaultTLSHandshake     = 10 * time.Second
)

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
	return int(min(cmp.Or(max(n, 0), defaultMaxHeaderBytes), math.MaxInt32))
}

// replayBuffer returns how many octets of a body may be buffered.
func (t *Transport) replayBuffer() int { return max(cmp.Or(t.ReplayBuffer, defaultReplayBuffer), 0) }

func (t *Transport) maxAttempts() int { return max(cmp.Or(t.MaxAttempts, defaultMaxAttempts), 1) }

// takesPushes reports whether servers may push.
func (t *Transport) takesPushes() bool { return t.PushHandler != nil || t.PushCache != nil }

// maxPushedStreams returns how many pushed streams may run at once on a connection.
func (t *Transport) maxPushedStreams() int {
	return max(cmp.Or(t.MaxPushedStreams, defaultMaxPushedStreams), 1)
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
			defaultConnWindow,
		),
		MaxReceiveBufferPerStream: cmp.Or(t.MaxReceiveBufferPerStream, h.MaxReceiveBufferPerStream, defaultStreamWindow),
		MaxUnreadPerConnection:    cmp.Or(t.MaxUnreadPerConnection, defaultMaxUnread),
		MaxReceiveBufferGrowth:    t.MaxReceiveBufferGrowth,
		SendPingTimeout:           defaultSendPingTimeout,
		PingTimeout:               cmp.Or(t.PingTimeout, h.PingTimeout),
		PingBudget:                1,
		PingRenewal:               defaultPingRenewal,
		WriteByteTimeout:          cmp.Or(t.WriteByteTimeout, h.WriteByteTimeout),
		CountError:                t.CountError,
		MaxHeaderBytes:            t.maxHeaderBytes(),
		MaxHeaderFields:           cmp.Or(t.MaxResponseHeaderFields, defaultMaxHeaderFields),
		PrefaceTimeout:            t.PrefaceTimeout,
		SettingsTimeout:           t.SettingsTimeout,
		HeaderTimeout:             t.HeaderTimeout,
		FrameTimeout:              cmp.Or(t.FrameTimeout, defaultFrameTimeout),
		StallTimeout:              t.StallTimeout,
		TunnelCloseTimeout:        t.TunnelCloseTimeout,
		IdleTimeout:               t.idleConnTimeout(),
		MaxConnectionAge:          t.MaxConnectionAge,
		MaxConnectionAgeGrace:     t.MaxConnectionAgeGrace,
		EnablePush:                t.takesPushes(),
		TreePriorities:            t.TreePriorities,
		Limits:                    t.Limits,
		Scheduler:                 t.Scheduler,
		Tracer:                    t.Tracer,
		FramePolicy:               t.FramePolicy,
		Padding:                   t.Padding,
		SettingsOrder:             t.SettingsOrder,
		Grease:                    t.Grease,
	}
	if interval := cmp.Or(t.SendPingTimeout, h.SendPingTimeout); interval != 0 {
		cfg.SendPingTimeout = max(interval, 0)
		cfg.PingRenewal = cfg.SendPingTimeout // an interval that was asked for is kept while streams are open
	}
	if cfg.CountError == nil {
		cfg.CountError = h.CountError
	}
	chosen := cmp.Or(t.MaxReceiveBufferPerConnection, h.MaxReceiveBufferPerConnection, t.MaxReceiveBufferPerStream,
		h.MaxReceiveBufferPerStream) != 0
	if cfg.MaxReceiveBufferGrowth == 0 && !chosen {
		cfg.MaxReceiveBufferGrowth = defaultGrowth
	}
	return cfg
}
