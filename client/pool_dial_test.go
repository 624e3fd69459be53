package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// dialScript is a DialContext whose calls are numbered from 1.
type dialScript struct {
	dials atomic.Int32
	next  func(n int32, ctx context.Context) error // before the connection is made
	real  func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (d *dialScript) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := d.next(d.dials.Add(1), ctx); err != nil {
		return nil, err
	}
	return d.real(ctx, network, addr)
}

// scripted gives a Transport a dialScript.
func scripted(t *Transport, next func(n int32, ctx context.Context) error) *dialScript {
	d := &dialScript{next: next, real: t.DialContext}
	t.DialContext = d.dial
	return d
}

// hang waits for the end of the context.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// slow is how a dial takes time.
func slow(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errSlow)
	defer cancel()
	if <-ctx.Done(); context.Cause(ctx) != errSlow {
		return ctx.Err()
	}
	return nil
}

var errSlow = errors.New("the time has passed")

// A dial that hangs ends with the last request that waits for it, and the next request has a dial
// of its own, also where the dial function does not heed its context.
func TestDialHangsAndIsGivenUp(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		for _, limit := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				s := newTestServer(t, http.HandlerFunc(echoHandler))
				tr := s.transport(func(t *Transport) { t.MaxConnsPerHost = limit })
				over, canceled := make(chan struct{}), make(chan struct{})
				d := scripted(tr, func(n int32, ctx context.Context) error {
					if n > 1 {
						return nil
					}
					_ = hang(ctx)
					close(canceled)
					if !heeds {
						<-over
					}
					return ctx.Err()
				})
				one, two := startOn(t, tr, newRequest(t, "GET", testURL, nil)), startOn(t, tr, newRequest(t, "GET", testURL, nil))
				synctest.Wait()
				one.stop()
				one.wantErr(context.Canceled)
				two.wantWaiting("the dial is the other's, too")
				two.stop()
				two.wantErr(context.Canceled)
				<-canceled
				start := time.Now()
				readAll(t, startOn(t, tr, newRequest(t, "GET", testURL, nil)).response())
				if n := d.dials.Load(); n != 2 || time.Since(start) != 0 {
					t.Errorf("%d dials, after %v", n, time.Since(start))
				}
				close(over)
				s.stop(tr)
			})
		}
	}
}

// Others dial beside a dial that hangs, and what they get serves all.
func TestDialBesideOneThatHangs(t *testing.T) {
	for name, later := range map[string]time.Duration{
		"at once": 0, "soon": 100 * time.Millisecond, "late": 10 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestServer(t, http.HandlerFunc(echoHandler))
				tr := s.transport()
				d := scripted(tr, func(n int32, ctx context.Context) error {
					if n <= 2 {
						return hang(ctx)
					}
					return nil
				})
				calls := []*result{startOn(t, tr, newRequest(t, "GET", testURL, nil))}
				time.Sleep(later)
				start := time.Now()
				for range 3 {
					calls = append(calls, startOn(t, tr, newRequest(t, "GET", testURL, nil)))
				}
				for _, r := range calls {
					readAll(t, r.response())
				}
				// The second dial begins dialPatience after the first, and the third twice that
				// after the second.
				if n, waited := d.dials.Load(), time.Since(start); n != 3 || waited > 3*attemptDelay {
					t.Errorf("%d dials, %v", n, waited)
				}
				synctest.Wait()
				if n := poolSize(tr); n != 1 {
					t.Errorf("%d connections", n)
				}
				s.stop(tr)
			})
		})
	}
}

// The error of a dial is that of the requests it began for, not of one that came a moment before it
// failed.
func TestDialErrorIsItsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDial := errors.New("no way")
		s := newTestServer(t, http.HandlerFunc(echoHandler))
		tr := s.transport()
		d := scripted(tr, func(n int32, ctx context.Context) error {
			if n == 1 {
				time.Sleep(100 * time.Millisecond)
				return errDial
			}
			return nil
		})
		first := startOn(t, tr, newRequest(t, "GET", testURL, nil))
		time.Sleep(99 * time.Millisecond)
		second := startOn(t, tr, newRequest(t, "GET", testURL, nil))
		first.wantErr(errDial)
		readAll(t, second.response())
		if n := d.dials.Load(); n != 2 {
			t.Errorf("%d dials", n)
		}
		s.stop(tr)
	})
}

