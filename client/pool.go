package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Key says which connections can take a request: those with an equal key.
type Key struct {
	Scheme string // "https" or "http"
	Addr   string // "host:port"
	Proxy  string // URL of the proxy, empty without one

	family uint64 // the number of a family, under Configure: see handedOver
}

// Target is where a request goes.
type Target struct {
	Key
	t             *Transport
	proxy         *proxy
	netHTTPDials  bool // net/http dials for the request: see Configure
	ownConn       bool // no connection to another origin will do
	wasRefused    bool // a server has refused the request, so its SETTINGS are waited for
	getConnCalled bool // the hook GetConn was called for the request
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
// One rule prevents lost wake-ups: a slot becomes free before its connection calls connChanged,
// which takes mu; a waiter looks for a free slot and joins the queue in one hold of mu. Either the
// waiter sees the slot or connChanged sees the waiter.
//
// Lock order: pool.mu, then those of ClientConn and conn. What may call the OnQuota function of a
// connection must not be called with mu held.
type pool struct {
	t *Transport

	mu            sync.RWMutex // guards all below and the groups; held shared to look for a free slot
	connCount     int          // connections of all groups
	groups        map[Key]*group
	coalesced     map[Key][]*ClientConn // connections to other origins: see Transport.Coalesce
	reapScheduled bool                  // reapUnused will be called
	families      families              // under Configure: see handedOver
}

// group is what a pool has for one key. It is guarded by pool.mu.
type group struct {
	pool     *pool
	target   Target            // without what is of one request
	conns    []*ClientConn     // replaced, not changed, when one is taken out
	waiters  []*waiter         // in the order of their arrival
	connHook func(*ClientConn) // calls connChanged

	dials            []*dial   // in progress, in the order in which they began
	streamLimit      int       // streams that the server allowed in the SETTINGS seen last, 0 before the first
	failures         int       // dials in a row whose connections have brought no response
	failedAt         time.Time // when the last failure was counted
	notBefore        time.Time // no dial begins before this time, because of the failures
	forgetFailuresAt time.Time // until then the group is kept for its failures
	timer            *time.Timer
	timerAt          time.Time // when timer calls onTimer, zero while it is stopped
}

// waiter is a request without a connection. It is guarded by pool.mu until ready is closed.
type waiter struct {
	ctx        context.Context // of the request
	initialMax int             // as in ClientConn.reserveSlot
	dial       *dial           // a failure of this dial ends the wait; nil while none has begun for this waiter
	ready      chan struct{}   // closed when cc or err is set
	cc         *ClientConn     // with a reserved slot
	err        error
}

func newPool(t *Transport) *pool { return &pool{t: t, groups: make(map[Key]*group)} }

// Get implements Pool.
func (p *pool) Get(req *http.Request, target *Target) (*ClientConn, error) {
	initialMax := p.t.initialMaxFor(req, target)
	p.mu.RLock()
	cc := p.groups[target.Key].tryReserveLocked(initialMax)
	if cc == nil && len(p.coalesced) > 0 {
		cc = p.reserveCoalescedLocked(target, initialMax)
	}
	p.mu.RUnlock()
	if cc != nil {
		return cc, nil
	}
	w := p.enqueue(req.Context(), target, initialMax)
	select {
	case <-w.ready:
		return w.cc, w.err
	case <-req.Context().Done():
		p.cancelWait(target.Key, w)
		return nil, req.Context().Err()
	case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
		p.cancelWait(target.Key, w)
		return nil, errRequestCanceled
	}
}

// initialMaxStreams is how many streams a server is assumed to allow before it has said so. RFC
// 9113 §6.5.2 recommends no less.
const initialMaxStreams = 100

// initialMaxFor returns how many streams a connection may have for this request to be sent on it
// before the server has said how many it allows. The server may refuse those beyond its limit, so a
// request that cannot be sent again takes no risk.
func (t *Transport) initialMaxFor(req *http.Request, target *Target) int {
	if target.wasRefused || t.maxAttempts() == 1 {
		return 1
	}
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil ||
		req.ContentLength > 0 && req.ContentLength <= int64(t.replayBuffer()) {
		return initialMaxStreams
	}
	return 1
}

// tryReserveLocked reserves a stream, nil if no connection has a free one or another request waits.
// g may be nil.
func (g *group) tryReserveLocked(initialMax int) *ClientConn {
	if g == nil || len(g.waiters) > 0 {
		return nil
	}
	return g.reserveLocked(initialMax)
}

// reserveLocked reserves a stream, on the connection that has the fewest, or, where net/http dials
// more connections than are used, on the first that has a free one: see unusedLocked.
func (g *group) reserveLocked(initialMax int) *ClientConn {
	if g.streamLimit > 0 {
		initialMax = min(initialMax, g.streamLimit)
	}
	if len(g.conns) > 1 && g.pool.t.t1 == nil {
		return g.reserveLeastLoadedLocked(initialMax)
	}
	for _, cc := range g.conns {
		if cc.reserveSlot(initialMax) == nil {
			return cc
		}
	}
	return nil
}

// reserveLeastLoadedLocked reserves a stream on the connection that has the fewest.
func (g *group) reserveLeastLoadedLocked(initialMax int) *ClientConn {
	for range 3 { // the best connection may be full the next moment
		var best *ClientConn
		least := 0
		for _, cc := range g.conns {
			if taken, free := cc.slots(initialMax); free > 0 && (best == nil || taken < least) {
				best, least = cc, taken
			}
		}
		if best == nil {
			return nil
		}
		if best.reserveSlot(initialMax) == nil {
			return best
		}
	}
	return nil
}

// enqueue returns a waiter, which may have been served already.
func (p *pool) enqueue(ctx context.Context, target *Target, initialMax int) *waiter {
	w := &waiter{ctx: ctx, initialMax: initialMax, ready: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groupLocked(target)
	if cc := g.tryReserveLocked(initialMax); cc != nil {
		w.finishLocked(cc, nil)
		return w
	}
	g.waiters = append(g.waiters, w)
	g.serveWaitersLocked()
	p.dropIfEmptyLocked(g)
	return w
}

// finishLocked ends the wait.
func (w *waiter) finishLocked(cc *ClientConn, err error) {
	w.cc, w.err = cc, err
	w.leaveDialLocked()
	close(w.ready)
}

// leaveDialLocked has no dial belong to the waiter.
func (w *waiter) leaveDialLocked() {
	if w.dial != nil {
		w.dial.waiters--
		w.dial = nil
	}
}

// groupLocked returns the group for a target, which it makes where there is none.
func (p *pool) groupLocked(target *Target) *group {
	g := p.groups[target.Key]
	if g == nil {
		g = &group{pool: p, target: *target}
		g.target.ownConn, g.target.wasRefused, g.target.getConnCalled = false, false, false // these are of one request
		g.connHook = func(cc *ClientConn) { p.connChanged(g, cc) }
		p.groups[target.Key] = g
	}
	return g
}

// usableLocked counts the connections that take requests, now or when a stream ends.
func (g *group) usableLocked() (n int) {
	for _, cc := range g.conns {
		if !cc.unusable() && !cc.allowsNoStreams() {
			n++
		}
	}
	return n
}

// failWaitersLocked ends all waits with an error.
func (g *group) failWaitersLocked(err error) {
	for _, w := range g.waiters {
		w.finishLocked(nil, err)
	}
	g.waiters = nil
}

// addLocked makes a connection part of a group and serves the waiters.
func (p *pool) addLocked(g *group, cc *ClientConn) {
	g.conns = append(g.conns, cc)
	p.connCount++
	cc.poolHook.Store(&g.connHook)
	p.addOriginsLocked(cc)
	if g.target.Scheme == "https" {
		p.t.h1.forget(g.target.Key)
	}
	g.updateConnLocked(cc) // its state may have changed before the hook was set
	g.serveWaitersLocked()
}

// serveWaitersLocked gives free streams to the waiters, in order; but a waiter that needs the
// server's SETTINGS lets others pass that do not. Then it starts the dials that are needed.
func (g *group) serveWaitersLocked() {
	onlyInitial := false // no stream is free for waiters that need SETTINGS
	for i := 0; i < len(g.waiters); {
		w := g.waiters[i]
		var cc *ClientConn
		if !onlyInitial || w.initialMax > 1 {
			cc = g.reserveLocked(w.initialMax)
		}
		switch {
		case cc != nil:
			g.removeWaiterLocked(i)
			w.finishLocked(cc, nil)
			continue
		case w.initialMax > 1:
			g.planDialsLocked()
			return
		}
		onlyInitial = true
		i++
	}
	g.planDialsLocked()
}

// removeWaiterLocked takes the waiter with index i out of the queue.
func (g *group) removeWaiterLocked(i int) {
	if i == 0 {
		g.waiters[0] = nil
		g.waiters = g.waiters[1:]
		return
	}
	g.waiters = slices.Delete(g.waiters, i, i+1)
}

// connChanged is called by a connection whose state may have changed.
func (p *pool) connChanged(g *group, cc *ClientConn) {
	limit := p.t.maxIdleConns()
	unusable := cc.unusable()
	p.mu.RLock()
	excess := limit > 0 && p.connCount > limit
	unaffected := len(g.waiters) == 0 && !unusable && cc.settingsSeen.Load()
	p.mu.RUnlock()
	if !unaffected {
		p.mu.Lock()
		g.updateConnLocked(cc)
		g.serveWaitersLocked()
		p.dropIfEmptyLocked(g)
		p.mu.Unlock()
	}
	if excess {
		p.closeExcessIdle(limit)
	}
}

// updateConnLocked records what a connection says of its server, and takes it out of its group if
// it takes no more requests.
func (g *group) updateConnLocked(cc *ClientConn) {
	if !cc.settingsSeen.Load() {
		if s, ok := cc.c.KnownSettings(); ok {
			cc.settingsSeen.Store(true)
			g.setStreamLimitLocked(cc, s.MaxConcurrentStreams)
		}
	}
	if !cc.unusable() {
		return
	}
	i := slices.Index(g.conns, cc)
	if i < 0 {
		return
	}
	g.conns = slices.Delete(slices.Clone(g.conns), i, i+1)
	g.pool.connCount--
	switch {
	case cc.hadResponse.Load():
		g.failures, g.notBefore, g.forgetFailuresAt = 0, time.Time{}, time.Time{}
	case cc.c.Err() != nil:
		g.recordConnFailureLocked(cc)
	}
	cc.mu.Lock()
	for _, key := range cc.mu.coalescedOrigins {
		g.pool.removeOriginLocked(cc, key)
	}
	cc.mu.Unlock()
}

// dropIfEmptyLocked removes a group that has nothing left. One that has failures stays until
// forgetFailuresAt.
func (p *pool) dropIfEmptyLocked(g *group) {
	if len(g.conns) > 0 || len(g.waiters) > 0 || len(g.dials) > 0 || p.groups[g.target.Key] != g {
		return
	}
	if g.forgetFailuresAt.After(time.Now()) {
		g.setTimerLocked(g.forgetFailuresAt)
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	delete(p.groups, g.target.Key)
}

// cancelWait ends the wait of a request that was cancelled.
func (p *pool) cancelWait(key Key, w *waiter) {
	p.mu.Lock()
	if g := p.groups[key]; g != nil {
		if i := slices.Index(g.waiters, w); i >= 0 {
			g.removeWaiterLocked(i)
			d := w.dial
			w.leaveDialLocked()
			g.waiterLeftLocked(d)
			g.planDialsLocked()
			p.dropIfEmptyLocked(g)
		}
	}
	p.mu.Unlock()
	if w.cc != nil { // it got a slot at the same moment
		w.cc.unreserveSlot()
	}
}
