package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A group has as many dials in progress as its waiters need: each is expected to bring as many
// streams as the server allowed last. The dials follow these rules.
//
//   - A dial belongs to the waiters that were there when it began, as many as it is expected to
//     serve. If it fails, they fail; a waiter that came later gets another dial. The values of its
//     context, hooks for example, are those of the first waiter.
//   - The new connection is part of the pool and serves the waiters in order, whatever dial they
//     belong to.
//   - When all requests that wait for a dial were cancelled it is cancelled, unless others have
//     joined that have no dial of their own. A dial whose waiters were served by other connections
//     goes on: the load needs it. When a connection has come and no waiter is left, the dials that
//     remain are cancelled.
//   - While there are more waiters than dials that belong to any, another dial begins beside one
//     that takes longer than attemptDelay, a third when the second takes twice as long, and so on.
//   - After a dial that has failed, or whose connection was lost before it brought a response, the
//     next begins after a backoff, which doubles.

const (
	// attemptDelay is how long the waiters wait for a dial before another begins beside it, the
	// Connection Attempt Delay of RFC 8305 §5; also how long a new connection may take to say how
	// many streams it allows. It is the delay that package net has.
	attemptDelay = 300 * time.Millisecond
	// maxYoungDials bounds the dials of a group that are younger than attemptDelay.
	maxYoungDials = 64
	// minDialBackoff is the backoff after the first failure, and maxDialBackoff the longest.
	minDialBackoff = 5 * time.Millisecond
	maxDialBackoff = 320 * time.Millisecond
)

// errDialExited is the error of a dial whose function has ended its goroutine (runtime.Goexit) or
// panicked.
var errDialExited = errors.New("http2: the dial function did not return")

// dial is one dial in progress. It is guarded by pool.mu.
type dial struct {
	began    time.Time
	cancel   context.CancelFunc
	waiters  int  // how many waiters it belongs to
	canceled bool // its context was cancelled, and it is not in group.dials
}

// planDialsLocked starts the dials that the waiters need, and sets the timer where another is due
// later.
func (g *group) planDialsLocked() {
	for len(g.waiters) > 0 {
		now := time.Now()
		if g.pool.t.t1 != nil {
			g.planNetHTTPDialLocked(now)
			return
		}
		at, ok := g.nextDialLocked(now)
		if !ok {
			return
		}
		if at.After(now) {
			g.setTimerLocked(at)
			return
		}
		g.startDialLocked(now)
	}
}

// planNetHTTPDialLocked has net/http dial for the waiters, by ending their waits with errNoCached,
// unless there is reason to wait. Where connections have brought no response it dials for one at a
// time.
func (g *group) planNetHTTPDialLocked(now time.Time) {
	notBefore := g.notBefore
	if streams, _, last := g.comingStreamsLocked(now); len(g.waiters) <= streams {
		notBefore = later(notBefore, last.Add(attemptDelay))
	}
	switch {
	case g.pool.t.strict() && g.usableLocked() > 0:
	case notBefore.After(now):
		g.setTimerLocked(notBefore)
	case g.failures > 0 && !slices.ContainsFunc(g.conns, func(cc *ClientConn) bool { return cc.hadResponse.Load() }):
		w := g.waiters[0]
		g.removeWaiterLocked(0)
		w.finishLocked(nil, errNoCached)
		g.notBefore = now.Add(g.dialBackoffLocked())
		g.setTimerLocked(g.notBefore)
	default:
		g.failWaitersLocked(errNoCached)
	}
}

// nextDialLocked returns when the next dial is to begin, and false if none is needed or allowed.
func (g *group) nextDialLocked(now time.Time) (at time.Time, ok bool) {
	t := g.pool.t
	if t.MaxConnsPerHost > 0 || t.strict() {
		usable := g.usableLocked()
		if t.strict() && usable > 0 {
			return at, false
		}
		if t.MaxConnsPerHost > 0 && usable+len(g.dials) >= t.MaxConnsPerHost {
			return g.replaceDialLocked(now)
		}
	}
	streams, n, last := g.comingStreamsLocked(now)
	if len(g.waiters) > streams {
		if young := g.youngDialsLocked(now); len(young) >= maxYoungDials {
			return later(g.notBefore, young[0].began.Add(attemptDelay)), true
		}
		return g.notBefore, true
	}
	owned := 0
	for _, d := range g.dials {
		if d.waiters > 0 {
			owned++
		}
	}
	return later(g.notBefore, last.Add(attemptDelay<<min(n-1, 7))), len(g.waiters) > owned
}

