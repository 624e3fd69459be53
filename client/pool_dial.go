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
//     serve. If it fails, they fail; a waiter that came later gets another dial. What the request's
//     context holds, hooks for example, is that of the first of them.
//   - Its connection is part of the pool and serves the waiters in order, whatever dial they belong
//     to.
//   - When all waiters of a dial have given up it is cancelled, unless others have joined that have
//     no dial of their own. A dial whose waiters were served by other connections goes on: the load
//     needs it. When a connection has come and no waiter is left, the dials that remain are
//     cancelled.
//   - A dial that takes long is not waited for by all: waiters beside its first get another one
//     after dialPatience, twice that after the second, and so on.
//   - After a dial that has failed, or whose connection was lost before it brought a response, the
//     next is not begun before a pause, which doubles.

const (
	// dialPatience is how long others wait for a dial before another begins beside it; also how
	// long a new connection may take to say how many streams it has. It is the delay between
	// attempts of package net (RFC 8305 §5).
	dialPatience = 300 * time.Millisecond
	// maxYoungDials bounds the dials of a group that are younger than dialPatience.
	maxYoungDials = 64
	// firstPause is the pause after the first failure, and maxPause the longest.
	firstPause = 5 * time.Millisecond
	maxPause   = 320 * time.Millisecond
)

// errDialGone is the error of a dial whose function has ended its goroutine (runtime.Goexit) or
// panicked.
var errDialGone = errors.New("http2: the dial function did not return")

// dial is one dial in progress.
type dial struct {
	began    time.Time
	cancel   context.CancelFunc
	waiters  int  // that it belongs to
	canceled bool // and is not in group.dials any more
}

// plan starts the dials that the waiters need, and has tick called when it is time for another.
func (g *group) plan() {
	for len(g.waiters) > 0 {
		now := time.Now()
		if g.pool.t.t1 != nil {
			g.planCached(now)
			return
		}
		at, ok := g.nextDial(now)
		if !ok {
			return
		}
		if at.After(now) {
			g.wakeAt(at)
			return
		}
		g.startDial(now)
	}
}

// planCached has net/http dial for the waiters, unless there is reason to wait. Where connections
// have led to nothing it dials for one at a time.
func (g *group) planCached(now time.Time) {
	wait := g.notBefore
	if room, _, last := g.coming(now); len(g.waiters) <= room {
		wait = later(wait, last.Add(dialPatience))
	}
	switch {
	case g.pool.t.strict() && g.usable() > 0:
	case wait.After(now):
		g.wakeAt(wait)
	case g.failures > 0 && !slices.ContainsFunc(g.conns, func(cc *ClientConn) bool { return cc.answered.Load() }):
		w := g.waiters[0]
		g.removeWaiter(0)
		w.end(nil, errNoCached)
		g.notBefore = now.Add(g.pause())
		g.wakeAt(g.notBefore)
	default:
		g.fail(errNoCached)
	}
}

// nextDial tells when the next dial is to begin, and false if none is needed or allowed.
func (g *group) nextDial(now time.Time) (at time.Time, ok bool) {
	t := g.pool.t
	if t.MaxConnsPerHost > 0 || t.strict() {
		usable := g.usable()
		if t.strict() && usable > 0 {
			return at, false
		}
		if t.MaxConnsPerHost > 0 && usable+len(g.dials) >= t.MaxConnsPerHost {
			return g.replace(now)
		}
	}
	room, n, last := g.coming(now)
	if len(g.waiters) > room {
		if young := g.youngDials(now); len(young) >= maxYoungDials {
			return later(g.notBefore, young[0].began.Add(dialPatience)), true
		}
		return g.notBefore, true
	}
	owned := 0
	for _, d := range g.dials {
		if d.waiters > 0 {
			owned++
		}
	}
	return later(g.notBefore, last.Add(dialPatience<<min(n-1, 7))), len(g.waiters) > owned
}

// replace gives up a dial that has lasted and that no waiter belongs to any more, where no further
// one is allowed.
func (g *group) replace(now time.Time) (at time.Time, ok bool) {
	for _, d := range g.dials {
		if d.waiters > 0 {
			continue
		}
		if at = d.began.Add(dialPatience); at.After(now) {
			return at, true
		}
		g.cancelDial(d)
		return g.notBefore, true
	}
	return at, false
}

// coming counts the streams that are expected of dials and of connections that have not said how
// many they have, and those dials and connections; the last of them began at last. Connections are
// patiently waited for only so long.
func (g *group) coming(now time.Time) (room, n int, last time.Time) {
	expected := g.expected()
	for _, d := range g.dials {
		room, n, last = room+expected, n+1, later(last, d.began)
	}
	for _, cc := range g.conns {
		if !cc.settled.Load() && !cc.gone() && now.Sub(cc.made) < dialPatience {
			taken, _ := cc.c.Slots()
			room, n, last = room+max(expected-taken, 0), n+1, later(last, cc.made)
		}
	}
	return room, n, last
}

// expected is how many streams a new connection will have.
func (g *group) expected() int {
	t := g.pool.t
	n := streamsAtFirst
	switch {
	case t.strict():
		n = 1 << 20 // all waiters will share it
	case g.limit > 0:
		n = g.limit
	}
	if t.MaxRequestsPerConn > 0 {
		n = int(min(int64(n), t.MaxRequestsPerConn))
	}
	if t.disableKeepAlives() {
		n = 1
	}
	return n
}

