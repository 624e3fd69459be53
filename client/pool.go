package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// Key says which connections can take a request: those with the same key.
type Key struct {
	Scheme string // "https" or "http"
	Addr   string // "host:port"
	Proxy  string // URL of the proxy, empty without one
}

// Target is where a request goes.
type Target struct {
	Key
	t      *Transport
	proxy  *proxy
	cached bool // net/http dials: see Configure
	own    bool // no connection to another origin will do
}

// Dial makes a connection, without adding it to any pool. The error is ErrHTTP1 where the server speaks HTTP/1.1 only:
// a Pool returns that from Get. ctx bounds the dial, not the connection.
func (t *Target) Dial(ctx context.Context) (*ClientConn, error) { return t.t.dial(ctx, t) }

// ErrHTTP1 is the error of Target.Dial for a server that does not speak HTTP/2.
var ErrHTTP1 = errors.New("http2: the server speaks HTTP/1.1")

// Pool chooses the connection for each request. All methods may be called by any goroutine.
type Pool interface {
	// Get returns a connection for req with a stream reserved by ClientConn.Reserve. It may wait for one, or dial. It
	// must not change req, nor read its body. Get is called again for a request that is to be sent again.
	Get(req *http.Request, target *Target) (*ClientConn, error)

	// CloseIdleConnections closes, by ClientConn.Shutdown, what has no request.
	CloseIdleConnections()
}

// pool is the Pool of a Transport: a request goes to the connection with a free stream that has the fewest, a new
// connection is made when there is none, one at a time for all who wait, and who waits is served in order.
//
// Lock order: pool.mu, then what conn and ClientConn have.
type pool struct {
	t *Transport

	total   atomic.Int64 // connections
	waiting atomic.Int64 // requests

	mu       sync.RWMutex
	groups   map[Key]*group
	claims   map[Key][]*ClientConn // connections to other origins: see Transport.Coalesce
	sweeping bool                  // sweep will be called
}

// group is what a pool has for one key. It is guarded by pool.mu, but conns may be read with the lock shared.
type group struct {
	pool    *pool
	target  Target
	conns   []*ClientConn
	waiters []*waiter
	dialing bool
	onState func(*ClientConn)
}

// waiter is a request without a connection.
type waiter struct {
	ctx   context.Context // of the request
	ready chan struct{}   // closed when cc or err is set
	cc    *ClientConn
	err   error
}

func newPool(t *Transport) *pool { return &pool{t: t, groups: make(map[Key]*group)} }

