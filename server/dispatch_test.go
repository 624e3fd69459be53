package server

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// okHead is the head of a response whose body is "ok".
func okHead(id uint32) string {
	return fmt.Sprintf("HEADERS %d :status=200 content-type=text/plain; charset=utf-8 content-length=2", id)
}

func ok(ids ...uint32) (frames []string) {
	for _, id := range ids {
		frames = append(frames, okHead(id), fmt.Sprintf(`DATA %d "ok" END_STREAM`, id))
	}
	return frames
}

func TestOneWorkerWhileQuick(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		_, _ = io.WriteString(w, "ok")
		mu.Lock()
		running--
		mu.Unlock()
	}, func(t *testing.T, p *peer) {
		synctest.Wait()
		_, before := memconn.Below(p.nc).Calls()
		p.get(1, 3, 5, 7, 9)
		p.want("in order", ok(1, 3, 5, 7, 9)...)
		if most != 1 {
			t.Errorf("%d handlers at once", most)
		}
		if _, after := memconn.Below(p.nc).Calls(); after != before+1 {
			t.Errorf("the test has written %d times", after-before)
		}
	})
}

// TestRequestsWaitForEachOther: the first request of a batch waits for the second, and neither for
// the network.
func TestRequestsWaitForEachOther(t *testing.T) {
	for _, d := range []Dispatch{DispatchElastic, DispatchGoroutine} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				meet := make(chan struct{})
				srv := serving(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/1" {
						<-meet
					} else {
						meet <- struct{}{}
					}
					_, _ = io.WriteString(w, "ok")
				})
				srv.Dispatch = d
				p := newPeer(t, srv)
				p.get(1, 3)
				start := time.Now()
				for len(p.peek()) < 4 {
					time.Sleep(time.Millisecond / 2)
					if time.Since(start) > 2*progressInterval {
						t.Fatal("no answer")
					}
				}
				p.close()
			})
		})
	}
}

// peek is what has come, without taking it.
func (p *peer) peek() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

func TestBlockedReaderHoldsUpNobody(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}, func(_ *testing.T, p *peer) {
		p.send(p.request(1, "POST", "/", false), p.request(3, "GET", "/", true), p.request(5, "GET", "/", true))
		p.want("without any delay", ok(3, 5)...)
		p.send(data(1, "x", true))
		p.want("its turn", ok(1)...)
	})
}

func TestBlockedWriterHoldsUpNobody(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1" {
			_, _ = w.Write(make([]byte, 100_000)) // the window is 65535
		}
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.send(frame.WindowUpdate{StreamID: 0, Increment: 1 << 20})
		p.get(1, 3)
		synctest.Wait()
		got := p.take()
		for _, want := range ok(3) {
			if !slices.Contains(got, want) {
				t.Errorf("%q is not in %q", want, got)
			}
		}
	})
}

// TestFinishedResponseIsFlushed: a response does not wait for the slow request behind it.
func TestFinishedResponseIsFlushed(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/3" {
			time.Sleep(time.Minute)
		}
		_, _ = io.WriteString(w, "ok")
	}, func(_ *testing.T, p *peer) {
		p.get(1, 3)
		time.Sleep(progressInterval)
		p.want("the first", ok(1)...)
		time.Sleep(time.Minute)
		p.want("the second", ok(3)...)
	})
}

// TestOutputOfARunningHandler: what a handler has written and not flushed goes out before it ends.
func TestOutputOfARunningHandler(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, bufferSize+1))
		time.Sleep(time.Minute)
	}, func(t *testing.T, p *peer) {
		p.get(1)
		time.Sleep(progressInterval)
		if got := p.peek(); len(got) != 2 {
			t.Errorf("after progressInterval: %q", got)
		}
		time.Sleep(time.Minute)
	})
}

// TestSlowHandlersRunSideBySide: when handlers are slow each request gets its own worker.
func TestSlowHandlersRunSideBySide(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		var ids []uint32
		for id := uint32(1); id < 200; id += 2 {
			ids = append(ids, id)
		}
		p.get(ids...)
		time.Sleep(time.Second + 2*progressInterval)
		if got := p.peek(); len(got) != 2*len(ids) {
			t.Errorf("%d frames after two ticks and a second", len(got))
		}
	})
}

func TestHandlersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		release := make(chan struct{})
		srv := serving(func(http.ResponseWriter, *http.Request) {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			running.Add(-1)
		})
		srv.MaxConcurrentStreams = 10
		srv.Limits.ResetBurst = -1
		p := newPeer(t, srv)
		// Streams that are reset leave their handlers running (CVE-2023-44487).
		id := uint32(1)
		for range 5 {
			for range 10 {
				p.send(p.request(id, "GET", "/", true))
				id += 2
			}
			time.Sleep(time.Second)
			for i := range uint32(10) {
				p.send(frame.RSTStream{StreamID: id - 20 + 2*i, Code: frame.Cancel})
			}
		}
		if n := running.Load(); n != 10 {
			t.Errorf("%d handlers run", n)
		}
		if s := srv.Stats(); s.Running != 10 || s.Queued > 20 {
			t.Errorf("stats: %+v", s)
		}
		for range 1000 { // a request that is reset while it waits leaves the queue
			p.send(p.request(id, "GET", "/", true), frame.RSTStream{StreamID: id, Code: frame.Cancel})
			id += 2
			if s := srv.Stats(); s.Running != 10 || s.Queued > 20 {
				t.Fatalf("stats: %+v", s)
			}
		}
		p.want("still alive")
		close(release)
		synctest.Wait()
		p.get(id)
		p.want("an answer", fmt.Sprintf("HEADERS %d :status=200 content-length=0 END_STREAM", id))
		p.close()
		if n := most.Load(); n != 10 {
			t.Errorf("%d handlers ran at once, of 10 allowed; those that waited were dead", n)
		}
		if n := running.Load(); n != 0 {
			t.Errorf("%d handlers left", n)
		}
	})
}

func TestDeadRequestsAreNotRun(t *testing.T) {
	needsLargeReads(t)
	var ran []string
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		ran = append(ran, r.URL.Path) // one at a time
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.send(
			p.request(1, "GET", "/1", true),
			frame.RSTStream{StreamID: 1, Code: frame.Cancel},
			p.request(3, "GET", "/3", true),
		)
		p.want("only the living", ok(3)...)
		if !slices.Equal(ran, []string{"/3"}) {
			t.Errorf("ran %q", ran)
		}
	})
}

func TestNothingRunsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
		p := newPeer(t, srv)
		p.get(1, 3, 5)
		p.want("answers", ok(1, 3, 5)...) // at once, before progressInterval has passed
		for _, sc := range srv.http2.tracked() {
			sc.d.mu.Lock()
			if sc.d.mu.workers != 0 || sc.d.mu.running != 0 || sc.d.mu.blocked != 0 || sc.d.mu.flushing != 0 || sc.d.mu.armed {
				t.Errorf("%+v", &sc.d)
			}
			sc.d.mu.Unlock()
		}
		p.close()
	})
}

func TestHandlerTime(t *testing.T) {
	const limit = 100 // of workers; as many where handlers are slow
	p := &handlerTime{procs: 4}
	slow := func() bool { return p.workers(1, limit) == limit }
	if slow() || p.workers(1000, limit) != 1 {
		t.Error("knows something at first")
	}
	for range 50 {
		p.observe(time.Microsecond)
	}
	if slow() || p.workers(50, limit) != 1 {
		t.Errorf("mean %d", p.mean.Load())
	}
	p.observe(time.Hour)
	if !slow() {
		t.Error("an hour is not slow")
	}
	n := 0
	for ; slow(); n++ {
		p.observe(time.Microsecond)
	}
	if n > 10 {
		t.Errorf("one slow handler is remembered for %d quick ones", n)
	}
	for range 50 {
		p.observe(50 * time.Microsecond)
	}
	if got := p.workers(4, limit); got < 2 || got > 3 {
		t.Errorf("4 requests of 50 µs: %d workers", got)
	}
	if got := p.workers(1000, limit); got != 4 {
		t.Errorf("1000 requests of 50 µs: %d workers for 4 CPUs", got)
	}
}

func TestQueue(t *testing.T) {
	var q queue
	streams := make([]conn.Stream, 3*maxKeptQueue)
	next, want := 0, 0
	for range 20 { // grows, and never empty for long
		for range maxKeptQueue {
			if next < len(streams) {
				q.items = append(q.items, &streams[next])
				next++
			}
		}
		for range maxKeptQueue / 2 {
			if q.len() > 0 {
				if got := q.pop(); got != &streams[want] {
					t.Fatalf("item %d is out of order", want)
				}
				want++
			}
		}
	}
	if want != len(streams) || q.len() != 0 || q.items != nil {
		t.Errorf("%d of %d popped, %d left, memory for %d kept", want, len(streams), q.len(), cap(q.items))
	}
}