// A failed dial is reported although there is another connection, whose streams are all taken.
func TestDialErrorBesideConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDial := errors.New("no way")
		f := newTestDialer(t)
		scripted(f.tr, func(n int32, _ context.Context) error {
			if n > 1 {
				return errDial
			}
			return nil
		})
		first := f.get()
		p := f.accept(maxStreams(1))
		p.request()
		synctest.Wait()
		f.get().wantErr(errDial)
		p.send(h2test.Response(1, 204).End())
		first.response()
		f.close()
		_ = p.nc.Close()
	})
}

// Where a connection serves one request, dials run side by side.
func TestDialsSideBySide(t *testing.T) {
	for name, tt := range map[string]struct {
		client func(*Transport)
		server func(*server.Server)
	}{
		"DisableKeepAlives": {func(t *Transport) { t.DisableKeepAlives = true }, func(*server.Server) {}},
		"MaxRequests":       {func(t *Transport) { t.MaxRequestsPerConn = 1 }, func(*server.Server) {}},
		"one stream":        {func(*Transport) {}, func(s *server.Server) { s.Config.MaxConcurrentStreams = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const requests = 30
				var running sync.WaitGroup
				running.Add(requests) // no stream becomes free before all requests run
				s := newTestServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					running.Done()
					running.Wait()
				}), tt.server)
				tr := s.transport(tt.client)
				scripted(tr, func(_ int32, ctx context.Context) error { return slow(ctx, 100*time.Millisecond) })
				start := time.Now()
				var calls []*result
				for range requests {
					calls = append(calls, startOn(t, tr, newRequest(t, "GET", testURL, nil)))
				}
				for _, r := range calls {
					readAll(t, r.response())
				}
				if d := time.Since(start); d > 300*time.Millisecond {
					t.Errorf("%d requests took %v", requests, d)
				}
				s.stop(tr)
			})
		})
	}
}

// A burst to a server that allows few streams loses no request, also of those that cannot be sent
// again: they wait for the server's SETTINGS.
func TestBurstToFewStreams(t *testing.T) {
	for _, limit := range []int{1, 3} {
		for name, body := range map[string]func() *http.Request{
			"GET": func() *http.Request { return newRequest(t, "GET", testURL, nil) },
			"large, cannot be sent again": func() *http.Request {
				return newRequest(t, "POST", testURL, streamOnly{strings.NewReader(strings.Repeat("x", 100_000))})
			},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newTestServer(t, http.HandlerFunc(echoHandler), func(s *server.Server) {
						s.Config.MaxConcurrentStreams = limit
					})
					tr := s.transport()
					scripted(tr, func(_ int32, ctx context.Context) error { return slow(ctx, 10*time.Millisecond) })
					var calls []*result
					for range 300 {
						calls = append(calls, startOn(t, tr, body()))
					}
					for _, r := range calls {
						readAll(t, r.response())
					}
					if st := tr.Stats(); name != "GET" && st.Retries > 0 {
						t.Errorf("%d were refused", st.Retries)
					}
					s.stop(tr)
				})
			})
		}
	}
}

// A request that cannot be sent again is the first on its connection until the server's SETTINGS
// have come; others pass.
func TestWaitForSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, retrying)
		once := func() *result {
			return f.start(newRequest(t, "POST", testURL, streamOnly{strings.NewReader(strings.Repeat("x", 100_000))}))
		}
		first := once()
		p := f.acceptSilent()
		p.request()
		second := once()
		second.wantWaiting("SETTINGS have not come")
		get := f.get()
		for h := p.nextRequest(); h.Get(":method") != "GET"; h = p.nextRequest() {
			t.Errorf("%s is sent before SETTINGS", h.Get(":method"))
		}
		p.send(frame.NewSettings(), frame.Settings{Ack: true})
		h := p.nextRequest()
		p.send(h2test.Response(1, 204).End(), h2test.Response(3, 204).End(), h2test.Response(h.StreamID, 204).End())
		for _, r := range []*result{first, second, get} {
			r.response()
		}
		f.close()
		_ = p.nc.Close()
	})
}

