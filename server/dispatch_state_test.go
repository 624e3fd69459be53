package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/goroutine"
)

// Whatever a handler does to its goroutine, the next handler finds the goroutine that net/http
// would have given it.
func TestHandlersDoNotInheritGoroutineState(t *testing.T) {
	ways := map[string]func(r *http.Request){
		"labels": func(r *http.Request) {
			pprof.SetGoroutineLabels(pprof.WithLabels(r.Context(), pprof.Labels("user", r.URL.Path)))
		},
		"labels that were set and reset": func(r *http.Request) {
			pprof.Do(r.Context(), pprof.Labels("user", r.URL.Path), func(context.Context) {})
		},
		"labels, and a wait for the body": func(r *http.Request) {
			pprof.SetGoroutineLabels(pprof.WithLabels(r.Context(), pprof.Labels("user", r.URL.Path)))
			_, _ = io.Copy(io.Discard, r.Body)
		},
		"LockOSThread":       func(*http.Request) { runtime.LockOSThread() },
		"LockOSThread twice": func(*http.Request) { runtime.LockOSThread(); runtime.LockOSThread() },
		"SetPanicOnFault":    func(*http.Request) { debug.SetPanicOnFault(true) },
	}
	for _, d := range []Dispatch{DispatchElastic, DispatchGoroutine} {
		for name, way := range ways {
			t.Run(fmt.Sprint(d, " ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { inherits(t, d, way) })
			})
		}
	}
}

func inherits(t *testing.T, d Dispatch, way func(*http.Request)) {
	ctx := pprof.WithLabels(t.Context(), pprof.Labels("server", "test"))
	pprof.SetGoroutineLabels(ctx) // as of the goroutine that calls Serve
	defer pprof.SetGoroutineLabels(t.Context())
	want := goroutine.CurrentLabels()
	var mu sync.Mutex
	var found []string
	srv := serving(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if goroutine.CurrentLabels() != want {
			found = append(found, r.URL.Path+" has labels")
		}
		if goroutine.Locked() {
			found = append(found, r.URL.Path+" is locked to a thread")
		}
		if debug.SetPanicOnFault(false) {
			found = append(found, r.URL.Path+" does not crash on faults")
		}
		mu.Unlock()
		_, _ = io.WriteString(w, "ok")
		way(r)
	})
	srv.Dispatch = d
	p := newPeer(t, srv)
	for i := range uint32(40) {
		id := 8*i + 1
		p.send(p.request(id, "POST", fmt.Sprint("/", id), false))
		p.get(id+2, id+4, id+6)
		p.send(data(id, "x", true))
		synctest.Wait()
	}
	p.take()
	p.close()
	if len(found) > 0 {
		t.Errorf("%d of 160: %s", len(found), strings.Join(found, ", "))
	}
}

// A handler that goes on for long, such as that of an event stream, delays one request by two
// ticks, and none after it.
func TestLongHandlerDelaysNobody(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1" {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "event\n")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(300 * time.Millisecond)
			}
			return
		}
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.get(1)
		time.Sleep(time.Second)
		p.get(3)
		time.Sleep(2 * progressInterval)
		p.take()
		time.Sleep(10 * maxSeparate) // the server shares goroutines again
		p.take()
		for id := uint32(5); id < 205; id += 2 {
			p.get(id)
			synctest.Wait()
			p.wantAmong(t, okHead(id))
			time.Sleep(7 * time.Millisecond)
		}
		p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel})
		time.Sleep(300 * time.Millisecond) // the handler finds out
	})
}

// Where some handlers sleep, they hold up others once, and not again for a second.
func TestSleepingHandlersDelayFewRequests(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.RawQuery, "sleep") {
			time.Sleep(20 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.send(p.request(1, "GET", "/?sleep", true), p.request(3, "GET", "/", true))
		time.Sleep(2 * progressInterval)
		p.wantAmong(t, okHead(3))
		for id := uint32(5); id < 400; id += 8 {
			p.send(p.request(id, "GET", "/?sleep", true), p.request(id+2, "GET", "/", true),
				p.request(id+4, "GET", "/?sleep", true), p.request(id+6, "GET", "/", true))
			synctest.Wait()
			got := p.wantAmong(t, okHead(id+2))
			if !strings.Contains(got, okHead(id+6)) {
				t.Fatalf("%d waits for a handler that sleeps", id+6)
			}
			time.Sleep(19 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		p.take()
	})
}

// wantAmong fails where the frame is not among those that have come, which it takes.
func (p *peer) wantAmong(t *testing.T, frame string) string {
	t.Helper()
	synctest.Wait()
	got := strings.Join(p.take(), "\n")
	if !strings.Contains(got, frame) {
		t.Fatalf("%q is not among %q", frame, got)
	}
	return got
}

// How long requests have goroutines of their own after a handler has held up others.
func TestSeparateFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p handlerTime
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			p.stalled(time.Now())
			time.Sleep(want*time.Second - 1)
			if !p.separate() {
				t.Errorf("%d s are over early", want)
			}
			time.Sleep(1)
			if p.separate() {
				t.Errorf("%d s are not over", want)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		p.stalled(time.Now())
		time.Sleep(time.Second)
		if p.separate() {
			t.Error("after a long time without a stall it is not a second again")
		}
	})
}
