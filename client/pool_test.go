package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func maxStreams(n uint32) frame.Setting {
	return frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: n}
}

// poolSize is how many connections a Transport's own pool has.
func poolSize(t *Transport) int {
	t.once.ownPool.mu.Lock()
	defer t.once.ownPool.mu.Unlock()
	return t.once.ownPool.connCount
}

// Requests at once share one dial.
func TestPoolSharesDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		f := newTestDialer(t)
		f.tr.DialContext = func(ctx context.Context, n, a string) (net.Conn, error) {
			dials.Add(1)
			time.Sleep(200 * time.Millisecond)
			return f.l.Dial(ctx, n, a)
		}
		var calls []*result
		for range 50 {
			calls = append(calls, f.get())
		}
		p := f.accept()
		for range calls {
			p.send(h2test.Response(p.request().StreamID, 204).End())
		}
		for _, r := range calls {
			r.response()
		}
		if n := dials.Load(); n != 1 {
			t.Errorf("%d dials", n)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// A dial that fails fails those that it began for, here the first request and then the others, and
// the next request dials again.
func TestPoolDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDial := errors.New("no way")
		var dials atomic.Int32
		dial := func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			time.Sleep(100 * time.Millisecond)
			return nil, errDial
		}
		tr := &Transport{Protocols: h2cOnly(), Proxy: noProxy, DialContext: dial}
		for range 2 {
			var calls []*result
			for range 5 {
				spy := &spyBody{Reader: strings.NewReader("x")}
				calls = append(calls, startOn(t, tr, newRequest(t, "POST", testURL, spy)))
				defer spy.check(t)
			}
			for _, r := range calls {
				r.wantErr(errDial)
			}
		}
		if n := dials.Load(); n != 4 {
			t.Errorf("%d dials", n)
		}
	})
}

// When all streams are taken, another connection is made, and then the one with the fewest is
// chosen.
func TestPoolGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		first := f.get()
		p := f.accept(maxStreams(2))
		p.request()
		synctest.Wait()
		second, third := f.get(), f.get()
		p.request()
		q := f.accept(maxStreams(2))
		q.request()
		synctest.Wait()
		// p has two, q has one: the next goes to q, and another to a third connection.
		fourth := f.get()
		q.request()
		fifth := f.get()
		r := f.accept(maxStreams(2))
		r.request()
		for _, c := range []struct {
			p  *peer
			id uint32
		}{{p, 1}, {p, 3}, {q, 1}, {q, 3}, {r, 1}} {
			c.p.send(h2test.Response(c.id, 204).End())
		}
		for _, call := range []*result{first, second, third, fourth, fifth} {
			call.response()
		}
		if n := f.tr.Stats().Conns; n != 3 {
			t.Errorf("%d connections", n)
		}
		f.close()
		for _, p := range []*peer{p, q, r} {
			_ = p.nc.Close()
		}
	})
}

// With a limit of connections, or of one connection's streams taken strictly, requests wait for a
// slot and are served in
// order.
func TestPoolWaits(t *testing.T) {
	for name, adjust := range map[string]func(*Transport){
		"MaxConnsPerHost": func(t *Transport) { t.MaxConnsPerHost = 1 },
		"Strict":          func(t *Transport) { t.StrictMaxConcurrentStreams = true },
		"HTTP2Config":     func(t *Transport) { t.HTTP2 = &http.HTTP2Config{StrictMaxConcurrentRequests: true} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, adjust)
				first := f.get()
				p := f.accept(maxStreams(1))
				p.request()
				synctest.Wait()
				var waiting []*result
				for i := range 3 {
					waiting = append(waiting, f.start(newRequest(t, "GET", fmt.Sprint(testURL, "/", i), nil)))
					synctest.Wait()
				}
				waiting[1].stop() // gives up
				waiting[1].wantErr(context.Canceled)
				waiting[0].wantWaiting("no stream is free")
				p.send(h2test.Response(1, 204).End())
				first.response()
				for _, i := range []int{0, 2} {
					h := p.request()
					if h.Get(":path") != fmt.Sprint("/", i) {
						t.Errorf("request %q, want %d", h.Get(":path"), i)
					}
					p.send(h2test.Response(h.StreamID, 204).End())
					waiting[i].response()
				}
				// A higher limit serves the requests that wait at once.
				one, two := f.get(), f.get()
				p.request()
				synctest.Wait()
				p.send(frame.NewSettings(maxStreams(5)))
				p.request()
				p.send(h2test.Response(7, 204).End(), h2test.Response(9, 204).End())
				one.response()
				two.response()
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// A server that lowers its limit below what was promised by the first guess refuses, and nothing is
// lost.
func TestPoolFirstGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, retrying, func(t *Transport) { t.MaxConnsPerHost = 1 })
		var calls []*result
		for range 5 {
			calls = append(calls, f.get())
		}
		p := f.acceptSilent()
		var ids []uint32
		for range calls {
			ids = append(ids, p.request().StreamID)
		}
		p.send(frame.NewSettings(maxStreams(2)), frame.Settings{Ack: true})
		for _, id := range ids[2:] {
			p.send(h2test.RST(id, frame.RefusedStream))
		}
		p.send(h2test.Response(ids[0], 204).End(), h2test.Response(ids[1], 204).End())
		for range ids[2:] {
			p.send(h2test.Response(p.request().StreamID, 204).End())
		}
		for _, r := range calls {
			r.response()
		}
		f.close()
		_ = p.nc.Close()
	})
}

