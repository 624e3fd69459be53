package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// priorityServer is a server that records with which priority each request came, and again
// when it is let go on.
type priorityServer struct {
	*testServer
	goOn chan bool
	mu   sync.Mutex
	seen []string
}

func newPrioritySite(t testing.TB, adjust ...func(*server.Server)) *priorityServer {
	s := &priorityServer{goOn: make(chan bool)}
	s.testServer = newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(w, r)
		w.(http.Flusher).Flush()
		if r.URL.Path == "/wait" {
			<-s.goOn
			s.note(w, r)
		}
	}), adjust...)
	return s
}

func (s *priorityServer) note(w http.ResponseWriter, r *http.Request) {
	p, err := server.Priority(w)
	if err != nil {
		s.t.Errorf("server.Priority: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(
		s.seen,
		strings.TrimSpace(fmt.Sprintf("%s field=%q %s", r.URL.Path, r.Header.Values("Priority"), params(p))),
	)
}

func params(p priority.Params) (s string) {
	if p.Extensible {
		s += p.Field() + " "
	}
	if p.Tree {
		s += fmt.Sprintf("on %d weight %d ", p.DependsOn, int(p.Weight)+1)
		if p.Exclusive {
			s += "exclusive"
		}
	}
	return strings.TrimSpace(s)
}

func (s *priorityServer) want(why string, seen ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.seen, seen) {
		s.t.Errorf("%s: the server has seen\n%q, want\n%q", why, s.seen, seen)
	}
	s.seen = nil
}

// withHeader is a request with a Priority field of its own.
func withHeader(r *http.Request, value string) *http.Request {
	r.Header.Set("Priority", value)
	return r
}

// What a request asks for reaches the server, in every way that there is to ask.
func TestRequestPriority(t *testing.T) {
	u1 := priority.Params{Extensible: true, Urgency: 1, Incremental: true}
	tree := priority.Params{Tree: true, DependsOn: 77, Exclusive: true, Weight: 199}
	both := tree
	both.Extensible, both.Urgency = true, 6
	for _, tt := range []struct {
		name   string
		trees  bool   // Transport.TreePriorities
		own    string // the request's own field
		p      *priority.Params
		ignore bool // the server ignores the tree
		want   string
	}{
		{name: "none", trees: true, want: `/ field=[]`},
		{name: "nothing stated", p: &priority.Params{}, want: `/ field=[]`},
		{name: "header", own: "u=5, x", want: `/ field=["u=5, x"] u=5`},
		{name: "RFC 9218", p: &u1, want: `/ field=["u=1, i"] u=1, i`},
		{name: "RFC 9218 and a header", p: &u1, own: "u=5", want: `/ field=["u=5"] u=5`},
		{name: "RFC 7540", trees: true, p: &tree, want: `/ field=[] on 77 weight 200 exclusive`},
		{name: "RFC 7540, not allowed", p: &tree, want: `/ field=[]`},
		{name: "both", trees: true, p: &both, want: `/ field=["u=6"] u=6 on 77 weight 200 exclusive`},
		{name: "both, and the server ignores one", trees: true, ignore: true, p: &both, want: `/ field=["u=6"] u=6`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPrioritySite(t, func(srv *server.Server) {
					if tt.ignore {
						srv.Scheduler = priority.NewExtensible
					}
				})
				tr := s.transport(func(tr *Transport) { tr.TreePriorities = tt.trees })
				defer s.stop(tr)
				warm, err := tr.RoundTrip(newRequest(t, "GET", testURL+"/warm", nil)) // the server's SETTINGS have come
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, warm)
				s.want("the first request", `/warm field=[]`)
				r := newRequest(t, "GET", testURL+"/", nil)
				if tt.own != "" {
					r = withHeader(r, tt.own)
				}
				if tt.p != nil {
					r = r.WithContext(WithPriority(r.Context(), *tt.p))
				}
				resp, err := tr.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				s.want("the request", tt.want)
			})
		})
	}
}

