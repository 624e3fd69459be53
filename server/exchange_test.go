package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/sluice-go/sluice/frame"
)

// withPeer runs a test in a bubble with one connection.
func withPeer(t *testing.T, h func(http.ResponseWriter, *http.Request), script func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(h))
		script(t, p)
		p.close()
	})
}

func TestResetOfAHandlersStream(t *testing.T) {
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		var se *frame.StreamError
		if err := context.Cause(r.Context()); !errors.As(err, &se) || se.Code != frame.Cancel ||
			se.Initiator != frame.Remote {
			t.Errorf("cause: %v", err)
		}
		if err := r.Context().Err(); err != context.Canceled { // documented as this very value
			t.Errorf("Err: %v", err)
		}
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		synctest.Wait()
		p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel})
		p.want("nothing answers RST_STREAM")
	})
}

func TestLostConnectionEndsContext(t *testing.T) {
	cause := make(chan error, 1)
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		defer cancel()
		<-ctx.Done()
		cause <- context.Cause(ctx)
	}, func(t *testing.T, p *peer) {
		p.get(1)
		synctest.Wait()
		_ = p.nc.Close()
		var ce *frame.ConnError
		if err := <-cause; !errors.As(err, &ce) {
			t.Errorf("cause: %v", err)
		}
	})
}

func TestReaderIsWoken(t *testing.T) {
	for name, wake := range map[string]func(p *peer){
		"by RST_STREAM": func(p *peer) { p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel}) },
		"by the end":    func(p *peer) { _ = p.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var got error
			withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
				_, got = r.Body.Read(make([]byte, 1))
			}, func(_ *testing.T, p *peer) {
				p.send(p.request(1, "POST", "/", false))
				synctest.Wait()
				wake(p)
				synctest.Wait()
			})
			if got == nil || errors.Is(got, io.EOF) {
				t.Errorf("read: %v", got)
			}
		})
	}
}

func TestBodyCloseWakesReader(t *testing.T) {
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		read := make(chan error)
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			read <- err
		}()
		time.Sleep(time.Second) // now it waits
		_ = r.Body.Close()
		if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read: %v", err)
		}
	}, func(_ *testing.T, p *peer) {
		p.send(p.request(1, "POST", "/", false))
		time.Sleep(2 * time.Second)
		p.want("the body is not wanted", "HEADERS 1 :status=200 content-length=0 END_STREAM", "RST_STREAM 1 NO_ERROR")
	})
}

// TestUseAfterReturn has goroutines that outlive their handler, while the memory of the stream is
// used again.
func TestUseAfterReturn(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/3" {
			_, _ = io.WriteString(w, "fine")
			return
		}
		blocked := make(chan error, 1)
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			blocked <- err
		}()
		time.Sleep(time.Second) // now it waits
		go func() {
			if err := <-blocked; !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("waiting read: %v", err)
			}
			useAfterReturn(t, w, r)
		}()
	}, func(_ *testing.T, p *peer) {
		p.send(p.request(1, "POST", "/1", false))
		time.Sleep(2 * time.Second)
		p.want("complete", "HEADERS 1 :status=200 content-length=0 END_STREAM", "RST_STREAM 1 NO_ERROR")
		p.get(3)
		p.want("not disturbed", "HEADERS 3 :status=200 content-type=text/plain; charset=utf-8 content-length=4",
			`DATA 3 "fine" END_STREAM`)
	})
}

func useAfterReturn(t *testing.T, w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_, werr := io.WriteString(w, "late")
	_, rerr := r.Body.Read(make([]byte, 1))
	w.WriteHeader(500)
	w.Header().Set("X-Late", "1")
	for what, err := range map[string]error{
		"write": werr, "read": rerr, "flush": rc.Flush(), "read deadline": rc.SetReadDeadline(time.Now()),
		"write deadline": rc.SetWriteDeadline(time.Now()), "context": r.Context().Err(),
	} {
		if err == nil {
			t.Errorf("%s after return: no error", what)
		}
	}
	_ = w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // part of the contract
	_ = r.Body.Close()
}

