package conformance

import (
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// defaultMaxStreams is how many streams, and with them handlers, a connection has at most by
// default.
const defaultMaxStreams = 250

// A gate is a handler that keeps count of itself. Requests for /block stay until the gate opens,
// whatever becomes of their stream; those for /read read their body first; others are answered at
// once.
type gate struct {
	running, most, started atomic.Int64
	read                   atomic.Int64 // octets of bodies
	open                   chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.started.Add(1)
	n := g.running.Add(1)
	defer g.running.Add(-1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); {
		most = g.most.Load()
	}
	switch r.URL.Path {
	case "/block":
		<-g.open
	case "/read":
		if _, err := io.Copy(g, r.Body); err != nil {
			return
		}
	}
	io.WriteString(w, helloBody)
}

// Write counts a body that is read.
func (g *gate) Write(p []byte) (int, error) {
	g.read.Add(int64(len(p)))
	return len(p), nil
}

// startGate serves a gate in cleartext. It opens when the test ends.
func startGate(t *testing.T, configure ...func(*server.Server)) (*liveServer, *gate) {
	t.Helper()
	g := &gate{open: make(chan struct{})}
	ls := startServer(t, false, g, configure...)
	t.Cleanup(func() { close(g.open) })
	return ls, g
}

// wantAlive requires that the server answers a request on a new connection.
func wantAlive(t *testing.T, ls *liveServer) {
	t.Helper()
	p := dialRaw(t, ls).greet().get(1, "/")
	p.mustFlush()
	p.until("a response", func(f frame.Frame) bool {
		h, ok := f.(frame.Headers)
		return ok && p.status(h) == "200"
	})
}

// wantAtMost requires that never more than the limit of handlers ran at once.
func (g *gate) wantAtMost(t *testing.T, limit int64) {
	t.Helper()
	if most := g.most.Load(); most > limit {
		t.Errorf("%d handlers ran at once, want at most %d", most, limit)
	}
}

// liveHeap is how much memory is in use after a collection, in octets.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// wantHeap requires that since before at most grown octets have come to stay. What is in pools
// outlives a collection, and what a goroutine is about to let go of outlives some.
func wantHeap(t *testing.T, before, grown int64) {
	t.Helper()
	var d int64
	for range 10 {
		if d = liveHeap() - before; d <= grown {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("the heap has grown by %d KiB, want at most %d KiB", d>>10, grown>>10)
}

// eventually waits until ok, which the server's goroutines make true in their own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(rawTimeout); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Errorf("after %v still not: %s", rawTimeout, what)
			return
		}
	}
}
