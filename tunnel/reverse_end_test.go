package tunnel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An inner side that stops takes no more tunnels, those that run go on, and no dial fails.
func TestReverseDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		stop := e.start(e.inner())
		old := e.dial()
		e.start(e.inner()) // the new one
		e.wantConnections(4)

		// Dials go on all the time.
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var dials atomic.Int64
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					nc, err := e.outer.DialContext(t.Context(), "tcp", "192.0.2.6:22")
					if err != nil {
						t.Errorf("dial: %v", err)
						return
					}
					wantLine(t, nc, "hello")
					time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
					_ = nc.Close()
					dials.Add(1)
				}
			})
		}
		time.Sleep(time.Second)
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		time.Sleep(time.Second)
		e.wantConnections(2)
		wantLine(t, old, "the old one goes on")
		select {
		case err := <-stopped:
			t.Fatalf("it has not waited: %v", err)
		default:
		}
		_ = old.Close()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		cancel()
		wg.Wait()
		if n := dials.Load(); n < 1000 {
			t.Errorf("%d dials", n)
		}
	})
}

// A connection that is drained for its age is replaced, and no dial notices.
func TestReverseMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		e.outer.WaitTimeout = time.Second
		in := e.inner()
		in.Connections = 1
		in.HTTP2.MaxConnectionAge = 10 * time.Second
		e.start(in)
		old := e.dial()
		for range 1000 {
			nc := e.dial()
			wantLine(t, nc, "hello")
			_ = nc.Close()
			time.Sleep(100 * time.Millisecond)
		}
		wantLine(t, old, "the old one goes on")
		if n := e.dials.Load(); n < 9 || n > 12 {
			t.Errorf("%d connections in 100 s", n)
		}
		_ = old.Close()
	})
}

// The outer side that shuts down tells the inner side, which connects to its successor while
// tunnels run.
func TestReverseOuterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		e.start(e.inner())
		old, oldOuter := e.dial(), e.outer
		time.Sleep(time.Minute + time.Second)
		oldServer := e.srv
		e.outer = &ReverseOuter{Authenticate: BearerToken("secret")}
		e.startOuter()
		down := make(chan error)
		go func() { down <- oldOuter.Shutdown(t.Context()) }()
		nc := e.dial()
		wantLine(t, nc, "by the new one")
		wantLine(t, old, "by the old one")
		_ = old.Close()
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		_ = oldServer.Close()
		synctest.Wait()
	})
}

// The connection is cut in the midst of a tunnel: both ends are told, and the target's connection
// is reset.
func TestReverseCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		in := e.inner()
		in.Connections = 1
		e.start(in)
		nc := e.dial()
		wantLine(t, nc, "hello")
		_ = e.ncs[0].Close()
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the tunnel ends with %v", err)
		}
		time.Sleep(time.Second)
		wantLine(t, e.dial(), "there again")
	})
}

// When Shutdown and Close return, the outer side has written its last line about a connection.
func TestReverseOuterLogEnds(t *testing.T) {
	for name, end := range map[string]func(*ReverseOuter) error{
		"Shutdown": func(o *ReverseOuter) error { return o.Shutdown(context.Background()) },
		"Close":    (*ReverseOuter).Close,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newReverseEnv(t)
				defer e.close()
				var said atomic.Int64
				e.outer.Logger = slog.New(slowLog{slog.DiscardHandler, "inner side disconnected", &said})
				e.start(e.inner())
				e.start(e.inner())
				synctest.Wait()
				conns := int64(e.outer.Connections())
				if err := end(e.outer); err != nil {
					t.Fatal(err)
				}
				if n := said.Load(); n != conns || n == 0 {
					t.Errorf("%d of %d lines were written when it returned", n, conns)
				}
			})
		})
	}
}

// slowLog takes a second for each line with a message, and counts them.
type slowLog struct {
	slog.Handler
	message string
	said    *atomic.Int64
}

func (l slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (l slowLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		time.Sleep(time.Second)
		l.said.Add(1)
	}
	return nil
}

// A failingConn has an inner side stopped while it writes its request, which fails.
type failingConn struct {
	net.Conn
	stop func()
}

func (c failingConn) Write([]byte) (int, error) {
	c.stop()
	return 0, io.ErrClosedPipe
}

// An inner side may be stopped at the moment at which its request for a connection fails.
func TestReverseStopWhileConnecting(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			near, far := net.Pipe()
			defer far.Close()
			in := &ReverseInner{
				URL: &url.URL{Scheme: "http", Host: "outer.example"}, Handler: &Proxy{}, Connections: 1,
				Token: func(context.Context) (string, error) { return "secret", nil },
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					return failingConn{near, cancel}, nil
				},
			}
			if err := in.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
			synctest.Wait()
			if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}