// learn notes how many streams the server of a connection allows. A server that allows none is as
// good as one that cannot be reached.
func (g *group) learn(cc *ClientConn, limit uint32) {
	g.limit = int(min(max(limit, 1), 1000))
	if limit == 0 {
		g.fruitless(cc)
	}
}

func (g *group) youngDials(now time.Time) []*dial {
	i := slices.IndexFunc(g.dials, func(d *dial) bool { return now.Sub(d.began) < dialPatience })
	if i < 0 {
		return nil
	}
	return g.dials[i:]
}

// startDial begins a dial for the waiters that have none, or else for those that share one with
// others.
func (g *group) startDial(now time.Time) {
	d := &dial{began: now}
	expected := g.expected()
	var first *waiter
	take := func(w *waiter) {
		if d.waiters == expected {
			return
		}
		w.leaveDial()
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
	go g.run(ctx, d) // ends when the dial does, which has timeouts of its own and is cancelled when nobody wants it
}

// run makes a connection.
func (g *group) run(ctx context.Context, d *dial) {
	var cc *ClientConn
	err := errDialGone
	defer func() {
		if err != nil {
			d.cancel() // else the connection may depend on the context
		}
		g.dialed(d, cc, err)
	}()
	cc, err = g.target.Dial(ctx)
}

// dialed takes the result of a dial.
func (g *group) dialed(d *dial, cc *ClientConn, err error) {
	p := g.pool
	p.mu.Lock()
	if err == nil && d.canceled && !g.wants() {
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
		g.disown(d)
		p.add(g, cc)
		for _, old := range g.conns {
			if old != cc && old.useless() {
				useless = append(useless, old)
			}
		}
		if len(g.waiters) == 0 {
			g.cancelDials()
		}
	case errors.Is(err, ErrHTTP1):
		g.fail(err)
		g.cancelDials()
	default:
		if !d.canceled {
			g.failed(d.began, d.began)
		}
		g.failOf(d, err)
		g.plan()
	}
	p.drop(g)
	p.mu.Unlock()
	for _, old := range useless {
		old.retire()
	}
}

// wants reports whether there is use and room for a connection whose dial was cancelled.
func (g *group) wants() bool {
	limit := g.pool.t.MaxConnsPerHost
	return len(g.waiters) > 0 && (limit <= 0 || g.usable()+len(g.dials) < limit)
}

// disown has a dial belong to no waiter.
func (g *group) disown(d *dial) {
	for _, w := range g.waiters {
		if w.dial == d {
			w.leaveDial()
		}
	}
}

// failOf ends the waits of those that a dial belongs to.
func (g *group) failOf(d *dial, err error) {
	g.waiters = slices.DeleteFunc(g.waiters, func(w *waiter) bool {
		if w.dial != d {
			return false
		}
		w.end(nil, err)
		return true
	})
}

// giveUp follows when a waiter of d, which may be nil, has given up.
func (g *group) giveUp(d *dial) {
	switch {
	case len(g.waiters) == 0:
		g.cancelDials()
	case d == nil || d.canceled || d.waiters > 0:
	case !slices.ContainsFunc(g.waiters, func(w *waiter) bool { return w.dial == nil }):
		g.cancelDial(d)
	}
}

func (g *group) cancelDials() {
	for _, d := range slices.Clone(g.dials) {
		g.cancelDial(d)
	}
}

// cancelDial cancels a dial. Its place is free at once, even if the dial function does not heed its
// context.
func (g *group) cancelDial(d *dial) {
	d.canceled = true
	d.cancel()
	g.disown(d)
	g.dials = slices.DeleteFunc(g.dials, func(have *dial) bool { return have == d })
}

// failed imposes a pause, from a time on, after a dial that began at a given time has led to no
// response. Of dials that ran side by side only the first that fails counts.
func (g *group) failed(began, from time.Time) {
	if began.Before(g.failedAt) {
		return
	}
	g.failedAt = time.Now()
	g.failures++
	g.notBefore = from.Add(g.pause())
	g.keepUntil = g.notBefore
}

// fruitless is failed for a connection that has led to no response. Requests that were sent on it
// come back after a while, so it is remembered for longer.
func (g *group) fruitless(cc *ClientConn) {
	g.failed(cc.made, time.Now())
	g.keepUntil = g.notBefore.Add(time.Second)
}

// pause is how long the pause after the failures so far is.
func (g *group) pause() time.Duration { return min(firstPause<<min(g.failures-1, 10), maxPause) }

// wakeAt has tick called at a given time, if it is not called before.
func (g *group) wakeAt(at time.Time) {
	if !g.timerAt.IsZero() && !g.timerAt.After(at) {
		return
	}
	g.timerAt = at
	if g.timer == nil {
		g.timer = time.AfterFunc(time.Until(at), g.tick)
	} else {
		g.timer.Reset(time.Until(at))
	}
}

// tick looks at a group for which time has passed.
func (g *group) tick() {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	g.timerAt = time.Time{}
	g.serve()
	g.pool.drop(g)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
