package proxydial

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// Connections of HTTP/2 are shared, by these rules:
//
//   - A tunnel takes the first connection that has room: the proxy's limit of streams and
//     MaxTunnelsPerConn say how much. So those that are not needed any more become idle.
//   - Where none has room one is dialled. Calls that come meanwhile wait for it, as many as it is
//     expected to have room for, and the next one dials another. Before the first connection it is
//     not known whether ALPN chooses HTTP/2, and all calls wait for that.
//   - A dial does not belong to the call that has begun it. It is cancelled when no call waits for
//     it any more.
//   - A connection of HTTP/1.1 goes to one of the calls. The others dial for themselves.

// lease is a connection to the proxy for one tunnel: c with a stream reserved, or nc for HTTP/1.1.
type lease struct {
	c      *conn.Client
	nc     net.Conn
	reused bool // c was there before
}

// dial is one dial in progress. Its fields but done are guarded by Dialer.mu.
type dial struct {
	done    chan struct{} // closed when it has ended
	cancel  context.CancelFunc
	waiters int
	c       *conn.Client // of HTTP/2, that it has brought
	nc      net.Conn     // a connection of HTTP/1.1 that no call has taken
	err     error
}

// acquire returns a connection for a tunnel.
func (d *Dialer) acquire(ctx context.Context) (lease, error) {
	ended := 0 // dials that have brought a connection which takes no tunnels
	for reused := true; ; reused = false {
		d.mu.Lock()
		if d.mu.closed {
			d.mu.Unlock()
			return lease{}, net.ErrClosed
		}
		d.closeIdle.Store(false)
		if c := d.reserveLocked(); c != nil {
			d.mu.Unlock()
			return lease{c: c, reused: reused}, nil
		}
		dl := d.joinDialLocked(ctx)
		d.mu.Unlock()
		select {
		case <-dl.done:
		case <-ctx.Done():
		}
		nc, err := d.leave(dl)
		switch {
		case ctx.Err() != nil:
			if nc != nil {
				closeRaw(nc)
			}
			return lease{}, ctx.Err()
		case err != nil:
			return lease{}, err
		case nc != nil:
			return lease{nc: nc}, nil
		}
		if err := d.endOf(dl); err != nil {
			if ended++; ended == maxAttempts {
				return lease{}, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: unexpectedEnd(err)}
			}
		}
	}
}

// endOf returns why the connection of HTTP/2 that a dial has brought takes no tunnels; nil where it
// does, or there is none.
func (d *Dialer) endOf(dl *dial) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dl.c == nil {
		return nil
	}
	return dl.c.Err()
}

// reserveLocked reserves a stream on a connection that has room, and forgets those that take no
// more streams. It returns nil where there is none.
func (d *Dialer) reserveLocked() *conn.Client {
	for i := 0; i < len(d.mu.conns); {
		c := d.mu.conns[i]
		if c.Err() != nil {
			d.mu.conns = slices.Delete(d.mu.conns, i, i+1)
			continue
		}
		i++
		if taken, _ := c.Quota(); taken < d.maxTunnels() && c.Reserve() == nil {
			return c
		}
	}
	return nil
}

// joinDialLocked returns a dial for the caller to wait for, and then to leave.
func (d *Dialer) joinDialLocked(ctx context.Context) *dial {
	for _, dl := range d.mu.dials {
		if d.mu.capacity == 0 || dl.waiters < d.mu.capacity {
			dl.waiters++
			return dl
		}
	}
	dialCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	dl := &dial{done: make(chan struct{}), cancel: cancel, waiters: 1}
	d.mu.dials = append(d.mu.dials, dl)
	go d.runDial(dialCtx, dl)
	return dl
}

// leave returns what a dial has brought for one that has joined it: an error, a connection of
// HTTP/1.1, or nothing, and then there is a connection of HTTP/2 or another dial is needed.
func (d *Dialer) leave(dl *dial) (nc net.Conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dl.waiters--
	nc, dl.nc = dl.nc, nil
	if dl.waiters == 0 {
		dl.cancel()
		d.removeDialLocked(dl) // no other call is to join it
	}
	return nc, dl.err
}

