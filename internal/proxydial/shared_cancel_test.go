package proxydial

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// A dial that is cancelled in one of its phases ends at once, and the others that wait with it go
// on.
func TestCancelHTTP2(t *testing.T) {
	within := func(t *testing.T, d *Dialer, host string, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		begin := time.Now()
		nc, err := d.DialContext(ctx, "tcp", host+":443")
		if err == nil {
			wantEcho(t, nc)
			_ = nc.Close()
		} else if time.Since(begin) != limit || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		return err
	}
	t.Run("in the dial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := startH2Proxy(t)
			d := p.dialer()
			ended := 0
			d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				select {
				case <-time.After(10 * time.Second):
					return p.dial(ctx, network, addr)
				case <-ctx.Done():
					ended++
					return nil, ctx.Err()
				}
			}
			for range 2 {
				if within(t, d, "target.test", time.Second) == nil {
					t.Error("there was a tunnel")
				}
			}
			synctest.Wait()
			if ended != 2 {
				t.Errorf("%d dials were cancelled", ended)
			}
			var wg sync.WaitGroup
			for i := range 4 { // that with 20 s has its tunnel, though the first to come gives up
				wg.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					if err := within(t, d, "target.test", []time.Duration{5, 20, 6, 7}[i]*time.Second); (err == nil) != (i == 1) {
						t.Errorf("dial %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			p.wantConns(1)
			d.CloseIdleConnections()
			p.stop()
		})
	})
	t.Run("before SETTINGS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := memconn.Listen(memconn.Options{})
			d := &Dialer{Proxy: &url.URL{Scheme: "h2c", Host: "proxy.test"}, Dial: l.Dial}
			if within(t, d, "target.test", time.Second) == nil {
				t.Error("there was a tunnel")
			}
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, nc); err != nil { // ends with the connection
				t.Error(err)
			}
			_ = nc.Close()
			_ = l.Close()
		})
	})
	t.Run("before the answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := startH2Proxy(t)
			d := p.dialer()
			if within(t, d, "silent.test", time.Second) == nil {
				t.Error("there was a tunnel")
			}
			synctest.Wait() // the handler has returned
			if err := within(t, d, "target.test", time.Second); err != nil {
				t.Error(err)
			}
			p.wantConns(1)
			d.AnswerTimeout = 3 * time.Second
			_, err := d.DialContext(t.Context(), "tcp", "silent.test:443")
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || e.StatusCode != 0 {
				t.Errorf("%v", err)
			}
			d.CloseIdleConnections()
			p.stop()
		})
	})
}