// replaceDialLocked cancels a dial that has lasted and that belongs to no waiter, where no further
// one is allowed. It returns when to begin or to look again.
func (g *group) replaceDialLocked(now time.Time) (at time.Time, ok bool) {
	for _, d := range g.dials {
		if d.waiters > 0 {
			continue
		}
		if at = d.began.Add(attemptDelay); at.After(now) {
			return at, true
		}
		g.cancelDialLocked(d)
		return g.notBefore, true
	}
	return at, false
}

// comingStreamsLocked counts the streams that are expected of dials, and of young connections that
// have not said how many they allow; n counts those dials and connections, of which the last began
// at last.
func (g *group) comingStreamsLocked(now time.Time) (streams, n int, last time.Time) {
	expected := g.streamsPerConnLocked()
	for _, d := range g.dials {
		streams, n, last = streams+expected, n+1, later(last, d.began)
	}
	for _, cc := range g.conns {
		if !cc.settingsSeen.Load() && !cc.unusable() && now.Sub(cc.created) < attemptDelay {
			taken, _ := cc.c.Quota()
			streams, n, last = streams+max(expected-taken, 0), n+1, later(last, cc.created)
		}
	}
	return streams, n, last
}

// streamsPerConnLocked returns how many streams a new connection is expected to allow.
func (g *group) streamsPerConnLocked() int {
	t := g.pool.t
	streams := initialMaxStreams
	switch {
	case t.strict():
		streams = 1 << 20 // all waiters share one connection
	case g.streamLimit > 0:
		streams = g.streamLimit
	}
	if t.MaxRequestsPerConn > 0 {
		streams = int(min(int64(streams), t.MaxRequestsPerConn))
	}
	if t.disableKeepAlives() {
		streams = 1
	}
	return streams
}

// setStreamLimitLocked records how many streams the server of a connection allows. A server that
// allows none counts as one that cannot be reached.
func (g *group) setStreamLimitLocked(cc *ClientConn, limit uint32) {
	g.streamLimit = int(min(max(limit, 1), 1000))
	if limit == 0 {
		g.recordConnFailureLocked(cc)
	}
}

// youngDialsLocked returns the dials that are younger than attemptDelay.
func (g *group) youngDialsLocked(now time.Time) []*dial {
	i := slices.IndexFunc(g.dials, func(d *dial) bool { return now.Sub(d.began) < attemptDelay })
	if i < 0 {
		return nil
	}
	return g.dials[i:]
}

// startDialLocked begins a dial for the waiters that have none, or else for those that share one
// with others.
func (g *group) startDialLocked(now time.Time) {
	d := &dial{began: now}
	expected := g.streamsPerConnLocked()
	var first *waiter
	take := func(w *waiter) {
		if d.waiters == expected {
			return
		}
		w.leaveDialLocked()
		w.dial = d
		if d.waiters++; first == nil {
			first = w
		}
	}
	for _, w := range g.waiters {
		if w.dial == nil {
			take(w)
		}
	}
	if first == nil {
		for _, w := range g.waiters {
			if w.dial != d && w.dial.waiters > 1 {
				take(w)
			}
		}
	}
	if first == nil {
		first = g.waiters[0]
	}
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(first.ctx))
	g.dials = append(g.dials, d)
	go g.runDial(ctx, d) // ends with the dial, which has timeouts and is cancelled when no request waits for it
}

// runDial makes a connection.
func (g *group) runDial(ctx context.Context, d *dial) {
	var cc *ClientConn
	err := errDialExited
	defer func() {
		if err != nil {
			d.cancel() // without an error the connection may depend on the context
		}
		g.dialDone(d, cc, err)
	}()
	cc, err = g.target.Dial(ctx)
}

