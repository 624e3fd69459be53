package page

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
)

// Requests that lack the token, or have a Host that a stranger's DNS may have made, get nothing.
func TestServerRefuses(t *testing.T) {
	s := NewServer(ServerOptions{Token: "right", Hosts: []string{"box.example"}})
	for _, c := range []struct {
		name, method, target, host, cookie string
		want                               int
	}{
		{"no token", "GET", "/", "127.0.0.1:1", "", 403},
		{"no token for events", "GET", s.path + "events", "127.0.0.1:1", "", 403},
		{"no token for the path", "GET", s.path, "127.0.0.1:1", "", 403},
		{"wrong token", "GET", "/?token=wrong", "127.0.0.1:1", "", 403},
		{"part of the token", "GET", "/?token=righ", "127.0.0.1:1", "", 403},
		{"empty token", "GET", "/?token=", "127.0.0.1:1", "", 403},
		{"wrong cookie", "GET", s.path, "127.0.0.1:1", "wrong", 403},
		{"token", "GET", "/?token=right", "127.0.0.1:1", "", 303},
		{"cookie", "GET", s.path, "127.0.0.1:1", "right", 200},
		{"IPv6", "GET", s.path, "[::1]:1", "right", 200},
		{"IPv6 without a port", "GET", s.path, "[::1]", "right", 200},
		{"localhost", "GET", s.path, "LocalHost.:1", "right", 200},
		{"named", "GET", s.path, "box.example:8080", "right", 200},
		{"a stranger's name", "GET", s.path, "evil.example:8080", "right", 421},
		{"a stranger's name with the token", "GET", "/?token=right", "evil.example", "", 421},
		{"a name that begins like an address", "GET", s.path, "127.0.0.1.evil.example", "right", 421},
		{"no host", "GET", s.path, "", "right", 421},
		{"POST", "POST", s.path, "127.0.0.1:1", "right", 405},
		{"another path", "GET", "/", "127.0.0.1:1", "right", 404},
		{"another path below", "GET", s.path + "other", "127.0.0.1:1", "right", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.target, nil)
			r.Host = c.host
			if c.cookie != "" {
				r.AddCookie(&http.Cookie{Name: s.cookie, Value: c.cookie})
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
			if v := w.Header().Get("Cache-Control"); v != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", v)
			}
		})
	}
}

// A login leaves the token in a cookie that scripts cannot read, and not in the address.
func TestServerLogin(t *testing.T) {
	s := NewServer(ServerOptions{Token: "right"})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/?token=right", nil)
	r.Host = "127.0.0.1:1"
	s.ServeHTTP(w, r)
	got := w.Header().Get("Set-Cookie")
	want := s.cookie + "=right; Path=" + s.path + "; HttpOnly; SameSite=Lax"
	if got != want || w.Header().Get("Location") != s.path {
		t.Errorf("Set-Cookie %q and Location %q, want %q and %s", got, w.Header().Get("Location"), want, s.path)
	}
}

// Pages on two ports of a host do not log each other's viewers out, and a server on a third port
// gets the token of neither.
func TestServerCookiesOfOneHost(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	viewer := &http.Client{Jar: jar}
	get := func(address string) (at string, body string) {
		resp, err := viewer.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Request.URL.String(), string(b)
	}
	var pages []string
	for _, token := range []string{"one", "two"} {
		s := NewServer(ServerOptions{Token: token, Options: Options{Title: "page " + token}})
		ts := httptest.NewServer(s)
		defer ts.Close()
		at, _ := get(s.URL(strings.TrimPrefix(ts.URL, "http://")))
		if strings.Contains(at, "token") {
			t.Errorf("the token stays in the address: %s", at)
		}
		pages = append(pages, at)
	}
	for i, token := range []string{"one", "two"} {
		if _, body := get(pages[i]); !strings.Contains(body, "page "+token) {
			t.Errorf("page %s, loaded again: %s", token, body)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["Cookie"])
	}))
	defer other.Close()
	for _, path := range []string{"/", "/events", "/index.html"} {
		if _, body := get(other.URL + path); body != "[]" {
			t.Errorf("%s of another server gets %s", path, body)
		}
	}
}

// A viewer of a test.
type viewer struct {
	t    *testing.T
	body *bufio.Reader
	stop func()
}

// view connects to the events.
func view(t *testing.T, s *Server, url, lastID string) *viewer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", url+s.path+"events", nil)
	r.AddCookie(&http.Cookie{Name: s.cookie, Value: s.o.Token})
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("status %d: %s", resp.StatusCode, b)
	}
	return &viewer{t: t, body: bufio.NewReader(resp.Body), stop: cancel}
}

