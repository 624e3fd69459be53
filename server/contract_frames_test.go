//go:build !nethttpomithttp2

package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// frameScript is a handler, and a client that is written frame by frame. What the handler adds to
// the transcript and what frames the client gets must be the same with net/http's own HTTP/2 as
// with this package.
type frameScript struct {
	name    string
	handler func(n *transcript, w http.ResponseWriter, r *http.Request)
	client  func(n *transcript, p *peer)
	adjust  func(*http.Server)
}

// runFrameScripts runs scripts against all kinds of servers.
func runFrameScripts(t *testing.T, scripts []frameScript) {
	for _, sc := range scripts {
		t.Run(sc.name, func(t *testing.T) {
			seen := map[string][]string{}
			for _, kind := range []string{kindNetHTTP, kindServer, kindConfigure} {
				synctest.Test(t, func(t *testing.T) { seen[kind] = sc.run(t, kind) })
			}
			for _, kind := range []string{kindServer, kindConfigure} {
				if d := cmp.Diff(seen[kindNetHTTP], seen[kind]); d != "" {
					t.Errorf("what is seen (-net/http +%s):\n%s", kind, d)
				}
			}
		})
	}
}

func (sc *frameScript) run(t *testing.T, kind string) []string {
	n := &transcript{}
	std := &http.Server{}
	if sc.adjust != nil {
		sc.adjust(std)
	}
	s := newTestServer(t, kind, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc.handler(n, w, r)
	}), func(hs *http.Server) {
		hs.ReadTimeout, hs.WriteTimeout = std.ReadTimeout, std.WriteTimeout
	}, func(srv *Server) {
		srv.ReadTimeout, srv.WriteTimeout = std.ReadTimeout, std.WriteTimeout
	})
	nc, err := s.l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	p := peerOn(t, nc.(memconn.End))
	p.write(frame.AppendSettings([]byte(frame.Preface)))
	p.write(frame.AppendSettingsAck(nil))
	synctest.Wait()
	sc.client(n, p)
	synctest.Wait()
	frames := p.take()
	_ = p.nc.Close()
	time.Sleep(time.Minute) // handlers see to their end
	synctest.Wait()
	s.stop()
	for i, f := range frames {
		if strings.HasPrefix(f, "HEADERS") {
			words := strings.Split(f, " ")
			slices.Sort(words) // the order of fields is not specified
			frames[i] = strings.Join(words, " ")
		}
	}
	slices.Sort(n.list)
	return append(frames, n.list...)
}

// request1 sends a request on stream 1, with a part of a body unless it ends there.
func request1(method string, end bool, body string) func(*transcript, *peer) {
	return func(_ *transcript, p *peer) {
		p.send(p.request(1, method, "/", end && body == ""))
		if body != "" {
			p.send(data(1, body, end))
		}
	}
}

// then does one after another.
func then(steps ...func(*transcript, *peer)) func(*transcript, *peer) {
	return func(n *transcript, p *peer) {
		for _, f := range steps {
			f(n, p)
		}
	}
}

func pause(d time.Duration) func(*transcript, *peer) {
	return func(*transcript, *peer) {
		time.Sleep(d)
		synctest.Wait()
	}
}

// addTime adds how many frames have come so far, so that frames are known to come in time.
func addTime(n *transcript, p *peer) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	n.add("frames so far: %q", p.seen)
}

// outcome names an error by what a handler may ask of it.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case err == io.EOF:
		return "EOF"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "deadline"
	}
	return "error"
}

