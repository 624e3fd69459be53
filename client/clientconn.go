package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
)

// ClientConn is one HTTP/2 connection. It is an http.RoundTripper, and all its methods may be
// called by any goroutine.
type ClientConn struct {
	t    *Transport
	c    *conn.Conn
	key  Key
	addr string // of the server's socket
	tls  *tls.ConnectionState

	created          time.Time
	hadRequest       atomic.Bool  // it had a request
	hadResponse      atomic.Bool  // a request of Transport.RoundTrip or Connect had a response
	settingsSeen     atomic.Bool  // the pool has seen the server's SETTINGS
	requestLimit     bool         // it takes so many requests
	requestsLeft     atomic.Int64 // and that many are neither reserved nor were they opened
	limitMu          sync.Mutex   // held while left is about to become less
	requestsUnopened atomic.Int64 // and that many were not opened
	retired          atomic.Bool  // it takes no more requests, and is closed when those that it has are over
	shuttingDown     atomic.Bool  // Shutdown was called: it need not wait until it is idle
	closing          atomic.Bool  // it is being closed
	pushHandlers     atomic.Int32 // calls of the PushHandler that run
	stateHook        atomic.Pointer[func(*ClientConn)]
	poolHook         atomic.Pointer[func(*ClientConn)] // the pool's own hook
	family           Key                               // under Configure: of its group; guarded by pool.mu
	identity         string                            // under Configure: see tlsIdentity; guarded by pool.mu

	mu               sync.Mutex
	reserved         int             // by Reserve, for RoundTrip
	coalescedOrigins []Key           // of other origins that the server answers for
	waiters          []chan struct{} // calls of RoundTrip that wait for a slot
}

// newClientConn starts a connection.
func (t *Transport) newClientConn(nc net.Conn, key Key) *ClientConn {
	cc := &ClientConn{t: t, key: key, addr: key.Addr, created: time.Now()}
	if s, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := s.ConnectionState()
		cc.tls = &state
	}
	if a := nc.RemoteAddr(); a != nil {
		cc.addr = a.String()
	}
	n := t.MaxRequestsPerConn
	if t.disableKeepAlives() {
		n = 1
	}
	if n > 0 {
		cc.requestLimit = true
		cc.requestsLeft.Store(n)
		cc.requestsUnopened.Store(n)
	}
	cfg := t.connConfig()
	if t.coalesces() && cc.tls != nil {
		cfg.OnOrigin = cc.onOrigin
	}
	if t.AltSvcHandler != nil {
		cfg.OnAltSvc = cc.altSvcFrame
	}
	cc.c = conn.NewClient(nc, cfg, cc.handler())
	cc.c.SetSlotHook(cc.slotsChanged)
	t.counts.connsOpened.Add(1)
	t.counts.conns.Add(1)
	go func() { // ends with the connection
		err := errServeExited
		defer func() {
			cc.dropPushes()
			t.counts.connEnded(err)
		}()
		err = cc.c.Serve()
	}()
	return cc
}

// errServeExited is how a connection ends whose goroutine a hook of the application has ended.
var errServeExited = errors.New("http2: the connection's goroutine was ended by the application")

// dropPushes drops the pushes of the connection that nobody has asked for: it is about to close.
func (cc *ClientConn) dropPushes() {
	if cache := cc.t.PushCache; cache != nil {
		cache.connEnded(cc)
	}
}

// handler returns what conn is to tell of pushes and states. A connection that takes no pushes has
// none, which is cheaper.
func (cc *ClientConn) handler() conn.Handler {
	if !cc.t.takesPushes() {
		return nil
	}
	return (*connHandler)(cc)
}

// connHandler is the conn.Handler of a ClientConn.
type connHandler ClientConn

// HandleStreams takes what the server pushes.
func (h *connHandler) HandleStreams(batch []*conn.Stream) {
	for _, s := range batch {
		(*ClientConn)(h).pushed(s)
	}
}