// Get implements Pool.
func (p *pool) Get(req *http.Request, target *Target) (*ClientConn, error) {
	p.mu.RLock()
	cc := p.groups[target.Key].choose()
	if cc == nil && len(p.claims) > 0 {
		cc = p.shared(target)
	}
	p.mu.RUnlock()
	switch {
	case cc != nil:
		return cc, nil
	case target.cached && !p.t.strict():
		return nil, errNoCached
	}
	w := p.enqueue(req.Context(), target)
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

// choose reserves a stream, nil if no connection has a free one or somebody waits.
func (g *group) choose() *ClientConn {
	if g == nil || len(g.waiters) > 0 {
		return nil
	}
	return g.reserve()
}

// reserve reserves a stream, on the connection that has the fewest, or, where net/http dials more connections than there
// is use for, on the first that has a free one: see sweep.
func (g *group) reserve() *ClientConn {
	if len(g.conns) > 1 && g.pool.t.t1 == nil {
		return g.leastLoaded()
	}
	for _, cc := range g.conns {
		if cc.acquire() == nil {
			return cc
		}
	}
	return nil
}

func (g *group) leastLoaded() *ClientConn {
	for range 3 { // who was chosen may be full the next moment
		var best *ClientConn
		least := 0
		for _, cc := range g.conns {
			taken, free := cc.c.Slots()
			if free > 0 && !cc.retired.Load() && (best == nil || taken < least) {
				best, least = cc, taken
			}
		}
		if best == nil {
			return nil
		}
		if best.acquire() == nil {
			return best
		}
	}
	return nil
}

// enqueue makes a waiter, which may have been served already.
func (p *pool) enqueue(ctx context.Context, target *Target) *waiter {
	w := &waiter{ctx: ctx, ready: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group(target)
	if w.cc = g.choose(); w.cc != nil {
		close(w.ready)
		return w
	}
	g.waiters = append(g.waiters, w)
	p.waiting.Add(1)
	g.dialIfNeeded()
	p.drop(g)
	return w
}

func (p *pool) group(target *Target) *group {
	g := p.groups[target.Key]
	if g == nil {
		g = &group{pool: p, target: *target}
		g.onState = func(cc *ClientConn) { p.changed(g, cc) }
		p.groups[target.Key] = g
	}
	return g
}

// dialIfNeeded starts a dial where somebody waits and another connection is allowed.
func (g *group) dialIfNeeded() {
	t := g.pool.t
	switch {
	case len(g.waiters) == 0 || g.dialing:
		return
	case t.MaxConnsPerHost > 0 && len(g.conns) >= t.MaxConnsPerHost:
		return
	case t.strict() && g.usable() > 0:
		return
	case t.t1 != nil:
		g.fail(errNoCached)
		return
	}
	g.dialing = true
	// It goes on when the request is given up, as in net/http: the next one will want the connection. But what the
	// context holds, hooks for example, is that request's.
	go g.dial(context.WithoutCancel(g.waiters[0].ctx)) // ends with the dial, which has timeouts of its own
}

// usable counts the connections that take requests, now or later.
func (g *group) usable() (n int) {
	for _, cc := range g.conns {
		if !cc.retired.Load() && cc.c.Err() == nil {
			n++
		}
	}
	return n
}

// dial makes a connection for who waits.
func (g *group) dial(ctx context.Context) {
	p := g.pool
	cc, err := g.target.Dial(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	g.dialing = false
	if err != nil {
		if g.usable() == 0 || errors.Is(err, ErrHTTP1) {
			g.fail(err)
		}
		p.drop(g)
		return
	}
	p.add(g, cc)
}

// fail ends all who wait.
func (g *group) fail(err error) {
	g.pool.waiting.Add(int64(-len(g.waiters)))
	for _, w := range g.waiters {
		w.err = err
		close(w.ready)
	}
	g.waiters = nil
}

// add makes a connection part of a group and serves who waits.
func (p *pool) add(g *group, cc *ClientConn) {
	g.conns = append(g.conns, cc)
	p.total.Add(1)
	cc.pooled.Store(&g.onState)
	p.claimLocked(cc)
	g.serve()
	g.update(cc) // it may have changed before it had the hook
}

// serve gives streams to who waits, as far as there are any.
func (g *group) serve() {
	for len(g.waiters) > 0 {
		cc := g.reserve()
		if cc == nil {
			g.dialIfNeeded()
			return
		}
		w := g.waiters[0]
		g.waiters = g.waiters[1:]
		g.pool.waiting.Add(-1)
		w.cc = cc
		close(w.ready)
	}
}

// changed is told by a connection that its state may have changed.
func (p *pool) changed(g *group, cc *ClientConn) {
	limited := p.t.maxIdleConns()
	idle := limited > 0 && p.total.Load() > int64(limited)
	if p.waiting.Load() == 0 && !idle && !cc.retired.Load() && cc.c.Err() == nil {
		return // what nearly always holds must be quick
	}
	p.mu.Lock()
	g.update(cc)
	g.serve()
	p.drop(g)
	p.mu.Unlock()
	if idle {
		p.trim(limited)
	}
}

// update takes a connection out of its group that takes no more requests.
func (g *group) update(cc *ClientConn) {
	if !cc.retired.Load() && cc.c.Err() == nil {
		return
	}
	for i, have := range g.conns {
		if have == cc {
			g.conns = append(g.conns[:i:i], g.conns[i+1:]...)
			g.pool.total.Add(-1)
			cc.mu.Lock()
			for _, key := range cc.claims {
				g.pool.disclaim(cc, key)
			}
			cc.mu.Unlock()
			return
		}
	}
}

// drop forgets a group that has nothing left.
func (p *pool) drop(g *group) {
	if len(g.conns) == 0 && len(g.waiters) == 0 && !g.dialing && p.groups[g.target.Key] == g {
		delete(p.groups, g.target.Key)
	}
}

// forget ends the wait of a request that was given up.
func (p *pool) forget(key Key, w *waiter) {
	p.mu.Lock()
	g := p.groups[key]
	if g != nil {
		for i, have := range g.waiters {
			if have == w {
				g.waiters = append(g.waiters[:i:i], g.waiters[i+1:]...)
				p.waiting.Add(-1)
				p.drop(g)
				break
			}
		}
	}
	p.mu.Unlock()
	if w.cc != nil { // it was served at the same moment
		w.cc.c.Unreserve()
	}
}

// trim closes the connections that have been idle for longest, beyond limit.
func (p *pool) trim(limit int) {
	for p.total.Load() > int64(limit) {
		cc := p.longestIdle()
		if cc == nil {
			return
		}
		cc.retire()
	}
}

func (p *pool) longestIdle() (longest *ClientConn) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, g := range p.groups {
		for _, cc := range g.conns {
			since := cc.c.IdleSince()
			if since.IsZero() || cc.retired.Load() {
				continue
			}
			if inFlight, _ := cc.c.Slots(); inFlight > 0 {
				continue
			}
			if longest == nil || since.Before(longest.c.IdleSince()) {
				longest = cc
			}
		}
	}
	return longest
}

// CloseIdleConnections implements Pool.
func (p *pool) CloseIdleConnections() {
	p.mu.RLock()
	var all []*ClientConn
	for _, g := range p.groups {
		all = append(all, g.conns...)
	}
	p.mu.RUnlock()
	for _, cc := range all {
		if inFlight, _ := cc.c.Slots(); inFlight == 0 {
			cc.retire()
		}
	}
}
