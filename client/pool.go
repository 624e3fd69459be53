package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Key says which connections can take a request: those with the same key.
type Key struct {
	Scheme string // "https" or "http"
	Addr   string // "host:port"
	Proxy  string // URL of the proxy, empty without one

	family uint64 // under Configure: see handedOver
}

// Target is where a request goes.
type Target struct {
	Key
	t       *Transport
	proxy   *proxy
	cached  bool // net/http dials: see Configure
	own     bool // no connection to another origin will do
	refused bool // a server has refused the request, which its SETTINGS might have prevented
	told    bool // the hook GetConn was called for the request
}

// Dial makes a connection, without adding it to any pool. The error is ErrHTTP1 where the server
// speaks HTTP/1.1 only: a Pool returns that from Get. ctx bounds the dial, not the connection.
func (t *Target) Dial(ctx context.Context) (*ClientConn, error) { return t.t.dial(ctx, t, t.Addr) }

// DialAddr is Dial for a pool that chooses among the addresses of a host: it connects to addr,
// "host:port", through the target's proxy if there is one, and expects there the server that
// Key.Addr names, whose name is used for TLS. With Transport.DialTLSContext that function is called
// with addr. Its example is such a pool.
func (t *Target) DialAddr(ctx context.Context, addr string) (*ClientConn, error) {
	return t.t.dial(ctx, t, addr)
}

// ErrHTTP1 is the error of Target.Dial for a server that does not speak HTTP/2.
var ErrHTTP1 = errors.New("http2: the server speaks HTTP/1.1")

var errNoConn = errors.New("http2: Pool.Get returned neither a connection nor an error")

// Pool chooses the connection for each request. All methods may be called by any goroutine.
type Pool interface {
	// Get returns a connection for req with a stream reserved by ClientConn.Reserve. It may wait
	// for one, or dial. It must not change req, nor read its body. Get is called again for a
	// request that is to be sent again.
	Get(req *http.Request, target *Target) (*ClientConn, error)

	// CloseIdleConnections closes, by ClientConn.Shutdown, what has no request.
	CloseIdleConnections()
}

// pool is the Pool of a Transport. A request goes to the connection with a free stream that has the
// fewest open. Where there is none it joins the waiters of its group, which are served in order
// with the streams that become free, and with those of new connections: see pool_dial.go.
//
// All of it is guarded by mu, so there is one rule against lost wake-ups: a slot becomes free
// before its connection calls changed, which takes mu; a waiter looks for a free slot and joins the
// queue in one hold of mu. Either the waiter sees the slot or changed sees the waiter. What only
// reads takes mu shared.
//
// Lock order: pool.mu, then those of ClientConn and conn. Nothing that calls the slot hook of a
// connection may be called with mu held.
type pool struct {
	t *Transport

	mu       sync.RWMutex
	total    int // connections of all groups
	groups   map[Key]*group
	claims   map[Key][]*ClientConn // connections to other origins: see Transport.Coalesce
	sweeping bool                  // sweep will be called
	families families
}

// group is what a pool has for one key. It is guarded by pool.mu, but conns may be read with the
// lock shared.
type group struct {
	pool    *pool
	target  Target
	conns   []*ClientConn
	waiters []*waiter // in the order of their arrival
	onState func(*ClientConn)

	dials     []*dial   // in progress, in the order in which they began
	limit     int       // streams that the last server allowed which has said so, 0 while none has
	failures  int       // dials in a row that have led to no response
	failedAt  time.Time // when the last of them was found out
	notBefore time.Time // no dial before this time, because of them
	keepUntil time.Time // they are remembered until then
	timer     *time.Timer
	timerAt   time.Time // when tick is called, the zero time if it is not
}

// waiter is a request without a connection.
type waiter struct {
	ctx   context.Context // of the request
	first int             // as in ClientConn.acquire
	dial  *dial           // whose failure is this waiter's, too; nil if it joined later than that began
	ready chan struct{}   // closed when cc or err is set
	cc    *ClientConn
	err   error
}