func TestContractWriteDeadlines(t *testing.T) {
	start := func() func() time.Duration {
		at := time.Now()
		return func() time.Duration { return time.Since(at) }
	}
	waits := func(n *transcript, w http.ResponseWriter, r *http.Request) {
		since := start()
		<-r.Context().Done()
		n.add("context: %v after %v", r.Context().Err(), since())
		_, err := w.Write(make([]byte, 10_000))
		n.add("write error %t", err != nil)
	}
	runFrameScripts(t, []frameScript{
		{"passes while the handler waits", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			n.add("set %v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second)))
			waits(n, w, r)
		}, then(request1("GET", true, ""), pause(999*time.Millisecond), addTime, pause(time.Millisecond), addTime), nil},
		{
			"WriteTimeout while the handler waits", waits,
			then(request1("GET", true, ""), pause(1999*time.Millisecond), addTime, pause(time.Millisecond), addTime),
			func(hs *http.Server) { hs.WriteTimeout = 2 * time.Second },
		},
		{"passes after a part of the response", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "x")
			rc := http.NewResponseController(w)
			_, _ = io.WriteString(w, "part")
			n.add("flush %v, set %v", rc.Flush(), rc.SetWriteDeadline(time.Now().Add(time.Second)))
			waits(n, w, r)
		}, then(request1("GET", true, ""), pause(time.Second), addTime), nil},
		{"passes while the handler reads", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			b, err := io.ReadAll(r.Body)
			n.add("read %q, error %t", b, err != nil)
		}, then(request1("POST", false, "part"), pause(time.Second), addTime), nil},
		{"in the past, and moved", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			n.add("set %v", rc.SetWriteDeadline(time.Now().Add(-time.Second)))
			time.Sleep(time.Second)
			n.add("moved %v", rc.SetWriteDeadline(time.Now().Add(time.Hour)))
			_, _ = io.WriteString(w, "late")
			n.add("flush error %t", rc.Flush() != nil)
			n.add("taken away %v", rc.SetWriteDeadline(time.Time{}))
			n.add("flush error %t", rc.Flush() != nil)
		}, then(request1("GET", true, ""), addTime, pause(time.Second)), nil},
		{"passed, and moved", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetWriteDeadline(time.Now().Add(time.Second))
			time.Sleep(2 * time.Second)
			n.add("moved %v", rc.SetWriteDeadline(time.Now().Add(time.Hour)))
			_, _ = io.WriteString(w, "late")
			n.add("flush error %t", rc.Flush() != nil)
		}, then(request1("GET", true, ""), pause(3*time.Second)), nil},
		{"moved in time, twice", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "x")
			rc := http.NewResponseController(w)
			for range 3 {
				n.add("set %v", rc.SetWriteDeadline(time.Now().Add(time.Second)))
				time.Sleep(900 * time.Millisecond)
			}
			n.add("taken away %v", rc.SetWriteDeadline(time.Time{}))
			time.Sleep(time.Hour)
			n.add("context %v", r.Context().Err())
			_, _ = io.WriteString(w, "in time")
		}, then(request1("GET", true, ""), pause(2*time.Hour)), nil},
		{"after the response", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "x")
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = io.WriteString(w, "in time")
		}, then(request1("GET", true, ""), pause(time.Minute)), nil},
		{"closed window", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			since := start()
			k, err := w.Write(make([]byte, 100_000))
			n.add("write %s after %v, all %t", outcome(err), since(), k == 100_000)
		}, then(func(n *transcript, p *peer) {
			p.write(frame.AppendSettings(nil, frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0}))
			request1("GET", true, "")(n, p)
		}, pause(999*time.Millisecond), addTime, pause(time.Millisecond)), nil},
	})
}

func TestContractReadDeadlines(t *testing.T) {
	readAll := func(n *transcript, r *http.Request) {
		buf := make([]byte, 100)
		for range 4 {
			k, err := io.ReadFull(r.Body, buf[:4])
			n.add("read %q %s", buf[:k], outcome(err))
		}
	}
	runFrameScripts(t, []frameScript{
		{"passes with unread octets", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			n.add("set %v", http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)))
			time.Sleep(2 * time.Second)
			readAll(n, r)
			n.add("context %v", r.Context().Err())
			w.WriteHeader(400)
		}, then(request1("POST", false, "part"), pause(1500*time.Millisecond), func(_ *transcript, p *peer) {
			p.send(data(1, "late", false))
		}, pause(time.Second)), nil},
		{"passes with a whole body", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
			time.Sleep(2 * time.Second)
			readAll(n, r)
		}, then(request1("POST", true, "whole"), pause(3*time.Second)), nil},
		{"in the past with a whole body", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(-1))
			readAll(n, r)
		}, then(request1("POST", true, "whole"), pause(3*time.Second)), nil},
		{"passed, and moved", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(time.Second))
			readAll(n, r)
			n.add("moved %v", rc.SetReadDeadline(time.Now().Add(time.Hour)))
			readAll(n, r)
			n.add("taken away %v", rc.SetReadDeadline(time.Time{}))
			readAll(n, r)
		}, then(request1("POST", false, "part"), pause(2*time.Second)), nil},
		{"moved in time", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(time.Second))
			time.Sleep(900 * time.Millisecond)
			_ = rc.SetReadDeadline(time.Now().Add(time.Hour))
			readAll(n, r)
		}, then(request1("POST", false, "part"), pause(2*time.Second), func(_ *transcript, p *peer) {
			p.send(data(1, "more", true))
		}, pause(time.Second)), nil},
		{"ReadTimeout", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			readAll(n, r)
			w.WriteHeader(408)
		}, then(request1("POST", false, "part"), pause(1500*time.Millisecond)), func(hs *http.Server) {
			hs.ReadTimeout = time.Second
		}},
	})
}

// A response of which only a deadline has passed, whose handler is elsewhere, has a context that
// tells why.
func TestWriteDeadlineIsCause(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
		<-r.Context().Done()
		if cause := context.Cause(r.Context()); !errors.Is(cause, os.ErrDeadlineExceeded) {
			t.Errorf("cause: %v", cause)
		}
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		time.Sleep(2 * time.Second)
		p.want("reset", "RST_STREAM 1 INTERNAL_ERROR")
	})
}