// StreamBlocked has nothing to do: every request has its own goroutine.
func (h *connHandler) StreamBlocked(*conn.Stream) {}

// ConnState has nothing to do: the slot hook tells more.
func (h *connHandler) ConnState(bool) {}

// slotsChanged is told by conn that a stream may be opened, or that none can be any more.
func (cc *ClientConn) slotsChanged() {
	cc.mu.Lock()
	for _, ch := range cc.waiters {
		close(ch)
	}
	cc.waiters = nil
	cc.mu.Unlock()
	if cc.retired.Load() {
		cc.closeIfIdle()
	}
	if f := cc.poolHook.Load(); f != nil {
		(*f)(cc)
	}
	if f := cc.stateHook.Load(); f != nil {
		(*f)(cc)
	}
}

// SetStateHook sets a function that is called when State may have changed by other means than
// calls of the methods of ClientConn: a request has ended, the server has changed its limit of
// streams or said GOAWAY, the connection is lost. It may be called by several goroutines at once,
// while a response's body is read or closed, for example, and must not block. Nil is no function.
func (cc *ClientConn) SetStateHook(f func(*ClientConn)) {
	if f == nil {
		cc.stateHook.Store(nil)
		return
	}
	cc.stateHook.Store(&f)
}

// ConnState is the state of a ClientConn.
type ConnState struct {
	InFlight  int   // streams that are open or reserved
	Available int   // streams that could be opened or reserved now
	Err       error // why no request is taken any more, nil while requests are
}

// State returns the connection's state.
func (cc *ClientConn) State() ConnState {
	s := ConnState{Err: cc.c.Err()}
	if s.Err == nil && cc.retired.Load() {
		s.Err = errPoolClosed
	}
	s.InFlight, s.Available = cc.c.Slots()
	switch {
	case s.Err != nil:
		s.Available = 0
	case cc.requestLimit:
		s.Available = int(min(int64(s.Available), max(cc.requestsLeft.Load(), 0)))
	}
	return s
}

// Stats returns the connection's counters.
func (cc *ClientConn) Stats() conn.Stats { return cc.c.Stats() }

// CanTakeNewRequest tells whether a stream could be opened now.
func (cc *ClientConn) CanTakeNewRequest() bool { return cc.State().Available > 0 }

// reserveSlot takes a slot, which the caller must use or give back with unreserve. While the server has
// not said how many streams it allows, no more than first are taken. It calls no hook. The error is
// core.ErrNoStream or core.ErrNoMoreStreams.
func (cc *ClientConn) reserveSlot(initialMax int) error {
	if cc.retired.Load() {
		return core.ErrNoMoreStreams
	}
	if !cc.requestLimit {
		return cc.c.ReserveFirst(initialMax)
	}
	// An attempt that fails must not be seen to have taken one of the last: a request that waits
	// would not be woken when it is given back.
	cc.limitMu.Lock()
	defer cc.limitMu.Unlock()
	if cc.requestsLeft.Load() <= 0 {
		return core.ErrNoStream // there will be more if those that have reserved give it back
	}
	err := cc.c.ReserveFirst(initialMax)
	if err == nil {
		cc.requestsLeft.Add(-1)
	}
	return err
}

// unreserveSlot gives back what acquire has taken.
func (cc *ClientConn) unreserveSlot() {
	if cc.requestLimit {
		cc.requestsLeft.Add(1)
	}
	cc.c.Unreserve()
}

// slotUsed follows when a slot was used, or was lost in the attempt.
func (cc *ClientConn) slotUsed(err error) {
	switch {
	case !cc.requestLimit:
	case err != nil:
		cc.requestsLeft.Add(1)
		cc.slotsChanged() // it may be a waiter's
	case cc.requestsUnopened.Add(-1) == 0:
		cc.retire()
	}
}

// slots is conn.Conn.SlotsFirst, with no slot free where no request is taken.
func (cc *ClientConn) slots(initialMax int) (taken, free int) {
	taken, free = cc.c.SlotsFirst(initialMax)
	if cc.retired.Load() || cc.requestLimit && cc.requestsLeft.Load() <= 0 {
		free = 0
	}
	return taken, free
}