func newPool(t *Transport) *pool { return &pool{t: t, groups: make(map[Key]*group)} }

// Get implements Pool.
func (p *pool) Get(req *http.Request, target *Target) (*ClientConn, error) {
	first := p.t.firstStreams(req, target)
	p.mu.RLock()
	cc := p.groups[target.Key].choose(first)
	if cc == nil && len(p.claims) > 0 {
		cc = p.shared(target, first)
	}
	p.mu.RUnlock()
	if cc != nil {
		return cc, nil
	}
	w := p.enqueue(req.Context(), target, first)
	select {
	case <-w.ready:
		return w.cc, w.err
	case <-req.Context().Done():
		p.forget(target.Key, w)
		return nil, req.Context().Err()
	case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
		p.forget(target.Key, w)
		return nil, errRequestCanceled
	}
}

// streamsAtFirst is how many streams a server is taken to allow before it has said so, as
// everywhere (RFC 9113 §6.5.2 recommends no less).
const streamsAtFirst = 100

// firstStreams says how many streams a connection may have for this request to be sent on it before
// the server has said how many it allows. It may refuse those beyond, so a request that cannot be
// sent again takes no risk.
func (t *Transport) firstStreams(req *http.Request, target *Target) int {
	if target.refused || t.maxAttempts() == 1 {
		return 1
	}
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil ||
		req.ContentLength > 0 && req.ContentLength <= int64(t.replayBuffer()) {
		return streamsAtFirst
	}
	return 1
}

// choose reserves a stream, nil if no connection has a free one or another request waits.
func (g *group) choose(first int) *ClientConn {
	if g == nil || len(g.waiters) > 0 {
		return nil
	}
	return g.reserve(first)
}

// reserve reserves a stream, on the connection that has the fewest, or, where net/http dials more
// connections than there is use for, on the first that has a free one: see sweep.
func (g *group) reserve(first int) *ClientConn {
	if g.limit > 0 {
		first = min(first, g.limit)
	}
	if len(g.conns) > 1 && g.pool.t.t1 == nil {
		return g.leastLoaded(first)
	}
	for _, cc := range g.conns {
		if cc.acquire(first) == nil {
			return cc
		}
	}
	return nil
}

func (g *group) leastLoaded(first int) *ClientConn {
	for range 3 { // the chosen one may be full the next moment
		var best *ClientConn
		least := 0
		for _, cc := range g.conns {
			if taken, free := cc.slots(first); free > 0 && (best == nil || taken < least) {
				best, least = cc, taken
			}
		}
		if best == nil {
			return nil
		}
		if best.acquire(first) == nil {
			return best
		}
	}
	return nil
}

