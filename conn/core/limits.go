package core

import (
	"cmp"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Limits bounds what a peer can make a connection do with frames that cost the peer next to nothing. Zero
// means the default, a negative value no limit. Going over a limit is a connection error ENHANCE_YOUR_CALM.
//
// The rates are token buckets: a burst, refilled by so many a second. What the peer may have sent before it
// learned of our own RST_STREAM is never charged.
type Limits struct {
	// ResetBurst and ResetRate bound streams that end by RST_STREAM, whoever sends it: rapid reset
	// (CVE-2023-44487) and requests made to be reset by us (CVE-2025-8671). They bound as well what is pushed to a client
	// that resets it, with no other consequence. Default 200 and 50 a second.
	ResetBurst, ResetRate int

	// GlitchBurst and GlitchRate bound frames that are valid and useless: PING beyond one and WINDOW_UPDATE beyond
	// ten for each DATA frame sent, PRIORITY and PRIORITY_UPDATE beyond ten for each stream that the peer has opened,
	// SETTINGS after the first, interim responses, unknown frames, frames on closed streams (CVE-2019-9512,
	// CVE-2019-9513, CVE-2019-9515). Default 1000 and 100 a second.
	GlitchBurst, GlitchRate int

	// EmptyBurst and EmptyRate bound DATA frames that carry nothing and end nothing (CVE-2019-9518).
	// Default 100 and 10 a second.
	EmptyBurst, EmptyRate int

	// MaxContinuations bounds the CONTINUATION frames of one header block; an empty one counts twice
	// (VU#421644). Default 8.
	MaxContinuations int

	// MaxQueuedControl bounds the answers (PING and SETTINGS acknowledgements, RST_STREAM) that wait while
	// the peer does not read. Default 1000.
	MaxQueuedControl int

	// MaxSmallData bounds DATA frames of fewer than 64 octets that lie unread. Default 50,000.
	MaxSmallData int

	// MaxSettings bounds the settings of one SETTINGS frame. Default 32.
	MaxSettings int

	// MaxInterim bounds the interim responses (1xx) to one request, whose octets together are bounded by
	// Config.MaxHeaderBytes. Going over it is a stream error. Default 64.
	MaxInterim int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		ResetBurst:       cmp.Or(l.ResetBurst, 200),
		ResetRate:        cmp.Or(l.ResetRate, 50),
		GlitchBurst:      cmp.Or(l.GlitchBurst, 1000),
		GlitchRate:       cmp.Or(l.GlitchRate, 100),
		EmptyBurst:       cmp.Or(l.EmptyBurst, 100),
		EmptyRate:        cmp.Or(l.EmptyRate, 10),
		MaxContinuations: cmp.Or(l.MaxContinuations, 8),
		MaxQueuedControl: cmp.Or(l.MaxQueuedControl, 1000),
		MaxSmallData:     cmp.Or(l.MaxSmallData, 50_000),
		MaxSettings:      cmp.Or(l.MaxSettings, 32),
		MaxInterim:       cmp.Or(l.MaxInterim, 64),
	}
}

// over tells whether n is over a limit, of which a negative one is none.
func over(n, limit int) bool { return limit >= 0 && n > limit }

// bucket is a token bucket kept as one point in time: when it will be full again.
type bucket struct{ full time.Time }

// take takes one token and tells whether there was one.
func (b *bucket) take(now time.Time, burst, rate int) bool {
	if burst < 0 || rate < 0 {
		return true
	}
	if b.empty(now, burst, rate) {
		return false
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(time.Second / time.Duration(max(rate, 1)))
	return true
}

// empty tells whether there is no token.
func (b *bucket) empty(now time.Time, burst, rate int) bool {
	each := time.Second / time.Duration(max(rate, 1))
	return burst >= 0 && rate >= 0 && b.full.Sub(now) > each*time.Duration(burst-1)
}

// limiter holds what Limits is checked against.
type limiter struct {
	*Limits
	resets, glitches, empties bucket
	pushResets                bucket // of streams that we have pushed

	windowUpdates int // WINDOW_UPDATE frames that are free: ten for each DATA frame sent
	pings         int // PING frames that are free: one for each DATA frame sent
	priorities    int // PRIORITY and PRIORITY_UPDATE frames that are free: ten for each stream opened
	smallData     int // small DATA frames unread, over all streams
	queuedControl int // answers appended since the output was last taken
}

func calm(reason string) error {
	return frame.NewConnError(frame.EnhanceYourCalm, "RFC 9113 §10.5", reason)
}

func (l *limiter) reset(now time.Time, reason string) error {
	if l.resets.take(now, l.ResetBurst, l.ResetRate) {
		return nil
	}
	return calm(reason)
}

// pushReset charges a RST_STREAM for a stream of ours. To refuse pushes so is the client's right (RFC 9113 §8.4.2): it
// costs it no more than the pushes to come.
func (l *limiter) pushReset(now time.Time) bool {
	return l.pushResets.take(now, l.ResetBurst, l.ResetRate)
}

// unwanted tells whether the client has reset so much that was pushed that there had better be no more.
func (l *limiter) unwanted(now time.Time) bool {
	return l.pushResets.empty(now, l.ResetBurst, l.ResetRate)
}

func (l *limiter) glitch(now time.Time) error {
	if l.glitches.take(now, l.GlitchBurst, l.GlitchRate) {
		return nil
	}
	return calm("too_many_glitches")
}

func (l *limiter) empty(now time.Time) error {
	if l.empties.take(now, l.EmptyBurst, l.EmptyRate) {
		return nil
	}
	return calm("too_many_data_frames: empty")
}

func (l *limiter) windowUpdate(now time.Time) error {
	if l.windowUpdates > 0 {
		l.windowUpdates--
		return nil
	}
	return l.glitch(now)
}

// ping charges a PING. One for each DATA frame of ours is free: peers measure the path so, grpc-go for example.
func (l *limiter) ping(now time.Time) error {
	if l.pings > 0 {
		l.pings--
		return nil
	}
	return l.glitch(now)
}

// opened notes that the peer has opened a stream.
func (l *limiter) opened() { l.priorities = min(l.priorities+10, 1<<12) }

// priority charges a PRIORITY or PRIORITY_UPDATE. Ten for each stream that the peer has opened are free: browsers
// reprioritize what they load as the page is laid out and scrolled.
func (l *limiter) priority(now time.Time) error {
	if l.priorities > 0 {
		l.priorities--
		return nil
	}
	return l.glitch(now)
}

func (l *limiter) control() error {
	l.queuedControl++
	if over(l.queuedControl, l.MaxQueuedControl) {
		return calm("too_many_queued_answers")
	}
	return nil
}
