package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// cached returns a testDialer whose Transport has a PushCache, with a connection on which stream 1
// is open for promises.
func cached(t *testing.T, adjust ...func(*Transport)) (*testDialer, *peer, *result) {
	t.Helper()
	f := newTestDialer(t, append([]func(*Transport){func(tr *Transport) { tr.PushCache = new(PushCache) }}, adjust...)...)
	page := f.get()
	p := f.accept()
	p.request()
	return f, p, page
}

// end ends what cached has begun.
func (f *testDialer) end(p *peer, page *result) {
	f.t.Helper()
	p.send(h2test.Response(1, 204).End())
	page.response()
	f.close()
	_ = p.nc.Close()
	synctest.Wait()
	s := f.tr.PushCache.Stats()
	if s.Responses != 0 || s.Bytes != 0 || s.Stored != s.Matched+s.Mismatched+s.Dropped {
		f.t.Errorf("in the end the cache has %+v", s)
	}
}

func (f *testDialer) pushed(pairs ...string) *result {
	f.t.Helper()
	synctest.Wait() // what was sent has arrived
	return f.start(newRequestWith(f.t, "/pushed", pairs...))
}

func newRequestWith(t *testing.T, path string, pairs ...string) *http.Request {
	req := newRequest(t, "GET", testURL+path, nil)
	for i := 0; i+1 < len(pairs); i += 2 {
		req.Header.Add(pairs[i], pairs[i+1])
	}
	return req
}

// wantStats checks the cache's counters.
func (f *testDialer) wantStats(why string, want PushCacheStats) {
	f.t.Helper()
	synctest.Wait()
	if got := f.tr.PushCache.Stats(); got != want {
		f.t.Errorf("%s: the cache has %+v, want %+v", why, got, want)
	}
}

func TestPushCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(p.promise(2), h2test.Response(2, 200, "a: b"), h2test.DataEnd(2, "pushed body"))
		f.wantStats("one is kept", PushCacheStats{Responses: 1, Bytes: 11, Stored: 1})
		r := f.pushed()
		resp := r.response()
		if got := readAll(t, resp); got != "pushed body" || resp.Header.Get("A") != "b" ||
			resp.Request.URL.Path != "/pushed" ||
			resp.Proto != "HTTP/2.0" {
			t.Errorf("%q, %+v", got, resp)
		}
		f.wantStats("it was handed out", PushCacheStats{Stored: 1, Matched: 1})
		r = f.pushed()
		if h := p.request(); h.StreamID != 3 {
			t.Errorf("the second request is on stream %d", h.StreamID)
		}
		p.send(h2test.Response(3, 204).End())
		r.response()
		f.end(p, page)
	})
}

// A response that still runs, or has not begun, can answer a request, which waits for no more than
// the server has sent.
func TestPushCacheRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(p.promise(2))
		r := f.pushed()
		r.wantWaiting("nothing has come but the promise")
		p.send(h2test.Response(2, 103), h2test.Response(2, 200))
		resp := r.response()
		p.send(h2test.Data(2, "first, "))
		buf := make([]byte, 100)
		if n, err := resp.Body.Read(buf); string(buf[:n]) != "first, " || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		p.send(h2test.Data(2, "last"), respondTrailers(2, "x", "y"))
		if got := readAll(t, resp); got != "last" || resp.Trailer.Get("X") != "y" {
			t.Errorf("%q, %v", got, resp.Trailer)
		}
		f.end(p, page)
	})
}

// What the transport would have asked to be compressed, it makes readable.
func TestPushCacheGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		_, _ = zw.Write([]byte("compressed"))
		_ = zw.Close()
		for i, accept := range []string{"", "gzip"} {
			f, p, page := cached(t)
			p.send(
				p.promise(2, "accept-encoding", "gzip"),
				h2test.Response(2, 200, "content-encoding: gzip", "vary: accept-encoding"),
				h2test.DataEnd(2, b.String()),
			)
			var pairs []string
			if accept != "" {
				pairs = []string{"Accept-Encoding", accept}
			}
			resp := f.pushed(pairs...).response()
			want := [...]string{"compressed", b.String()}[i]
			if got := readAll(t, resp); got != want || resp.Uncompressed != (i == 0) {
				t.Errorf("%q: got %q, uncompressed %v", accept, got, resp.Uncompressed)
			}
			f.end(p, page)
		}
	})
}