// allowsNoStreams reports whether the server has said that it allows no streams, and none is open: others
// must not wait for it.
func (cc *ClientConn) allowsNoStreams() bool {
	if !cc.settingsSeen.Load() {
		return false
	}
	taken, _ := cc.c.Slots()
	s, _ := cc.c.KnownSettings()
	return taken == 0 && s.MaxConcurrentStreams == 0
}

// unusable reports whether no request is taken any more.
func (cc *ClientConn) unusable() bool { return cc.retired.Load() || cc.c.Err() != nil }

// Reserve takes a stream for one call of RoundTrip, or of Release if there will be none. It fails
// when no stream is available.
func (cc *ClientConn) Reserve() error {
	if err := cc.reserveSlot(initialMaxStreams); err != nil {
		if state := cc.c.Err(); state != nil {
			return state
		}
		return err
	}
	cc.mu.Lock()
	cc.reserved++
	cc.mu.Unlock()
	return nil
}

// Release gives back what Reserve has taken. It does nothing where nothing is reserved.
func (cc *ClientConn) Release() {
	if cc.takeReserved() {
		cc.unreserveSlot()
	}
}

func (cc *ClientConn) takeReserved() bool {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.reserved == 0 {
		return false
	}
	cc.reserved--
	return true
}

// RoundTrip sends a request on this connection, whatever its URL says, and waits for a stream where
// none is available and Reserve was not called. It is never sent twice.
func (cc *ClientConn) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		cc.Release()
		closeBody(req)
		return nil, err
	}
	if cc.t.PushCache != nil {
		if resp, err, ok := cc.t.matchPush(req, nil, cc); ok {
			cc.Release()
			return resp, err
		}
	}
	if err := cc.awaitSlot(req); err != nil {
		closeBody(req)
		return nil, err
	}
	trace := httptrace.ContextClientTrace(req.Context())
	cc.gotConn(trace)
	body := newReplayBody(req, -1)
	resp, err := cc.roundTripOnce(req, body, trace)
	if err != nil && body != nil {
		body.close(false)
	}
	return resp, awaitTimeout(req, err)
}

// awaitSlot takes a slot, one that was reserved first, and waits while there is none.
func (cc *ClientConn) awaitSlot(req *http.Request) error {
	if cc.takeReserved() {
		return nil
	}
	for {
		free := make(chan struct{})
		cc.mu.Lock()
		cc.waiters = append(cc.waiters, free)
		cc.mu.Unlock()
		err := cc.reserveSlot(initialMaxStreams)
		if !errors.Is(err, core.ErrNoStream) {
			cc.stopWaiting(free)
			if err != nil {
				if cause := cc.c.Err(); cause != nil {
					err = cause
				}
				return &Error{Addr: cc.addr, Unprocessed: true, Err: err}
			}
			return nil
		}
		select {
		case <-free:
		case <-req.Context().Done():
			cc.stopWaiting(free)
			return req.Context().Err()
		case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
			cc.stopWaiting(free)
			return errRequestCanceled
		}
	}
}

func (cc *ClientConn) stopWaiting(ch chan struct{}) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	for i, w := range cc.waiters {
		if w == ch {
			cc.waiters = append(cc.waiters[:i], cc.waiters[i+1:]...)
			return
		}
	}
}

// roundTripOnce sends a request once. A slot is reserved for it.
func (cc *ClientConn) roundTripOnce(
	req *http.Request,
	body *replayBody,
	trace *httptrace.ClientTrace,
) (*http.Response, error) {
	x, err := cc.open(req, body, trace, false)
	if err != nil {
		return nil, err
	}
	return x.awaitResponse()
}