// TestLateWriters has goroutines that use the ResponseWriters of handlers which have returned,
// while the workers whose memory these have used serve others.
func TestLateWriters(t *testing.T) {
	const rounds, each = 20, 10
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Mine", r.URL.Path)
		_, _ = io.WriteString(w, "ok")
		go func() { // ends soon after the response, in the middle of the next requests
			<-r.Context().Done()
			time.Sleep(time.Millisecond)
			for range 20 {
				w.Header().Set("X-Late", "1")
				w.WriteHeader(http.StatusTeapot)
				if _, err := io.WriteString(w, "late"); err == nil {
					t.Error("a late write is taken")
				}
				if err := http.NewResponseController(w).Flush(); err == nil {
					t.Error("a late flush is taken")
				}
				runtime.Gosched()
			}
		}()
	}, func(t *testing.T, p *peer) {
		for round := range uint32(rounds) {
			var ids []uint32
			var want []string
			for i := range uint32(each) {
				id := 2*(round*each+i) + 1
				ids = append(ids, id)
				want = append(
					want,
					fmt.Sprintf("HEADERS %d :status=200 x-mine=/%d content-type=text/plain; charset=utf-8 content-length=2", id, id),
					fmt.Sprintf(`DATA %d "ok" END_STREAM`, id),
				)
			}
			p.get(ids...)
			p.wantByStream("each its own", want...)
			time.Sleep(time.Millisecond) // now the late ones begin
		}
		time.Sleep(time.Second)
	})
}

func TestPanics(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/1":
			panic("boom")
		case "/3":
			panic(http.ErrAbortHandler)
		case "/5":
			runtime.Goexit()
		}
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.get(1, 3, 5, 7)
		p.want("each ends its own stream only", "RST_STREAM 1 INTERNAL_ERROR", "RST_STREAM 3 INTERNAL_ERROR",
			"RST_STREAM 5 INTERNAL_ERROR", "HEADERS 7 :status=200 content-type=text/plain; charset=utf-8 content-length=2",
			`DATA 7 "ok" END_STREAM`)
		if got := p.logs.String(); !strings.Contains(got, "panic serving client:1: boom") ||
			!strings.Contains(got, "exchange_test.go") || strings.Count(got, "panic serving") != 1 {
			t.Errorf("logged:\n%s", got)
		}
	})
}

func TestRefusedRequests(t *testing.T) {
	withPeer(t, func(http.ResponseWriter, *http.Request) { t.Error("handler was called") },
		func(_ *testing.T, p *peer) {
			const plain = " x-content-type-options=nosniff"
			answer := func(id uint32, status int) []string {
				text := http.StatusText(status) + "\n"
				return []string{
					fmt.Sprintf(
						"HEADERS %d :status=%d content-type=text/plain; charset=utf-8%s content-length=%d",
						id,
						status,
						plain,
						len(text),
					),
					fmt.Sprintf("DATA %d %q END_STREAM", id, text),
				}
			}
			check := func(why string, id uint32, status int) {
				p.t.Helper()
				synctest.Wait()
				got := p.take()
				for i, f := range got { // the order of the map's fields is not fixed
					got[i] = strings.Replace(strings.Replace(f, plain, "", 1), " content-length=", plain+" content-length=", 1)
				}
				if want := answer(id, status); fmt.Sprint(got) != fmt.Sprint(want) {
					p.t.Errorf("%s: %q, want %q", why, got, want)
				}
			}
			var many []string
			for i := range 501 {
				many = append(many, "a", fmt.Sprint(i))
			}
			p.send(p.request(3, "GET", "/", true, many...))
			check("too many fields", 3, 431)
			p.send(p.request(5, "GET", "/%zz", true))
			check("bad escape", 5, 400)
			p.send(p.request(7, "GET", "/", true, "expect", "a miracle"))
			check("unknown expectation", 7, 417)
		})
}

// TestManyTrailersAnnounced: a few octets each must not become a large map.
func TestManyTrailersAnnounced(t *testing.T) {
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		if n := len(r.Trailer); n != maxTrailers {
			t.Errorf("%d keys", n)
		}
	}, func(_ *testing.T, p *peer) {
		var keys strings.Builder
		for i := range 3000 {
			fmt.Fprintf(&keys, "%x,", i)
		}
		p.send(p.request(1, "GET", "/", true, "trailer", keys.String()))
		p.want("answered", "HEADERS 1 :status=200 content-length=0 END_STREAM")
	})
}

// An exchange is most of the memory of a request. It fills a size class of the allocator, 576
// octets, of which objects with pointers above 512 have 8 for the collector.
func TestExchangeFillsSizeClass(t *testing.T) {
	if n := unsafe.Sizeof(exchange{}); n > 512 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("an exchange has %d octets, 512 fit", n)
	}
}