// dialDone takes the result of a dial.
func (g *group) dialDone(d *dial, cc *ClientConn, err error) {
	p := g.pool
	p.mu.Lock()
	if err == nil && d.canceled && !g.wantsConnLocked() {
		p.mu.Unlock()
		_ = cc.Close() // never fails
		return
	}
	if i := slices.Index(g.dials, d); i >= 0 {
		g.dials = slices.Delete(g.dials, i, i+1)
	}
	var useless []*ClientConn
	switch {
	case err == nil:
		g.detachWaitersLocked(d)
		p.addLocked(g, cc)
		for _, old := range g.conns {
			if old != cc && old.allowsNoStreams() {
				useless = append(useless, old)
			}
		}
		if len(g.waiters) == 0 {
			g.cancelDialsLocked()
		}
	case errors.Is(err, ErrHTTP1):
		g.failWaitersLocked(err)
		g.cancelDialsLocked()
	default:
		if !d.canceled {
			g.recordFailureLocked(d.began, d.began)
		}
		g.failDialWaitersLocked(d, err)
		g.planDialsLocked()
	}
	p.dropIfEmptyLocked(g)
	p.mu.Unlock()
	for _, old := range useless {
		old.retire()
	}
}

// wantsConnLocked reports whether a connection whose dial was cancelled is needed and
// allowed.
func (g *group) wantsConnLocked() bool {
	limit := g.pool.t.MaxConnsPerHost
	return len(g.waiters) > 0 && (limit <= 0 || g.usableLocked()+len(g.dials) < limit)
}

// detachWaitersLocked has a dial belong to no waiter.
func (g *group) detachWaitersLocked(d *dial) {
	for _, w := range g.waiters {
		if w.dial == d {
			w.leaveDialLocked()
		}
	}
}

// failDialWaitersLocked ends the waits of the waiters that a dial belongs to.
func (g *group) failDialWaitersLocked(d *dial, err error) {
	g.waiters = slices.DeleteFunc(g.waiters, func(w *waiter) bool {
		if w.dial != d {
			return false
		}
		w.finishLocked(nil, err)
		return true
	})
}

// waiterLeftLocked is called when a waiter of d, which may be nil, was cancelled.
func (g *group) waiterLeftLocked(d *dial) {
	switch {
	case len(g.waiters) == 0:
		g.cancelDialsLocked()
	case d == nil || d.canceled || d.waiters > 0:
	case !slices.ContainsFunc(g.waiters, func(w *waiter) bool { return w.dial == nil }):
		g.cancelDialLocked(d)
	}
}

// cancelDialsLocked cancels all dials.
func (g *group) cancelDialsLocked() {
	for _, d := range slices.Clone(g.dials) {
		g.cancelDialLocked(d)
	}
}

// cancelDialLocked cancels a dial. Another may begin in its place at once, even if the dial
// function does not heed its context.
func (g *group) cancelDialLocked(d *dial) {
	d.canceled = true
	d.cancel()
	g.detachWaitersLocked(d)
	g.dials = slices.DeleteFunc(g.dials, func(have *dial) bool { return have == d })
}

// recordFailureLocked sets a backoff, which begins at a time, after a dial that began at a given
// time has led to no response. Of dials that ran side by side only the first that fails counts.
func (g *group) recordFailureLocked(began, at time.Time) {
	if began.Before(g.failedAt) {
		return
	}
	g.failedAt = time.Now()
	g.failures++
	g.notBefore = at.Add(g.dialBackoffLocked())
	g.forgetFailuresAt = g.notBefore
}

// recordConnFailureLocked is recordFailureLocked for a connection that has brought no response.
// Requests that were sent on it come back after a while, so the failure is remembered for longer.
func (g *group) recordConnFailureLocked(cc *ClientConn) {
	g.recordFailureLocked(cc.created, time.Now())
	g.forgetFailuresAt = g.notBefore.Add(time.Second)
}

// dialBackoffLocked returns the backoff after the failures so far.
func (g *group) dialBackoffLocked() time.Duration {
	return min(minDialBackoff<<min(g.failures-1, 10), maxDialBackoff)
}

// setTimerLocked has onTimer called at a given time, if it is not called before.
func (g *group) setTimerLocked(at time.Time) {
	if !g.timerAt.IsZero() && !g.timerAt.After(at) {
		return
	}
	g.timerAt = at
	if g.timer == nil {
		g.timer = time.AfterFunc(time.Until(at), g.onTimer)
	} else {
		g.timer.Reset(time.Until(at))
	}
}

// onTimer serves the waiters of a group when a backoff, or the time for a further dial, has passed.
func (g *group) onTimer() {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	g.timerAt = time.Time{}
	g.serveWaitersLocked()
	g.pool.dropIfEmptyLocked(g)
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