// enqueue makes a waiter, which may have been served already.
func (p *pool) enqueue(ctx context.Context, target *Target, first int) *waiter {
	w := &waiter{ctx: ctx, first: first, ready: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group(target)
	if cc := g.choose(first); cc != nil {
		w.end(cc, nil)
		return w
	}
	g.waiters = append(g.waiters, w)
	g.serve()
	p.drop(g)
	return w
}

// end ends the wait.
func (w *waiter) end(cc *ClientConn, err error) {
	w.cc, w.err = cc, err
	w.leaveDial()
	close(w.ready)
}

func (w *waiter) leaveDial() {
	if w.dial != nil {
		w.dial.waiters--
		w.dial = nil
	}
}

func (p *pool) group(target *Target) *group {
	g := p.groups[target.Key]
	if g == nil {
		g = &group{pool: p, target: *target}
		g.target.own, g.target.refused, g.target.told = false, false, false // those are one request's
		g.onState = func(cc *ClientConn) { p.changed(g, cc) }
		p.groups[target.Key] = g
	}
	return g
}

// usable counts the connections that take requests, now or later.
func (g *group) usable() (n int) {
	for _, cc := range g.conns {
		if !cc.gone() && !cc.useless() {
			n++
		}
	}
	return n
}

// fail ends all waits.
func (g *group) fail(err error) {
	for _, w := range g.waiters {
		w.end(nil, err)
	}
	g.waiters = nil
}

// add makes a connection part of a group and serves the waiters.
func (p *pool) add(g *group, cc *ClientConn) {
	g.conns = append(g.conns, cc)
	p.total++
	cc.pooled.Store(&g.onState)
	p.claimLocked(cc)
	if g.target.Scheme == "https" {
		p.t.h1.unmark(g.target.Key)
	}
	g.update(cc) // it may have changed before it had the hook
	g.serve()
}

// serve gives streams to the waiters, as far as there are any, in order; but a waiter that needs
// the server's SETTINGS lets others pass that do not. Then it starts the dials that are needed.
func (g *group) serve() {
	careful := false // no stream is free for those that need SETTINGS
	for i := 0; i < len(g.waiters); {
		w := g.waiters[i]
		var cc *ClientConn
		if !careful || w.first > 1 {
			cc = g.reserve(w.first)
		}
		switch {
		case cc != nil:
			g.removeWaiter(i)
			w.end(cc, nil)
			continue
		case w.first > 1:
			g.plan()
			return
		}
		careful = true
		i++
	}
	g.plan()
}

func (g *group) removeWaiter(i int) {
	if i == 0 {
		g.waiters[0] = nil
		g.waiters = g.waiters[1:]
		return
	}
	g.waiters = slices.Delete(g.waiters, i, i+1)
}

// changed is told by a connection that its state may have changed.
func (p *pool) changed(g *group, cc *ClientConn) {
	limit := p.t.maxIdleConns()
	gone := cc.gone()
	p.mu.RLock()
	excess := limit > 0 && p.total > limit
	calm := len(g.waiters) == 0 && !gone && cc.settled.Load()
	p.mu.RUnlock()
	if !calm {
		p.mu.Lock()
		g.update(cc)
		g.serve()
		p.drop(g)
		p.mu.Unlock()
	}
	if excess {
		p.trim(limit)
	}
}

// update learns what a connection says of its server, and takes it out of its group if it takes no
// more requests.
func (g *group) update(cc *ClientConn) {
	if !cc.settled.Load() {
		if s, ok := cc.c.KnownSettings(); ok {
			cc.settled.Store(true)
			g.learn(cc, s.MaxConcurrentStreams)
		}
	}
	if !cc.gone() {
		return
	}
	i := slices.Index(g.conns, cc)
	if i < 0 {
		return
	}
	g.conns = slices.Delete(slices.Clone(g.conns), i, i+1)
	g.pool.total--
	switch {
	case cc.answered.Load():
		g.failures, g.notBefore, g.keepUntil = 0, time.Time{}, time.Time{}
	case cc.c.Err() != nil:
		g.fruitless(cc)
	}
	cc.mu.Lock()
	for _, key := range cc.claims {
		g.pool.disclaim(cc, key)
	}
	cc.mu.Unlock()
}

// drop forgets a group that has nothing left, its failures only when it is time.
func (p *pool) drop(g *group) {
	if len(g.conns) > 0 || len(g.waiters) > 0 || len(g.dials) > 0 || p.groups[g.target.Key] != g {
		return
	}
	if g.keepUntil.After(time.Now()) {
		g.wakeAt(g.keepUntil)
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	delete(p.groups, g.target.Key)
}

// forget ends the wait of a request that was given up.
func (p *pool) forget(key Key, w *waiter) {
	p.mu.Lock()
	if g := p.groups[key]; g != nil {
		if i := slices.Index(g.waiters, w); i >= 0 {
			g.removeWaiter(i)
			d := w.dial
			w.leaveDial()
			g.giveUp(d)
			g.plan()
			p.drop(g)
		}
	}
	p.mu.Unlock()
	if w.cc != nil { // it was served at the same moment
		w.cc.unreserve()
	}
}