// The priority changes while the response runs, by the caller's context and by that of the
// response.
func TestUpdatePriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPrioritySite(t)
		tr := s.transport(func(tr *Transport) { tr.TreePriorities = true })
		defer s.stop(tr)
		ctx := WithPriority(t.Context(), priority.Params{Extensible: true, Urgency: 7})
		get := func() *http.Response {
			t.Helper()
			resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+"/wait", nil).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		one, two := get(), get()
		s.want("as asked", `/wait field=["u=7"] u=7`, `/wait field=["u=7"] u=7`)
		if err := UpdatePriority(one.Request.Context(), priority.Params{Extensible: true, Urgency: 0}); err != nil {
			t.Error(err)
		}
		if err := UpdatePriority(ctx, priority.Params{Tree: true, Weight: 9}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		s.goOn <- true
		readAll(t, one)
		s.want("while it runs", `/wait field=["u=7"] u=0 on 0 weight 10`)
		s.goOn <- true
		readAll(t, two)
		s.want("the other, too", `/wait field=["u=7"] u=0 on 0 weight 10`)
		if err := UpdatePriority(ctx, priority.Params{Extensible: true, Urgency: 2}); err != nil {
			t.Errorf("nothing runs: %v", err)
		}
		resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+"/later", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		s.want("a later request", `/later field=["u=2"] u=2 on 0 weight 10`)
		if n := len(ctx.Value(priorityKey{}).(*requestPriority).runs); n != 0 {
			t.Errorf("%d exchanges are remembered", n)
		}
		if err := UpdatePriority(context.Background(), priority.Params{}); !errors.Is(err, errNoPriority) {
			t.Errorf("a context without priority: %v", err)
		}
	})
}

// Many requests of one context, and changes all the time.
func TestUpdatePriorityConcurrently(t *testing.T) {
	s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }),
		func(srv *server.Server) { srv.Limits.GlitchBurst = -1 }) // 200 updates of up to 8 streams are more than it takes
	tr := s.transport(func(tr *Transport) { tr.TreePriorities = true })
	defer s.stop(tr)
	ctx := WithPriority(context.Background(), priority.Params{Extensible: true})
	done := make(chan bool)
	go func() { // ends below
		defer close(done)
		for i := range 200 {
			if err := UpdatePriority(ctx, priority.Params{Extensible: true, Urgency: uint8(i % 8), Tree: i%9 == 0}); err != nil {
				t.Error(err)
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+fmt.Sprint("/", i), nil).WithContext(ctx))
				if err != nil {
					t.Error(err)
					return
				}
				if got, want := readAll(t, resp), fmt.Sprint("/", i); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
	<-done
}

// firstSettings keeps the SETTINGS that a client begins with.
type firstSettings struct {
	mu   sync.Mutex
	list []frame.Setting
}

func (s *firstSettings) TraceFrame(_ *conn.Conn, f conn.FrameTrace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Direction != conn.Out || f.Header.Type != frame.TypeSettings || s.list != nil {
		return
	}
	list, err := frame.ParseSettings(f.Header, f.Payload)
	if err == nil {
		for i := range list.Len() {
			s.list = append(s.list, list.At(i))
		}
	}
}

// SETTINGS_NO_RFC7540_PRIORITIES says whether the tree is spoken of (RFC 9218 §2.1).
func TestClientAnnouncesPriorities(t *testing.T) {
	for _, trees := range []bool{false, true} {
		s := newTestServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		var first firstSettings
		tr := s.transport(func(tr *Transport) { tr.TreePriorities, tr.Tracer = trees, &first })
		resp, err := tr.RoundTrip(newRequest(t, "GET", testURL, nil))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		s.stop(tr)
		first.mu.Lock()
		if said := slices.Contains(first.list, frame.Setting{ID: frame.SettingNoRFC7540Priorities, Value: 1}); said == trees {
			t.Errorf("TreePriorities %v: SETTINGS are %v", trees, first.list)
		}
		first.mu.Unlock()
	}
}
