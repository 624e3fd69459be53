package memconn

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener whose connections are made by Dial.
type Listener struct {
	opts Options

	mu      sync.Mutex
	cond    sync.Cond
	backlog []net.Conn
	closed  bool
}

// Listen returns a listener whose connections have the given options.
func Listen(o Options) *Listener {
	l := &Listener{opts: o}
	l.cond.L = &l.mu
	return l
}

// Dial returns the client's end of a new connection; Accept returns the other. It does not wait for
// Accept. Network and address are ignored: the signature is that of http.Transport.DialContext.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := Connect(l.opts)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.backlog = append(l.backlog, server)
	l.cond.Signal()
	return client, nil
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.backlog) == 0 && !l.closed {
		l.cond.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close ends Accept and closes the connections that it has not returned yet.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.backlog {
		_ = c.Close() // the dialler sees the end
	}
	l.backlog = nil
	l.cond.Broadcast()
	return nil
}

// Addr returns the name of the listening end.
func (l *Listener) Addr() net.Addr { return Addr("server:1") }