// A server each of whose connections is good for nothing is not stormed.
func TestNoStormOfDials(t *testing.T) {
	for name, say := range map[string]func(p *peer){
		"GOAWAY": func(p *peer) { p.send(frame.NewSettings(), h2test.GoAway(0, frame.NoError, "")) },
		"GOAWAY and ends": func(p *peer) {
			p.send(frame.NewSettings(), h2test.GoAway(0, frame.NoError, ""))
			_ = p.nc.Close()
		},
		"no streams": func(p *peer) { p.send(frame.NewSettings(maxStreams(0)), frame.Settings{Ack: true}) },
		"ends":       func(p *peer) { _ = p.nc.Close() },
	} {
		for _, configured := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newTestDialer(t, func(t *Transport) { t.MaxAttempts = 0 })
					var rt http.RoundTripper = f.tr
					if configured {
						t1 := &http.Transport{DialContext: f.tr.DialContext, Protocols: h2cOnly()}
						t2, err := Configure(t1)
						if err != nil {
							t.Fatal(err)
						}
						f.tr, rt = t2, t1
					}
					var conns atomic.Int32
					var peers sync.WaitGroup
					peers.Go(func() {
						for {
							nc, err := f.l.Accept()
							if err != nil {
								return
							}
							conns.Add(1)
							peers.Go(func() {
								p := newPeer(t, nc)
								say(p)
								for p.next() != nil {
								}
								_ = nc.Close()
							})
						}
					})
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					defer cancel()
					var calls []*result
					for range 20 {
						calls = append(calls, startOn(t, rt, newRequest(t, "GET", testURL, nil).WithContext(ctx)))
					}
					for _, r := range calls {
						if <-r.done; r.err == nil {
							t.Error("no error")
						}
					}
					// With Configure the first connections are net/http's, one for each request.
					if n := conns.Load(); n > 100 {
						t.Errorf("%d connections in 3 s", n)
					}
					f.close()
					time.Sleep(time.Minute)
					peers.Wait()
				})
			})
		}
	}
}

// Values of the request's context reach the dial function.
func TestDialContextValues(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(echoHandler))
		tr := s.transport()
		var got any
		scripted(tr, func(_ int32, ctx context.Context) error { got = ctx.Value(key{}); return ctx.Err() })
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		resp, err := tr.RoundTrip(newRequest(t, "GET", testURL, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		cancel() // which the connection outlives
		resp, err = tr.RoundTrip(newRequest(t, "GET", testURL, nil))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		if got != "value" || tr.Stats().Dials != 1 {
			t.Errorf("%v, %d dials", got, tr.Stats().Dials)
		}
		s.stop(tr)
	})
}

// A dial function that ends its goroutine is a dial that has failed.
func TestDialGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{Protocols: h2cOnly(), Proxy: noProxy}
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		}
		startOn(t, tr, newRequest(t, "GET", testURL, nil)).wantErr(errDialExited)
	})
}

// Dial functions that return nothing.
func TestDialReturnsNothing(t *testing.T) {
	tr := &Transport{
		Proxy:          noProxy,
		DialContext:    func(context.Context, string, string) (net.Conn, error) { return nil, nil },
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil },
	}
	for _, u := range []string{"https://example.test/", "http://example.test/"} {
		if _, err := tr.RoundTrip(newRequest(t, "GET", u, nil)); err == nil || !strings.Contains(err.Error(), "(nil, nil)") {
			t.Errorf("%s: %v", u, err)
		}
	}
	tr.Protocols = h2cOnly()
	_, err := tr.RoundTrip(newRequest(t, "GET", testURL, nil))
	if err == nil || !strings.Contains(err.Error(), "(nil, nil)") {
		t.Errorf("h2c: %v", err)
	}
}
