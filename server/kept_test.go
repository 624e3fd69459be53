package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// TestKeptPartsOfRequest: what handlers keep of their requests does not keep the connection in
// memory once that has ended.
func TestKeptPartsOfRequest(t *testing.T) {
	type kept struct {
		url *url.URL
		r   *http.Request
		ctx context.Context
		w   http.ResponseWriter
	}
	var mu sync.Mutex
	var all []kept
	var conns []weak.Pointer[conn.Server]
	srv := serving(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, kept{r.URL, r, r.Context(), w})
		conns = append(conns, weak.Make(w.(*response).x.sc.c))
		mu.Unlock()
		switch r.URL.Path {
		case "/1":
			_ = r.Context().Err() // makes it a context that can end
			w.(http.Flusher).Flush()
		case "/3":
			panic(http.ErrAbortHandler)
		}
	})
	dial := listenLocal(t, srv, false)
	nc := dial()
	p := &peer{t: t, nc: nc.(*net.TCPConn), codec: h2test.NewCodec()}
	p.write(frame.AppendSettings([]byte(frame.Preface)))
	p.get(1, 3, 5)
	p.send(p.request(7, "POST", "/7", false), data(7, "body", true))
	gone := func() bool {
		runtime.GC()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			if c.Value() != nil {
				return false
			}
		}
		return len(conns) == 4
	}
	_ = nc.Close()
	deadline := time.Now().Add(time.Minute)
	for !gone() {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are kept, and a connection with them", len(all))
		}
		waitABit()
	}
	for _, k := range all { // and nothing of it breaks
		if k.ctx.Err() == nil || k.ctx.Value(http.LocalAddrContextKey) == nil || k.url != k.r.URL {
			t.Error("a context that is kept is not done, or has lost its values")
		}
		useAfterReturn(t, k.w, k.r)
	}
}

// TestTwoReadersOfBody: goroutines that read one body get each octet once, and the trailers stand
// there once.
func TestTwoReadersOfBody(t *testing.T) {
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		sum := 0
		for range 4 {
			wg.Go(func() {
				n, err := io.Copy(io.Discard, r.Body)
				if err != nil {
					t.Errorf("read: %v", err)
				}
				mu.Lock()
				sum += int(n)
				mu.Unlock()
			})
		}
		wg.Wait()
		if got := r.Trailer["X-T"]; sum != 5000 || len(got) != 1 {
			t.Errorf("%d octets, trailers %q", sum, got)
		}
	}, func(_ *testing.T, p *peer) {
		p.send(p.request(1, "POST", "/", false, "trailer", "x-t"))
		synctest.Wait()
		for range 5 {
			p.send(data(1, strings.Repeat("x", 1000), false))
		}
		p.send(h2test.Trailers(1, "x-t: v"))
		synctest.Wait()
	})
}
