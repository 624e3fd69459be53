package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// pushes is a handler that pushes what the path of the request names.
func pushes(push func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil // none
		if strings.HasPrefix(r.URL.Path, "/pushed") {
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("Accept"))
			return
		}
		push(w, r)
		_, _ = io.WriteString(w, "page")
	}
}

func TestPush(t *testing.T) {
	needsClear(t)
	withPeer(t, pushes(func(w http.ResponseWriter, _ *http.Request) {
		p := w.(http.Pusher)
		if err := p.Push("/pushed/1?a=b#c", &http.PushOptions{Header: http.Header{"Accept": {"y"}}}); err != nil {
			t.Error(err)
		}
		if err := p.Push("http://EXAMPLE.test:80/pushed/2", nil); err != nil {
			t.Error(err)
		}
		if err := p.Push("/pushed/3", &http.PushOptions{Method: "HEAD"}); err != nil {
			t.Error(err)
		}
	}), func(_ *testing.T, p *peer) {
		p.get(1)
		p.wantByStream("promises come before the page",
			"PUSH_PROMISE 1 2 :method=GET :scheme=http :authority=example.test :path=/pushed/1?a=b accept=y",
			"PUSH_PROMISE 1 4 :method=GET :scheme=http :authority=example.test :path=/pushed/2",
			"PUSH_PROMISE 1 6 :method=HEAD :scheme=http :authority=example.test :path=/pushed/3",
			"HEADERS 1 :status=200 content-length=4", `DATA 1 "page" END_STREAM`,
			"HEADERS 2 :status=200 content-length=32", `DATA 2 "GET example.test /pushed/1?a=b y" END_STREAM`,
			"HEADERS 4 :status=200 content-length=27", `DATA 4 "GET example.test /pushed/2 " END_STREAM`,
			"HEADERS 6 :status=200 content-length=28 END_STREAM")
	})
}

// The rules of net/http, and of RFC 9113 §8.4, on what can be pushed.
func TestPushRules(t *testing.T) {
	needsClear(t)
	header := func(k, v string) *http.PushOptions { return &http.PushOptions{Header: http.Header{k: {v}}} }
	tests := []struct {
		target string
		opts   *http.PushOptions
		want   string
	}{
		{"pushed", nil, "target must be an absolute URL or an absolute path"},
		{"", nil, "target must be an absolute URL or an absolute path"},
		{"//example.test/pushed", nil, "target must be an absolute URL or an absolute path"},
		{"https://example.test/pushed", nil, `cannot push URL with scheme "https" from request with scheme "http"`},
		{"http:/pushed", nil, "URL must have a host"},
		{"http://a@example.test/pushed", nil, "userinfo"},
		{"http://other.test/pushed", nil, `cannot push for "other.test"`},
		{"http://example.test:81/pushed", nil, `cannot push for "example.test:81"`},
		{"/\x00", nil, "invalid control character"},
		{"/pushed", &http.PushOptions{Method: "POST"}, `method "POST" must be GET or HEAD`},
		{"/pushed", &http.PushOptions{Method: "get"}, `method "get" must be GET or HEAD`},
		{"/pushed", header(":path", "/"), `invalid header field name ":path"`},
		{"/pushed", header("a b", "/"), `invalid header field name "a b"`},
		{"/pushed", header("A", "a\nb"), `invalid header field value for "A"`},
		{"/pushed", header("Content-Length", "0"), `cannot include "Content-Length"`},
		{"/pushed", header("content-encoding", "gzip"), `cannot include "content-encoding"`},
		{"/pushed", header("Trailer", "x"), `cannot include "Trailer"`},
		{"/pushed", header("Te", "trailers"), `cannot include "Te"`},
		{"/pushed", header("Expect", "100-continue"), `cannot include "Expect"`},
		{"/pushed", header("Host", "x"), `cannot include "Host"`},
		{"/pushed", header("Connection", "close"), `cannot include "Connection"`},
		{"/pushed", header("Transfer-Encoding", "chunked"), `cannot include "Transfer-Encoding"`},
	}
	withPeer(t, pushes(func(w http.ResponseWriter, _ *http.Request) {
		for _, tt := range tests {
			err := w.(http.Pusher).Push(tt.target, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Push(%q, %v): %v", tt.target, tt.opts, err)
			}
		}
	}), func(_ *testing.T, p *peer) {
		p.get(1)
		p.want("nothing is pushed", "HEADERS 1 :status=200 content-length=4", `DATA 1 "page" END_STREAM`)
	})
}

func TestPushNotSupported(t *testing.T) {
	errs := &transcript{}
	handler := func(w http.ResponseWriter, _ *http.Request) { errs.add("%v", w.(http.Pusher).Push("/pushed", nil)) }
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(handler), frame.Setting{ID: frame.SettingEnablePush, Value: 0})
		p.get(1)
		synctest.Wait()
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingEnablePush, Value: 1}))
		p.get(3) // and what it pushes pushes, too
		synctest.Wait()
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingEnablePush, Value: 0}))
		p.get(5)
		synctest.Wait()
		p.close()
	})
	want := []error{http.ErrNotSupported, nil, http.ErrNotSupported, http.ErrNotSupported}
	if fmt.Sprint(errs.list) != fmt.Sprint(want) {
		t.Errorf("Push returned %v, want %v", errs.list, want)
	}
}

func TestPushAfterReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left http.Pusher
		p := newPeer(t, serving(func(w http.ResponseWriter, _ *http.Request) { left = w.(http.Pusher) }))
		p.get(1)
		synctest.Wait()
		if err := left.Push("/pushed", nil); !errors.Is(err, errWriteAfterReturn) {
			t.Errorf("Push after the handler has returned: %v", err)
		}
		p.close()
	})
}

// A promise does not wait for a handler that goes on.
func TestPushIsFlushed(t *testing.T) {
	needsClear(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(pushes(func(w http.ResponseWriter, _ *http.Request) {
			if err := w.(http.Pusher).Push("/pushed", nil); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		})))
		p.get(1)
		time.Sleep(10 * time.Millisecond)
		p.want(
			"what is pushed is there before the page",
			"PUSH_PROMISE 1 2 :method=GET :scheme=http :authority=example.test :path=/pushed",
			"HEADERS 2 :status=200 content-length=25",
			`DATA 2 "GET example.test /pushed " END_STREAM`,
		)
		time.Sleep(time.Second)
		p.want("the page", "HEADERS 1 :status=200 content-length=4", `DATA 1 "page" END_STREAM`)
		p.close()
	})
}

// The client's reset ends the context of a pushed request, and a push that waits for a handler is
// not run at all.
func TestPushCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := &transcript{}
		p := newPeer(t, serving(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/1" {
				for i := range 3 {
					if err := w.(http.Pusher).Push(fmt.Sprintf("/pushed/%d", i), nil); err != nil {
						t.Error(err)
					}
				}
				return
			}
			<-r.Context().Done()
			ended.add("%s %v %v", r.URL.Path, r.Context().Err(), context.Cause(r.Context()))
		}))
		p.get(1)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) // until all three run
		p.take()
		p.send(frame.RSTStream{StreamID: 4, Code: frame.Cancel})
		synctest.Wait()
		if l := ended.list; len(l) != 1 || !strings.HasPrefix(l[0], "/pushed/1 context canceled") ||
			!strings.Contains(l[0], "CANCEL") {
			t.Errorf("ended: %q", l)
		}
		p.close()
		synctest.Wait()
		if len(ended.list) != 3 {
			t.Errorf("ended: %q", ended.list)
		}
	})
}

// The limits: the client's, and that of handlers that run.
func TestPushLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, refused atomic.Int32
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if !strings.HasPrefix(r.URL.Path, "/pushed") {
				for i := range 10 {
					if w.(http.Pusher).Push(fmt.Sprintf("/pushed/%d", i), nil) != nil {
						refused.Add(1)
					}
				}
			}
			time.Sleep(time.Second)
		})
		srv.MaxConcurrentStreams = 4
		p := newPeer(t, srv, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 3})
		p.get(1, 3)
		time.Sleep(10 * time.Second)
		promised, answered := 0, 0
		for _, line := range p.take() {
			switch {
			case strings.HasPrefix(line, "PUSH_PROMISE"):
				promised++
			case strings.HasPrefix(line, "HEADERS"):
				answered++
			}
		}
		if promised != 3 || answered != 5 || refused.Load() != 17 || most.Load() > 4 {
			t.Errorf("%d promised, %d refused, %d answers, %d handlers at once", promised, refused.Load(), answered, most.Load())
		}
		p.close()
	})
}

// What a client does to a server by resetting every push at once: none of it is served, and after a
// while none is made.
func TestPushResetAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran, unwanted atomic.Int32
		start := time.Now()
		p := newPeer(t, serving(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/pushed") {
				<-r.Context().Done()
				ran.Add(1)
				return
			}
			for i := range 10 {
				if w.(http.Pusher).Push(fmt.Sprintf("/pushed/%d", i), nil) != nil {
					unwanted.Add(1)
				}
			}
		}))
		for id := uint32(1); id < 200; id += 2 {
			p.get(id)
			synctest.Wait()
			var resets []any
			for _, line := range p.take() {
				var parent, pushed uint32
				if n, _ := fmt.Sscanf(line, "PUSH_PROMISE %d %d", &parent, &pushed); n == 2 {
					resets = append(resets, frame.RSTStream{StreamID: pushed, Code: frame.Cancel})
				}
				if strings.HasPrefix(line, "GOAWAY") {
					t.Fatal(line)
				}
			}
			if len(resets) > 0 {
				p.send(resets...)
			}
		}
		synctest.Wait()
		allowed := 200 + int32(time.Since(start)*50/time.Second) + 20 // and what is promised while resets are on their way
		if n := 1000 - unwanted.Load(); n < 200 || n > allowed {
			t.Errorf("%d pushes were made, want 200 to %d", n, allowed)
		}
		p.close()
		synctest.Wait()
		if ran.Load() > allowed {
			t.Errorf("%d handlers ran", ran.Load())
		}
	})
}
