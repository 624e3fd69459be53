package core

import (
	"cmp"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Limits bounds what a peer can make a connection do with frames that cost the peer next to
// nothing. Zero means the default, a negative value no limit; the largest int is as good as none.
// Where nothing else is said, going over a limit is a connection error ENHANCE_YOUR_CALM (RFC 9113
// §10.5).
//
// A burst and a rate are those of a token bucket: its size, and the tokens that it gets in a
// second. Honest peers send most of these frames in proportion to their requests, to the responses
// or to the octets that they receive, so some frames are free for each of those: see each field.
// What the peer may have sent before it received our RST_STREAM is never charged.
type Limits struct {
	// ResetBurst and ResetRate bound the requests that a client cancels with RST_STREAM as soon as
	// it has sent them: rapid reset (CVE-2023-44487). Free are resets after the head of the
	// response was sent, of streams that have been open for 100 ms, and of streams that had ended.
	// Each response that is begun gives a token back. Beyond the limit the connection is drained:
	// GOAWAY says that no further stream is processed, and open streams may end. A client that goes
	// on to open streams is cut off with ENHANCE_YOUR_CALM. Server only. Default 4000, or 16 times
	// Config.MaxConcurrentStreams if that is more, and 1000 a second.
	ResetBurst, ResetRate int

	// FaultBurst and FaultRate bound the streams that we reset for a fault of the peer, which it
	// may have made on purpose (CVE-2025-8671). Free are REFUSED_STREAM for streams that the peer
	// has opened before it acknowledged our SETTINGS, resets that the application asks for, and, on
	// a client, streams that it has opened itself. A second bucket of this size counts the pushed
	// streams that a client resets: while it is empty, nothing is pushed. Default 200 and 50 a
	// second; none where ResetBurst is negative.
	FaultBurst, FaultRate int

	// GlitchBurst and GlitchRate bound glitches, frames that are valid and useless: PING,
	// WINDOW_UPDATE, PRIORITY, PRIORITY_UPDATE, SETTINGS, GOAWAY, ALTSVC, ORIGIN, unknown frames,
	// frames on closed streams (CVE-2019-9512, CVE-2019-9513, CVE-2019-9515). Sixteen are free for
	// each stream that either side opens, one for each DATA frame with content, and one
	// WINDOW_UPDATE for each 16 octets of DATA that were sent. Default 1000 and 100 a second.
	GlitchBurst, GlitchRate int

	// EmptyBurst and EmptyRate bound DATA frames that carry nothing and end nothing
	// (CVE-2019-9518). Four are free for each stream that either side opens, and one for each DATA
	// frame with content. Going over it is a stream error where a client receives. Default 100 and
	// 10 a second.
	EmptyBurst, EmptyRate int

	// MaxContinuations bounds the CONTINUATION frames of one header block beyond one for each 16
	// octets of the block; an empty one counts twice (VU#421644). Default 64.
	MaxContinuations int

	// MaxQueuedControl bounds the answers (PING and SETTINGS acknowledgements, RST_STREAM) that
	// wait while the peer does not read. Default 1000.
	MaxQueuedControl int

	// MaxSmallData bounds DATA frames with less than 9 octets of data, which is shorter than a
	// frame header, that were not consumed. Default 50,000 for a server, none for a client.
	MaxSmallData int

	// MaxSettings bounds the settings of one SETTINGS frame. Default 32.
	MaxSettings int

	// MaxInterim bounds the interim responses (1xx) to one request. Config.MaxHeaderBytes bounds
	// their octets together in any case. Driver.UnboundedInterim turns both off. Going over one is
	// a stream error. Default: none.
	MaxInterim int
}

func (l Limits) withDefaults(cfg *Config) Limits {
	faults, small := 200, 50_000
	if l.ResetBurst < 0 {
		faults = -1
	}
	if cfg.Role == Client {
		small = -1
	}
	return Limits{
		ResetBurst:       cmp.Or(l.ResetBurst, int(max(4000, 16*min(int64(cfg.MaxConcurrentStreams), 1<<26)))),
		ResetRate:        cmp.Or(l.ResetRate, 1000),
		FaultBurst:       cmp.Or(l.FaultBurst, faults),
		FaultRate:        cmp.Or(l.FaultRate, 50),
		GlitchBurst:      cmp.Or(l.GlitchBurst, 1000),
		GlitchRate:       cmp.Or(l.GlitchRate, 100),
		EmptyBurst:       cmp.Or(l.EmptyBurst, 100),
		EmptyRate:        cmp.Or(l.EmptyRate, 10),
		MaxContinuations: cmp.Or(l.MaxContinuations, 64),
		MaxQueuedControl: cmp.Or(l.MaxQueuedControl, 1000),
		MaxSmallData:     cmp.Or(l.MaxSmallData, small),
		MaxSettings:      cmp.Or(l.MaxSettings, 32),
		MaxInterim:       cmp.Or(l.MaxInterim, -1),
	}
}

// over reports whether n is above limit, where a negative limit is none.
func over(n, limit int) bool { return limit >= 0 && n > limit }

// bucket is a token bucket.
type bucket struct {
	used    float64 // tokens that were missing at the time updated
	updated int64   // Unix time in nanoseconds
}

// take takes one token and reports whether there was one.
func (b *bucket) take(now time.Time, burst, rate int) bool {
	if burst < 0 || rate < 0 {
		return true
	}
	if b.empty(now, burst, rate) {
		return false
	}
	b.used++
	return true
}

// empty reports whether there is no token.
func (b *bucket) empty(now time.Time, burst, rate int) bool {
	if burst < 0 || rate < 0 {
		return false
	}
	was := b.updated
	if b.updated = now.UnixNano(); b.updated > was {
		b.used = max(0, b.used-time.Duration(b.updated-was).Seconds()*float64(rate))
	}
	return b.used+1 > float64(burst)
}

// refund gives back one token, or the rest that is missing of one.
func (b *bucket) refund() { b.used = max(0, b.used-1) }

// Frames that are free for what the two sides have sent. Credit that is not used is kept, up to a
// bound.
const (
	glitchesPerStream = 16
	emptiesPerStream  = 4
	maxCredit         = 1 << 12
	octetsPerUpdate   = 16 // one WINDOW_UPDATE is free for so many octets of DATA that were sent
	maxUpdateCredit   = 1 << 20
)

// limiter counts what Limits bounds.
type limiter struct {
	*Limits
	resets, faults, glitches, empties bucket
	pushResets                        bucket // RST_STREAM of the client for streams that we have pushed

	smallData     int32  // small DATA frames of all streams that were not consumed
	queuedControl int32  // answers that were appended since Output was last called
	updateCredit  int32  // WINDOW_UPDATE frames that are free
	afterDrain    int32  // streams that the peer has opened since forceDrain
	glitchCredit  int16  // glitches that are free
	emptyCredit   int16  // empty DATA frames that are free
	earlyRefusals uint16 // streams that were refused before our SETTINGS were acknowledged
}

// enhanceYourCalm returns the error for a peer that has gone over a limit.
func enhanceYourCalm(reason string) error {
	return frame.NewConnError(frame.EnhanceYourCalm, "RFC 9113 §10.5", reason)
}

// reset charges a request that the client has cancelled, and reports whether that was within the
// limit.
func (l *limiter) reset(now time.Time) bool { return l.resets.take(now, l.ResetBurst, l.ResetRate) }

// fault charges a stream that is reset for a fault of the peer.
func (l *limiter) fault(now time.Time) error {
	if l.faults.take(now, l.FaultBurst, l.FaultRate) {
		return nil
	}
	return enhanceYourCalm("too_many_internal_resets")
}

// pushReset charges a RST_STREAM for a stream that we have pushed, and reports whether that was
// within the limit. To refuse pushes is the client's right (RFC 9113 §8.4.2), so the only
// consequence is that nothing more is pushed.
func (l *limiter) pushReset(now time.Time) bool {
	return l.pushResets.take(now, l.FaultBurst, l.FaultRate)
}

// pushesUnwanted reports whether the client has reset so many pushed streams that no more are to be
// pushed.
func (l *limiter) pushesUnwanted(now time.Time) bool {
	return l.pushResets.empty(now, l.FaultBurst, l.FaultRate)
}

// glitch charges a frame that is valid and useless. HAProxy and nghttp2 have the word.
func (l *limiter) glitch(now time.Time) error {
	if l.glitchCredit > 0 {
		l.glitchCredit--
		return nil
	}
	if l.glitches.take(now, l.GlitchBurst, l.GlitchRate) {
		return nil
	}
	return enhanceYourCalm("too_many_glitches")
}

// empty charges a DATA frame without content, and reports whether that was within the limit.
func (l *limiter) empty(now time.Time) bool {
	if l.emptyCredit > 0 {
		l.emptyCredit--
		return true
	}
	return l.empties.take(now, l.EmptyBurst, l.EmptyRate)
}

// windowUpdate charges a WINDOW_UPDATE. Peers that read in small pieces return credit in small
// pieces, for the stream and for the connection.
func (l *limiter) windowUpdate(now time.Time) error {
	if l.updateCredit > 0 {
		l.updateCredit--
		return nil
	}
	return l.glitch(now)
}

// opened adds the credit for a stream that either side has opened. There are peers that measure the
// path, change their settings, return credit or name alternative services with each request or
// response.
func (l *limiter) opened() {
	l.glitchCredit = min(l.glitchCredit+glitchesPerStream, maxCredit)
	l.emptyCredit = min(l.emptyCredit+emptiesPerStream, maxCredit)
}

// sentData adds the credit for a DATA frame of size octets that was sent. Receivers of DATA,
// grpc-go for example, measure the path with PING.
func (l *limiter) sentData(size int) {
	l.updateCredit = min(l.updateCredit+2+int32(size/octetsPerUpdate), maxUpdateCredit)
	l.glitchCredit = min(l.glitchCredit+1, maxCredit)
}

// receivedData adds the credit for a DATA frame with content. There are senders that flush an empty
// one behind it.
func (l *limiter) receivedData() {
	l.emptyCredit = min(l.emptyCredit+1, maxCredit)
	l.glitchCredit = min(l.glitchCredit+1, maxCredit)
}

// queuedAnswer counts an answer that waits in the output.
func (l *limiter) queuedAnswer() error {
	l.queuedControl++
	if over(int(l.queuedControl), l.MaxQueuedControl) {
		return enhanceYourCalm("too_many_queued_answers")
	}
	return nil
}