// GOAWAY moves new requests to a new connection while old ones finish.
func TestPoolGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		old := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200))
		resp := old.response()
		p.send(h2test.GoAway(1, frame.NoError, ""))
		synctest.Wait()
		r := f.get()
		q := f.accept()
		q.send(h2test.Response(q.request().StreamID, 204).End())
		r.response()
		p.send(h2test.DataEnd(1, "finished"))
		if got := readAll(t, resp); got != "finished" {
			t.Errorf("%q", got)
		}
		if p.next() != nil {
			t.Error("the old connection is still there")
		}
		f.close()
		_ = q.nc.Close()
	})
}

// Limits of a connection's life.
func TestPoolRetires(t *testing.T) {
	tests := []struct {
		name   string
		adjust func(*Transport)
		req    func(*http.Request)
		wait   time.Duration
		conns  uint64 // after four requests
	}{
		{"defaults", func(*Transport) {}, nil, time.Hour, 1},
		{"MaxRequestsPerConn", func(t *Transport) { t.MaxRequestsPerConn = 2 }, nil, 0, 2},
		{"DisableKeepAlives", func(t *Transport) { t.DisableKeepAlives = true }, nil, 0, 4},
		{"Request.Close", func(*Transport) {}, func(r *http.Request) { r.Close = true }, 0, 4},
		{"Connection: close", func(*Transport) {}, func(r *http.Request) { r.Header.Set("Connection", "close") }, 0, 4},
		{"IdleConnTimeout", func(t *Transport) { t.IdleConnTimeout = time.Minute }, nil, 2 * time.Minute, 4},
		{"IdleConnTimeout, not reached", func(t *Transport) { t.IdleConnTimeout = time.Minute }, nil, 30 * time.Second, 1},
		{"MaxConnectionAge", func(t *Transport) { t.MaxConnectionAge = time.Minute }, nil, 40 * time.Second, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestServer(t, http.HandlerFunc(echoHandler))
				tr := s.transport(tt.adjust)
				for range 4 {
					req := newRequest(t, "GET", testURL, nil)
					if tt.req != nil {
						tt.req(req)
					}
					resp, err := tr.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					readAll(t, resp)
					time.Sleep(tt.wait)
					synctest.Wait()
				}
				if st := tr.Stats(); st.ConnsOpened != tt.conns {
					t.Errorf("%d connections, want %d", st.ConnsOpened, tt.conns)
				}
				s.stop(tr)
				time.Sleep(time.Minute)
				if n := tr.Stats().Conns; n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// ownPool is a user's: one connection for each path.
type ownPool struct {
	mu    sync.Mutex
	conns map[string]*ClientConn
}

func (p *ownPool) Get(req *http.Request, target *Target) (*ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cc := p.conns[req.URL.Path]
	if cc == nil || cc.State().Err != nil {
		var err error
		if cc, err = target.Dial(req.Context()); err != nil {
			return nil, err
		}
		p.conns[req.URL.Path] = cc
	}
	return cc, cc.Reserve()
}

func (p *ownPool) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cc := range p.conns {
		_ = cc.Shutdown(context.Background())
	}
}

func TestPoolOfApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(echoHandler))
		tr := s.transport(func(t *Transport) { t.Pool = &ownPool{conns: map[string]*ClientConn{}} })
		for range 3 {
			for _, path := range []string{"/a", "/b"} {
				resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+path, nil))
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
			}
		}
		if n := tr.Stats().ConnsOpened; n != 2 {
			t.Errorf("%d connections", n)
		}
		s.stop(tr)
	})
}