// message reads the next message and returns its lines.
func (v *viewer) message() []string {
	v.t.Helper()
	var lines []string
	for {
		line, err := v.body.ReadString('\n')
		if err != nil {
			v.t.Fatalf("after %q: %v", lines, err)
		}
		if line == "\n" {
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func gapEvent(n int64) *capture.Gap {
	return &capture.Gap{Conn: 1, Time: t0, Octets: n, Reason: "lost"}
}

// Viewers get the events that are kept, then those that come, and go on where they were.
func TestServerEvents(t *testing.T) {
	s := NewServer(ServerOptions{Token: "x"})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	s.Handle(gapEvent(1))
	v := view(t, s, ts.URL, "")
	if diff := cmp.Diff([]string{"event: begin", "data: "}, v.message()); diff != "" {
		t.Error(diff)
	}
	first := v.message()
	if diff := cmp.Diff(`data: ["g",1,0,0,1,"lost",""]`, first[1]); diff != "" {
		t.Error(diff)
	}
	s.Handle(gapEvent(2))
	if m := v.message(); m[1] != `data: ["g",1,0,0,2,"lost",""]` {
		t.Errorf("message %q", m)
	}
	v.stop()
	again := view(t, s, ts.URL, strings.TrimPrefix(first[0], "id: "))
	if m := again.message(); m[1] != `data: ["g",1,0,0,2,"lost",""]` {
		t.Errorf("after a reconnection: %q", m)
	}
	stranger := view(t, s, ts.URL, "123-99")
	if m := stranger.message(); m[0] != "event: begin" {
		t.Errorf("with the id of another server: %q", m)
	}
	future := view(t, s, ts.URL, strings.Split(strings.TrimPrefix(first[0], "id: "), "-")[0]+"-99999999")
	s.Handle(gapEvent(3))
	if m := future.message(); m[1] != `data: ["g",1,0,0,3,"lost",""]` {
		t.Errorf("with an id of the future: %q", m)
	}
}

// A viewer with an id of the future gets what comes after it was let in, though the event comes
// before its first look at the ring.
func TestRingResume(t *testing.T) {
	var r ring
	r.init(3, 1<<20)
	r.add(gapEvent(1))
	p := r.resume(fmt.Sprintf("%d-99", r.epoch))
	r.add(gapEvent(2))
	recs, _, missed, _ := r.read(&p, nil, 10)
	if len(recs) != 1 || recs[0].seq != 1 || missed != 0 {
		t.Errorf("%d records, missed %d; want the second", len(recs), missed)
	}
}

// The ring keeps the last events and the connections they belong to; a reader that falls behind
// learns how many it has missed.
func TestRing(t *testing.T) {
	var r ring
	r.init(3, 1<<20)
	r.add(&capture.Connection{ID: 1, Time: t0})
	for n := range int64(5) {
		r.add(gapEvent(n))
	}
	if len(r.records)-r.first != 3 {
		t.Errorf("%d records are kept, want 3", len(r.records)-r.first)
	}
	var p position
	recs, wait, missed, done := r.read(&p, nil, 10)
	if len(recs) != 4 || recs[0].kind != "connection" || missed != 3 || wait != nil || done {
		t.Errorf("%d records, missed %d, done %v; want the connection and 3 records, 3 missed", len(recs), missed, done)
	}
	_, wait, _, _ = r.read(&p, nil, 10)
	for n := range int64(5) {
		r.add(gapEvent(n))
	}
	<-wait
	if _, _, missed, _ = r.read(&p, nil, 10); missed != 2 {
		t.Errorf("missed %d, want 2", missed)
	}
	r.close()
	if _, _, _, done = r.read(&p, nil, 10); !done {
		t.Error("the reader of a closed ring is not told")
	}
}

// A connection is forgotten with the last of its records, and the oldest where there are too many.
func TestRingConns(t *testing.T) {
	var r ring
	r.init(2, 1<<20)
	r.add(&capture.Connection{ID: 1, Time: t0})
	r.add(&capture.Connection{ID: 2, Time: t0})
	r.add(&capture.End{Conn: 1, Time: t0})
	if len(r.conns) != 2 {
		t.Errorf("%d connections are known while the end of one is kept, want 2", len(r.conns))
	}
	r.add(gapEvent(1))
	r.add(gapEvent(1))
	if _, ok := r.conns[2]; len(r.conns) != 1 || !ok {
		t.Errorf("%d connections are known, want the one that is open", len(r.conns))
	}
	for id := range uint64(maxConns) {
		r.add(&capture.Connection{ID: id + 3, Time: t0})
	}
	if _, ok := r.conns[2]; len(r.conns) != maxConns || ok {
		t.Errorf("%d connections are known, want %d without the oldest", len(r.conns), maxConns)
	}
}

// The ring keeps no more octets than it may.
func TestRingOctets(t *testing.T) {
	var r ring
	r.init(1<<20, 1000)
	for n := range int64(10_000) {
		r.add(gapEvent(n))
		if r.octets > 1000 {
			t.Fatalf("%d octets are kept, want at most 1,000", r.octets)
		}
	}
	if n := len(r.records); n > 200 {
		t.Errorf("%d records for %d octets", n, r.octets)
	}
}

// A slowWriter is the connection of a viewer that takes nothing for a while.
type slowWriter struct {
	*httptest.ResponseRecorder
	writes int
	slow   func() // called with the second write
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.writes++; w.writes == 2 {
		w.slow()
	}
	return w.ResponseRecorder.Write(p)
}

// A viewer that falls behind what is kept is told so and disconnected.
func TestServerSlowViewer(t *testing.T) {
	s := NewServer(ServerOptions{Token: "x", Options: Options{MaxFrames: 3}})
	s.Handle(gapEvent(1))
	w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), slow: func() {
		for n := range int64(10) {
			s.Handle(gapEvent(n))
		}
	}}
	r := httptest.NewRequest("GET", s.path+"events", nil)
	r.Host = "localhost"
	r.AddCookie(&http.Cookie{Name: s.cookie, Value: "x"})
	s.ServeHTTP(w, r) // returns, though the server is not closed
	if got := w.Body.String(); !strings.HasSuffix(got, "event: slow\ndata: 7\n\n") {
		t.Errorf("the end of the events is %q", got)
	}
}

// Viewers above the bound are refused.
func TestServerMaxViewers(t *testing.T) {
	s := NewServer(ServerOptions{Token: "x", MaxViewers: 1})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	view(t, s, ts.URL, "").message()
	r, _ := http.NewRequest("GET", ts.URL+s.path+"events", nil)
	r.AddCookie(&http.Cookie{Name: s.cookie, Value: "x"})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
}
