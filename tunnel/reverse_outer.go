package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/client"
)

// Errors of ReverseOuter.DialContext.
var (
	// ErrNoInner is returned where no inner side is connected, or those that are have no stream
	// free, and none has come in WaitTimeout.
	ErrNoInner = errors.New("tunnel: no inner side is connected")
	// ErrOuterClosed is returned after Shutdown and Close.
	ErrOuterClosed = errors.New("tunnel: the outer side is closed")
)

// ReverseOuter is the outer side of reverse tunnels: an http.Handler for the requests of inner
// sides ([ReverseInner]), and a DialContext through those that are connected. It works behind a
// server.Server and an http.Server, with HTTP/1.1. docs/TUNNELS.md has the octets on the wire.
//
// The fields must not be changed once it serves. Its methods may be called by any goroutines at the
// same time.
type ReverseOuter struct {
	// Authenticate reports whether an inner side may serve; see [BearerToken]. A nil Authenticate
	// lets none in. An inner side that is let in sees what is sent to the targets.
	Authenticate func(r *http.Request) bool

	// MaxConns bounds the connections of inner sides. Default [DefaultReverseMaxConns], 1000.
	MaxConns int

	// WaitTimeout is how long a dial waits while no inner side is connected. Default
	// [DefaultReverseWait], 10 s; negative: it does not wait.
	WaitTimeout time.Duration

	// KeepAlive is the time between PINGs that find out whether a connection is dead; one that has
	// not answered in 10 s is. Default [DefaultReverseKeepAlive], 15 s; negative: no PINGs.
	KeepAlive time.Duration

	// Logger gets what operators need to know. A nil Logger discards it.
	Logger *slog.Logger

	transport client.Transport

	mu      sync.Mutex           // guards what follows; no method of a connection is called with it
	conns   []*client.ClientConn // elements are never changed, so that a copy may be used without mu
	next    int                  // the connection whose turn it is
	pending int                  // upgrades that are under way
	changed chan struct{}        // is closed when a connection may be free, or has ended; nil while none waits
	closed  bool
}

// ServeHTTP accepts a connection of an inner side. It returns when that has ended.
func (o *ReverseOuter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case o.Authenticate == nil || !o.Authenticate(r):
		w.Header().Set("WWW-Authenticate", `Bearer realm="reverse tunnel"`)
		http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
		o.logger().Warn("inner side refused", "inner", r.RemoteAddr, "reason", "the token is missing or wrong")
		return
	case r.ProtoMajor != 1 || !asksForReverse(r.Header):
		w.Header().Set("Upgrade", reverseProtocol)
		w.Header().Set("Connection", "Upgrade")
		if r.ProtoMajor != 1 {
			w.Header().Del("Connection")
		}
		http.Error(w, "this is for HTTP/1.1 with Upgrade: "+reverseProtocol, http.StatusUpgradeRequired)
		return
	case !o.enter():
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the outer side is full, or shuts down", http.StatusServiceUnavailable)
		return
	}
	nc, err := reverseUpgrade(w)
	var cc *client.ClientConn
	if err == nil {
		cc, err = o.transport.NewClientConn(nc)
	}
	if err != nil {
		o.leave(nil)
		o.logger().Warn("inner side lost", "inner", r.RemoteAddr, "error", err)
		return
	}
	o.serve(cc, r.RemoteAddr)
}

// reverseUpgrade answers with 101 and returns the connection.
func reverseUpgrade(w http.ResponseWriter) (net.Conn, error) {
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, err
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		err = fmt.Errorf("it has sent %d octets before its turn", n)
	}
	if err == nil {
		err = nc.SetDeadline(time.Now().Add(reversePingTimeout))
	}
	if err == nil {
		_, err = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
			"Upgrade: "+reverseProtocol+"\r\n\r\n")
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close() // the error is known
		return nil, err
	}
	return nc, nil
}

// enter takes a place for a connection.
func (o *ReverseOuter) enter() bool {
	most := o.MaxConns
	if most <= 0 {
		most = DefaultReverseMaxConns
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.conns)+o.pending >= most {
		return false
	}
	o.pending++
	return true
}

// leave gives up the place of an upgrade for a connection, nil for none.
func (o *ReverseOuter) leave(cc *client.ClientConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending--
	o.changedLocked()
	if cc == nil {
		return
	}
	o.conns = append(o.conns, cc)
	if o.closed { // Shutdown has not seen it
		go func() { _ = cc.Close() }()
	}
}

// serve keeps a connection until it has ended.
func (o *ReverseOuter) serve(cc *client.ClientConn, addr string) {
	cc.SetStateHook(func(*client.ClientConn) {
		o.mu.Lock()
		o.changedLocked()
		o.mu.Unlock()
	})
	o.leave(cc)
	o.logger().Info("inner side connected", "inner", addr)
	err := o.keepAlive(cc)
	o.logger().Info("inner side disconnected", "inner", addr, "reason", err) // Close waits for what follows
	o.mu.Lock()
	for i, c := range o.conns {
		if c == cc {
			o.conns = append(o.conns[:i:i], o.conns[i+1:]...)
			break
		}
	}
	o.changedLocked()
	o.mu.Unlock()
}

// keepAlive sends PINGs until the connection has ended.
func (o *ReverseOuter) keepAlive(cc *client.ClientConn) error {
	every := cmp.Or(o.KeepAlive, DefaultReverseKeepAlive)
	if every < 0 {
		<-cc.Done()
		return cc.State().Err
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-cc.Done():
			return cc.State().Err
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), reversePingTimeout)
		err := cc.Ping(ctx)
		cancel()
		if err != nil {
			_ = cc.Close()
			<-cc.Done()
			return fmt.Errorf("no answer to PING: %w", err)
		}
		timer.Reset(every)
	}
}

// changedLocked wakes the dials, and what waits for the end of the connections.
func (o *ReverseOuter) changedLocked() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// awaitLocked returns a channel that changedLocked closes.
func (o *ReverseOuter) awaitLocked() <-chan struct{} {
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

// Connections returns how many connections of inner sides take new tunnels.
func (o *ReverseOuter) Connections() int {
	o.mu.Lock()
	conns := o.conns
	o.mu.Unlock()
	n := 0
	for _, cc := range conns {
		if cc.State().Err == nil {
			n++
		}
	}
	return n
}

// Shutdown has inner sides and dials refused, tells the inner sides with GOAWAY, so that they
// connect elsewhere, and waits until the tunnels have ended by themselves. When ctx ends before
// that, its error is returned; Close cuts off what is left.
func (o *ReverseOuter) Shutdown(ctx context.Context) error {
	conns := o.close()
	for _, cc := range conns {
		cc.Conn().Shutdown() // GOAWAY, while tunnels run
	}
	return o.ended(ctx)
}

// Close cuts off all connections. When it returns, nothing more is written to Logger about them.
func (o *ReverseOuter) Close() error {
	for _, cc := range o.close() {
		_ = cc.Close()
	}
	return o.ended(context.Background())
}

// ended waits until no connection and no upgrade is left.
func (o *ReverseOuter) ended(ctx context.Context) error {
	for {
		o.mu.Lock()
		left, changed := len(o.conns)+o.pending, o.awaitLocked()
		o.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close has dials refused, and returns the connections.
func (o *ReverseOuter) close() []*client.ClientConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changedLocked()
	return o.conns
}

func (o *ReverseOuter) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.New(slog.DiscardHandler)
}
