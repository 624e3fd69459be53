package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// wire is one end of a connection whose deliveries are cut anywhere, and which can break.
type wire struct {
	*memconn.Conn
	name, peer memconn.Addr
	cut        int // most octets that a Read returns, 0 for as many as there are
	rng        *rand.Rand
	broken     atomic.Bool
}

// Read returns some of what has arrived.
func (w *wire) Read(p []byte) (int, error) {
	if w.cut > 0 && len(p) > 1 {
		p = p[:min(len(p), 1+w.rng.IntN(w.cut))]
	}
	n, err := w.Conn.Read(p)
	return n, w.err(err)
}

// Write fails as that of a socket does when the connection is broken.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	return n, w.err(err)
}

func (w *wire) err(err error) error {
	if err != nil && w.broken.Load() && !errors.Is(err, io.EOF) {
		return &net.OpError{Op: "read", Net: "mem", Source: w.name, Addr: w.peer, Err: syscall.ECONNRESET}
	}
	return err
}

func (w *wire) LocalAddr() net.Addr  { return w.name }
func (w *wire) RemoteAddr() net.Addr { return w.peer }

// link is a connection, with both of its ends.
type link struct{ client, server *wire }

// reset breaks the connection as a RST of TCP does: what is on its way is lost.
func (l *link) reset() {
	l.client.broken.Store(true)
	l.server.broken.Store(true)
	_ = l.client.Conn.Close() // it may be closed already
	_ = l.server.Conn.Close()
}

// eof has the server's machine vanish after what it has written has arrived.
func (l *link) eof() {
	l.server.broken.Store(true)
	_ = l.server.Conn.Close() // it may be closed already
}

// stall has nothing arrive for a while.
func (l *link) stall(d time.Duration) {
	until := time.Now().Add(d)
	l.client.Stall(until)
	l.server.Stall(until)
}

func kindOf(name string) memconn.Kind {
	i := slices.IndexFunc(memconn.Kinds(), func(k memconn.Kind) bool { return k.String() == name })
	if i < 0 {
		return memconn.Socket
	}
	return memconn.Kinds()[i]
}

// dial connects to the server that serves now.
func (w *testbed) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(w.cfg.ms("latency")):
	}
	c, s := memconn.Pipe(memconn.Options{
		Buffer: w.cfg.num("buffer", 0), Latency: w.cfg.ms("latency"), Bandwidth: int64(w.cfg.num("bandwidth", 0)),
	})
	c.Become(kindOf(w.cfg.str("ckind")))
	s.Become(kindOf(w.cfg.str("skind")))
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.links)
	end := func(c *memconn.Conn, name, peer string) *wire {
		return &wire{
			Conn: c, name: memconn.Addr(fmt.Sprintf("%s:%d", name, n)), peer: memconn.Addr(fmt.Sprintf("%s:%d", peer, n)),
			cut: w.cfg.num("cut", 0), rng: rand.New(rand.NewPCG(uint64(n), uint64(len(name)))),
		}
	}
	l := &link{end(c, "client", "server"), end(s, "server", "client")}
	w.links = append(w.links, l)
	w.listener.backlog <- l.server
	return l.client, nil
}

// listener gives a server its connections.
type listener struct {
	backlog chan net.Conn
	closed  chan struct{}
	ended   atomic.Bool
}

func newListener() *listener {
	return &listener{backlog: make(chan net.Conn, 10_000), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case c := <-l.backlog:
		return c, nil
	}
}

// Close ends Accept, and the connections that it has not returned.
func (l *listener) Close() error {
	if l.ended.Swap(true) {
		return nil
	}
	close(l.closed)
	for {
		select {
		case c := <-l.backlog:
			_ = c.Close() // the client sees the end
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return memconn.Addr("server") }