func (d *Dialer) removeDialLocked(dl *dial) {
	if i := slices.Index(d.mu.dials, dl); i >= 0 {
		d.mu.dials = slices.Delete(d.mu.dials, i, i+1)
	}
}

// runDial dials, and ends dl.
func (d *Dialer) runDial(ctx context.Context, dl *dial) {
	var c *conn.Client
	var nc net.Conn
	var capacity int
	err := errDialExited // where the dial function has ended this goroutine
	defer func() {
		d.mu.Lock()
		d.removeDialLocked(dl)
		if err == nil {
			d.mu.capacity = capacity
		}
		if dl.err = err; c != nil {
			d.mu.conns = append(d.mu.conns, c)
			dl.c = c
		} else if dl.waiters > 0 {
			dl.nc, nc = nc, nil
		}
		closed := d.mu.closed
		close(dl.done)
		dl.cancel()
		d.mu.Unlock()
		switch {
		case nc != nil:
			closeRaw(nc) // no call waits for it any more
		case c != nil && closed:
			c.Shutdown()
		}
	}()
	c, nc, capacity, err = d.dialShared(ctx)
}

// dialShared makes a connection of HTTP/2, c, or of HTTP/1.1, nc, and says how many tunnels the
// next one is expected to have room for.
func (d *Dialer) dialShared(ctx context.Context) (c *conn.Client, nc net.Conn, capacity int, err error) {
	ctx, cancel := withTimeout(ctx, d.dialTimeout())
	defer cancel()
	nc, isHTTP2, err := d.dialProxy(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	if !isHTTP2 {
		return nil, nc, 1, nil
	}
	c = d.start(nc)
	s, err := c.AwaitSettings(ctx)
	if err == nil && s.MaxConcurrentStreams == 0 {
		err = errNoStreams
	}
	if err != nil {
		_ = c.Close() // it was not used
		return nil, nil, 0, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: unexpectedEnd(err)}
	}
	return c, nil, int(min(s.MaxConcurrentStreams, uint32(d.maxTunnels()))), nil
}

// start begins HTTP/2 on a connection.
func (d *Dialer) start(nc net.Conn) *conn.Client {
	c := conn.NewClient(nc, d.Config, nil)
	c.OnQuota(func() {
		if d.closeIdle.Load() {
			c.ShutdownUnreserved(true)
		}
	})
	c.Start(func(error) { d.remove(c) })
	return c
}

// remove forgets a connection that has ended.
func (d *Dialer) remove(c *conn.Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.mu.conns, c); i >= 0 {
		d.mu.conns = slices.Delete(d.mu.conns, i, i+1)
	}
}

// unexpectedEnd returns an error of a connection with io.ErrUnexpectedEOF for io.EOF, which would
// be the end of a tunnel.
func unexpectedEnd(err error) error {
	var ce *frame.ConnError
	if errors.As(err, &ce) && errors.Is(ce.Cause, io.EOF) {
		lost := *ce
		lost.Cause = io.ErrUnexpectedEOF
		return &lost
	}
	return err
}

// CloseIdleConnections closes the connections to the proxy that have no tunnel, and those that lose
// their last one before the next dial.
func (d *Dialer) CloseIdleConnections() {
	d.closeIdle.Store(true)
	for _, c := range d.connections() {
		c.ShutdownUnreserved(true)
	}
}

// Close has DialContext fail with net.ErrClosed where it needs a connection of HTTP/2, and the
// connections to the proxy end with their last tunnel. Tunnels go on.
func (d *Dialer) Close() error {
	d.mu.Lock()
	d.mu.closed = true
	d.mu.Unlock()
	for _, c := range d.connections() {
		c.Shutdown()
	}
	return nil
}

func (d *Dialer) connections() []*conn.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.mu.conns)
}