// The bounds: of number, octets and age. What has to go is cancelled.
func TestPushCacheBounds(t *testing.T) {
	path := func(i int) []string { return []string{":path", fmt.Sprintf("/%d", i)} }
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t, func(tr *Transport) { tr.PushCache.MaxResponses = 2 })
		p.send(p.promise(2, path(1)...), p.promise(4, path(2)...), p.promise(6, path(3)...))
		p.wantReset(2, frame.Cancel)
		f.wantStats("the oldest has to go", PushCacheStats{Responses: 2, Stored: 3, Dropped: 1})
		p.send(p.promise(8, path(3)...))
		p.wantReset(6, frame.Cancel)
		f.wantStats("the newer of two takes the place", PushCacheStats{Responses: 2, Stored: 4, Dropped: 2})
		f.end(p, page)
	})
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t, func(tr *Transport) { tr.PushCache.MaxBytes = 100 })
		fifty := strings.Repeat("x", 50)
		p.send(
			p.promise(2, path(1)...),
			p.promise(4, path(2)...),
			h2test.Response(2, 200),
			h2test.Response(4, 200),
			h2test.Data(2, fifty),
			h2test.Data(4, fifty),
		)
		f.wantStats("as much as may be", PushCacheStats{Responses: 2, Bytes: 100, Stored: 2})
		p.send(h2test.Data(4, "x"))
		p.wantReset(2, frame.Cancel)
		f.wantStats("the oldest has to go", PushCacheStats{Responses: 1, Bytes: 51, Stored: 2, Dropped: 1})
		p.send(p.promise(6, path(3)...), h2test.Response(6, 200), h2test.Data(6, fifty+fifty+"x"))
		p.wantReset(6, frame.Cancel)
		f.wantStats("what is too large itself goes alone", PushCacheStats{Responses: 1, Bytes: 51, Stored: 3, Dropped: 2})
		r := f.start(newRequestWith(t, "/2"))
		resp := r.response()
		p.send(h2test.Data(4, fifty+fifty), h2test.DataEnd(4, "."))
		if got := readAll(t, resp); len(got) != 152 {
			t.Errorf("%d octets: what was claimed is not bounded", len(got))
		}
		f.end(p, page)
	})
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t, func(tr *Transport) { tr.PushCache.MaxAge = time.Second })
		p.send(p.promise(2, path(1)...))
		time.Sleep(600 * time.Millisecond)
		p.send(p.promise(4, path(2)...), h2test.Response(4, 200), h2test.DataEnd(4, "x"))
		time.Sleep(600 * time.Millisecond)
		p.wantReset(2, frame.Cancel)
		f.wantStats("the older is too old", PushCacheStats{Responses: 1, Bytes: 1, Stored: 2, Dropped: 1})
		time.Sleep(600 * time.Millisecond)
		f.wantStats("the other, too", PushCacheStats{Stored: 2, Dropped: 2})
		f.end(p, page)
	})
}

// A server that does not keep its promise: the request is sent.
func TestPushCacheBrokenPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(p.promise(2), h2test.RST(2, frame.InternalError))
		f.wantStats("nobody has waited", PushCacheStats{Stored: 1, Dropped: 1})
		p.send(p.promise(4))
		r := f.pushed()
		r.wantWaiting("a promise")
		p.send(h2test.RST(4, frame.InternalError))
		h := p.request()
		p.send(h2test.Response(h.StreamID, 200), h2test.DataEnd(h.StreamID, "asked for"))
		if got := readAll(t, r.response()); got != "asked for" {
			t.Errorf("%q", got)
		}
		f.wantStats("somebody has", PushCacheStats{Stored: 2, Dropped: 1, Mismatched: 1})
		f.end(p, page)
	})
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t, func(tr *Transport) { tr.ResponseHeaderTimeout = time.Second })
		p.send(h2test.Response(1, 200))
		page.response()
		p.send(p.promise(2))
		r := f.pushed()
		p.wantReset(2, frame.Cancel)
		h := p.request()
		p.send(h2test.Response(h.StreamID, 204).End())
		r.response()
		p.send(h2test.DataEnd(1, ""))
		_ = readAll(t, page.resp)
		f.close()
		_ = p.nc.Close()
	})
}

func TestPushCacheCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(p.promise(2))
		r := f.pushed()
		r.wantWaiting("a promise")
		r.stop()
		r.wantErr(context.Canceled)
		p.wantReset(2, frame.Cancel)
		p.send(p.promise(4), h2test.Response(4, 200), h2test.Data(4, "x"))
		resp := f.pushed().response()
		_ = resp.Body.Close()
		p.wantReset(4, frame.Cancel)
		f.end(p, page)
	})
}

// A connection that closes takes its unused pushes along.
func TestPushCacheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(
			p.promise(2),
			h2test.Response(2, 200),
			h2test.DataEnd(2, "complete"),
			p.promise(4, ":path", "/4"),
			p.promise(6, ":path", "/6"),
		)
		synctest.Wait()
		r := f.start(newRequestWith(t, "/4"))
		r.wantWaiting("a promise")
		_ = p.nc.Close()
		<-page.done
		f.wantStats("gone", PushCacheStats{Stored: 3, Dropped: 2, Mismatched: 1})
		p = f.accept()
		h := p.request()
		p.send(h2test.Response(h.StreamID, 204).End())
		r.response()
		f.close()
		_ = p.nc.Close()
	})
	synctest.Test(t, func(t *testing.T) { // closed by this side
		f, p, page := cached(t)
		p.send(p.promise(2), h2test.Response(2, 200), h2test.Response(1, 204).End())
		page.response()
		f.wantStats("kept", PushCacheStats{Responses: 1, Stored: 1})
		f.tr.CloseIdleConnections()
		p.wantGoAway(frame.NoError)
		p.wantReset(2, frame.Cancel)
		f.wantStats("gone", PushCacheStats{Stored: 1, Dropped: 1})
		_ = p.nc.Close()
		_ = f.l.Close()
	})
}

// The PushHandler comes first.
func TestPushCacheAndHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t, func(tr *Transport) {
			tr.PushHandler = PushHandlerFunc(func(p *Push) {
				switch p.Request.URL.Path {
				case "/cancel":
					p.Cancel()
				case "/take":
					resp, err := p.Response(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		})
		p.send(p.promise(2, ":path", "/cancel"))
		p.wantReset(2, frame.Cancel)
		p.send(p.promise(4, ":path", "/take"), h2test.Response(4, 200), h2test.DataEnd(4, "x"))
		f.wantStats("nothing is left for the cache", PushCacheStats{})
		p.send(p.promise(6), h2test.Response(6, 200), h2test.DataEnd(6, "left"))
		f.wantStats("something is", PushCacheStats{Responses: 1, Bytes: 4, Stored: 1})
		if got := readAll(t, f.pushed().response()); got != "left" {
			t.Errorf("%q", got)
		}
		f.end(p, page)
	})
}

// A ClientConn answers with what was pushed on it, and with nothing else.
func TestPushCacheClientConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, page := cached(t)
		p.send(p.promise(2), h2test.Response(2, 200), h2test.DataEnd(2, "x"))
		synctest.Wait()
		nc, err := f.l.Dial(t.Context(), "tcp", "example.test:80")
		if err != nil {
			t.Fatal(err)
		}
		type made struct {
			cc  *ClientConn
			err error
		}
		done := make(chan made, 1)
		go func() {
			cc, err := f.tr.NewClientConn(nc)
			done <- made{cc, err}
		}()
		p2 := f.accept()
		m := <-done
		if m.err != nil {
			t.Fatal(m.err)
		}
		r := startOn(t, m.cc, newRequestWith(t, "/pushed"))
		h := p2.request()
		p2.send(
			p2.promise(2, ":path", "/own"),
			h2test.Response(2, 200),
			h2test.DataEnd(2, "own"),
			h2test.Response(h.StreamID, 204).End(),
		)
		r.response()
		if err := m.cc.Reserve(); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, startOn(t, m.cc, newRequestWith(t, "/own")).response()); got != "own" {
			t.Errorf("%q", got)
		}
		if s := m.cc.State(); s.InFlight != 0 {
			t.Errorf("%d streams are in flight or reserved", s.InFlight)
		}
		_ = m.cc.Close()
		_ = p2.nc.Close()
		f.end(p, page)
	})
}
