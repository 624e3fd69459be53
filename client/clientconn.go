package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// ClientConn is one HTTP/2 connection. It is an http.RoundTripper, and all its methods may be
// called by any goroutine.
type ClientConn struct {
	// These never change.
	t       *Transport
	c       *conn.Client
	key     Key
	addr    string // of the server's socket
	tls     *tls.ConnectionState
	created time.Time

	hadRequest   atomic.Bool // a request was sent on it
	hadResponse  atomic.Bool // a request of Transport.RoundTrip or Connect had a response
	settingsSeen atomic.Bool // the pool has seen the server's SETTINGS
	retired      atomic.Bool // it takes no more requests, and is closed when those that it has have ended
	shuttingDown atomic.Bool // Shutdown was called: a connection without requests is closed at once
	closing      atomic.Bool // it is being closed

	limit        requestLimit
	pushHandlers atomic.Int32                      // calls of the PushHandler that run
	stateHook    atomic.Pointer[func(*ClientConn)] // of SetStateHook
	poolHook     atomic.Pointer[func(*ClientConn)] // the pool's; nil while no pool has the connection

	netHTTP struct { // under Configure; guarded by pool.mu
		family   Key    // of the connection's group
		identity string // see tlsIdentity
	}

	mu struct { // taken after pool.mu
		sync.Mutex
		reserved         int             // streams that Reserve has taken for RoundTrip
		coalescedOrigins []Key           // other origins that the server answers for
		waiters          []chan struct{} // each closed to have a RoundTrip look for a stream again
	}
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
		cc.limit.limited = true
		cc.limit.left.Store(n)
		cc.limit.unopened.Store(n)
	}
	cfg := t.connConfig()
	if t.coalesces() && cc.tls != nil {
		cfg.OnOrigin = cc.onOrigin
	}
	if t.AltSvcHandler != nil {
		cfg.OnAltSvc = cc.altSvcFrame
	}
	cc.c = conn.NewClient(nc, cfg, cc.handler())
	cc.c.OnQuota(cc.slotsChanged)
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

// dropPushes drops the pushes of the connection that no request has asked for: it is about to
// close.
func (cc *ClientConn) dropPushes() {
	if cache := cc.t.PushCache; cache != nil {
		cache.connEnded(cc)
	}
}

// handler returns what conn calls for pushes and states, nil where no pushes are taken, which is
// cheaper.
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

// StreamBlocked does nothing: every request has a goroutine that may block.
func (h *connHandler) StreamBlocked(*conn.Stream) {}

// ConnState does nothing: slotsChanged is called for the same changes and more.
func (h *connHandler) ConnState(bool) {}

// SetStateHook sets a function that is called when State may have changed other than by a call of a
// method of ClientConn: a request has ended, the server has changed its limit of streams or sent
// GOAWAY, the connection is lost. It may be called by several goroutines at once, while a
// response's body is read or closed, for example, and must not block. A nil f removes it.
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
	s.InFlight, s.Available = cc.c.Quota()
	switch {
	case s.Err != nil:
		s.Available = 0
	case cc.limit.limited:
		s.Available = int(min(int64(s.Available), max(cc.limit.left.Load(), 0)))
	}
	return s
}

// Stats returns the connection's counters.
func (cc *ClientConn) Stats() conn.Stats { return cc.c.Stats() }

// CanTakeNewRequest reports whether a stream could be opened now.
func (cc *ClientConn) CanTakeNewRequest() bool { return cc.State().Available > 0 }

// retire has the connection take no more requests, and close when those that it has have ended.
func (cc *ClientConn) retire() {
	if !cc.retired.Swap(true) {
		cc.slotsChanged()
	}
	cc.closeIfIdle()
}

// closeIfIdle closes a connection that takes no more requests, if those that it has have ended and,
// but for Shutdown, no stream is reserved.
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
// for which a stream is reserved, have ended and it is closed. When ctx ends before that, its error
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

// Done returns a channel that is closed when the connection has ended and none of its goroutines
// run any more.
func (cc *ClientConn) Done() <-chan struct{} { return cc.c.Done() }

// Conn returns the connection of package conn below, for what net/http's types have no place for.
func (cc *ClientConn) Conn() *conn.Client { return cc.c }