// open sends a request once, for which a slot is reserved. With tunnel, the stream is left open for
// more.
func (cc *ClientConn) open(
	req *http.Request, body *replayBody, trace *httptrace.ClientTrace, tunnel bool,
) (*exchange, error) {
	ctx := req.Context()
	err := ctx.Err()
	if err == nil {
		err = cc.awaitConnectProtocol(req)
	}
	if err != nil {
		cc.unreserveSlot()
		return nil, err
	}
	sent := false
	cc.hadRequest.Store(true)
	cc.t.counts.requests.Add(1)
	x := &exchange{cc: cc, req: req, trace: trace, gzip: wantsGzip(cc.t, req)}
	x.priority, _ = ctx.Value(priorityKey{}).(*requestPriority)
	if trace != nil {
		defer func() {
			if !sent { // a hook has ended the caller's goroutine
				cc.slotUsed(nil)
			}
		}()
	}
	err = x.send(body, tunnel)
	sent = true
	cc.slotUsed(err)
	if err != nil {
		if isUnprocessed(err) {
			err = &Error{Addr: cc.addr, Unprocessed: true, Err: err}
		}
		return nil, err
	}
	if req.Close || hasToken(req.Header["Connection"], "close") {
		cc.retire()
	}
	x.watch(ctx)
	return x, nil
}

// wantsGzip tells whether to ask for a compressed response: not where the user might have to undo
// it, nor for a tunnel.
func wantsGzip(t *Transport, req *http.Request) bool {
	return !t.disableCompression() && len(req.Header["Accept-Encoding"]) == 0 && len(req.Header["Range"]) == 0 &&
		req.Method != http.MethodHead && req.Method != http.MethodConnect
}

// retire has the connection take no more requests, and close when those that it has are over.
func (cc *ClientConn) retire() {
	if !cc.retired.Swap(true) {
		cc.slotsChanged()
	}
	cc.closeIfIdle()
}

// closeIfIdle closes a connection that takes no more requests, if those that it has are over. After
// Shutdown it need only not be in the way of one for which a stream is reserved.
func (cc *ClientConn) closeIfIdle() {
	if !cc.closing.Load() && cc.c.ShutdownUnreserved(!cc.shuttingDown.Load()) && !cc.closing.Swap(true) {
		cc.dropPushes()
	}
}

// Ping sends a PING and waits for its answer. The error is that of ctx, or of the connection.
func (cc *ClientConn) Ping(ctx context.Context) error {
	_, err := cc.c.Ping(ctx)
	return err
}

// RTT sends a PING and returns how long its answer took.
func (cc *ClientConn) RTT(ctx context.Context) (time.Duration, error) { return cc.c.Ping(ctx) }

// Shutdown has the connection take no more requests, and waits until those that it has, and those
// for which a stream is reserved, are over and it is closed. When ctx ends before that, its error
// is returned and the connection stays as it is; Close ends it.
func (cc *ClientConn) Shutdown(ctx context.Context) error {
	cc.shuttingDown.Store(true)
	cc.retire()
	select {
	case <-cc.c.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connection now. Requests that it has fail.
func (cc *ClientConn) Close() error { return cc.c.Close() }

// Done returns a channel that is closed when the connection has ended and nothing of it runs any
// more.
func (cc *ClientConn) Done() <-chan struct{} { return cc.c.Done() }

// Conn returns the connection beneath, for what has no place in net/http's types.
func (cc *ClientConn) Conn() *conn.Conn { return cc.c }

// gotConn calls the hook. A slot is reserved, which is given back if the hook does not return.
func (cc *ClientConn) gotConn(trace *httptrace.ClientTrace) {
	if trace == nil || trace.GotConn == nil {
		return
	}
	info := httptrace.GotConnInfo{Conn: cc.c.NetConn(), Reused: cc.hadRequest.Load()}
	if since := cc.c.IdleSince(); info.Reused && !since.IsZero() {
		info.WasIdle, info.IdleTime = true, time.Since(since)
	}
	returned := false
	defer func() {
		if !returned { // the hook has ended the caller's goroutine
			cc.unreserveSlot()
		}
	}()
	trace.GotConn(info)
	returned = true
}
