package demo

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEndpoints(t *testing.T) {
	s := New(Info{}, nil)
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/bytes/0", "", 200, ""},
		{"GET", "/bytes/70", "", 200, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n012345"},
		{"HEAD", "/bytes/70", "", 200, ""},
		{"GET", "/bytes/x", "", 400, "/bytes/N wants a number from 0 to 1073741824\n"},
		{"GET", "/bytes/1073741825", "", 400, "/bytes/N wants a number from 0 to 1073741824\n"},
		{"GET", "/slow?d=0s", "", 200, "waited for 0s\n"},
		{"GET", "/slow?d=2h", "", 400, "d must be a time from 0s to 1m0s, such as 250ms or 2s\n"},
		{"GET", "/stream?n=0", "", 400, "n must be a number from 1 to 1000\n"},
		{"GET", "/stream?every=-1s", "", 400, "every must be a time from 0s to 1m0s, such as 250ms or 2s\n"},
		{"POST", "/trailers", "abc", 200, "3 bytes of body, 0 trailer fields\n"},
		{"GET", "/echo", "", 405, "Method Not Allowed\n"},
		{"GET", "/nothing", "", 404, "404 page not found\n"},
		{"GET", "/stats", "", 404, "this server keeps no counters\n"},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			if w.Code != tt.status || w.Body.String() != tt.want {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	r := httptest.NewRequest("GET", "https://example.test/headers?q=1", nil)
	r.Header.Set("X-B", "2")
	r.Header.Set("X-A", "1")
	w := httptest.NewRecorder()
	New(Info{}, nil).ServeHTTP(w, r)
	want := "GET https://example.test/headers?q=1 HTTP/1.1\nHost: example.test\nX-A: 1\nX-B: 2\n\n" +
		"from 192.0.2.1:1234 over TLS 1.2"
	if got := w.Body.String(); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want the beginning %q", got, want)
	}
}

// The two endpoints that need a whole server: a body that comes back while it
// is still being sent, and trailers both ways.
func TestEchoWhileSending(t *testing.T) {
	ts := httptest.NewServer(New(Info{}, nil))
	defer ts.Close()
	pr, pw := io.Pipe()
	req, err := http.NewRequest("POST", ts.URL+"/echo", pr)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(pw, "ping")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 4)
	if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "ping" {
		t.Errorf("got %q, %v while the body is open", buf, err)
	}
	pw.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestTrailersBothWays(t *testing.T) {
	ts := httptest.NewServer(New(Info{}, nil))
	defer ts.Close()
	req, err := http.NewRequest("POST", ts.URL+"/trailers", io.MultiReader(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-From-Client": {"yes"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := body(t, res)
	if want := "4 bytes of body, 1 trailer fields\nX-From-Client: yes\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if sum := res.Trailer.Get("X-Sha256"); len(sum) != 64 {
		t.Errorf("the trailer X-Sha256 is %q", sum)
	}
}

func TestEarlyHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := httptest.NewRecorder()
		New(Info{}, nil).ServeHTTP(w, httptest.NewRequest("GET", "/early-hints", nil))
		if d := time.Since(start); d != hintDelay {
			t.Errorf("answered after %v", d)
		}
		if got := w.Header()["Link"]; len(got) != 2 {
			t.Errorf("Link: %q", got)
		}
	})
}

func TestStreamTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := httptest.NewRecorder()
		New(Info{}, nil).ServeHTTP(w, httptest.NewRequest("GET", "/stream?n=3&every=2s", nil))
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("took %v, want 4s", d)
		}
		if n := strings.Count(w.Body.String(), "\n"); n != 3 || !w.Flushed {
			t.Errorf("%d lines, flushed %v: %q", n, w.Flushed, w.Body)
		}
	})
}

func TestClientThatLeavesEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Info{}, nil)
		for _, path := range []string{"/slow?d=30s", "/stream?every=30s", "/early-hints"} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), hintDelay/3)
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil).WithContext(ctx))
			cancel()
			if d := time.Since(start); d != hintDelay/3 {
				t.Errorf("%s went on for %v", path, d)
			}
		}
	})
}

// pushRecorder takes pushes.
type pushRecorder struct {
	*httptest.ResponseRecorder
	pushed []string
}

func (r *pushRecorder) Push(target string, _ *http.PushOptions) error {
	r.pushed = append(r.pushed, target)
	return nil
}

func TestPush(t *testing.T) {
	w := &pushRecorder{ResponseRecorder: httptest.NewRecorder()}
	New(Info{}, nil).ServeHTTP(w, httptest.NewRequest("GET", "/push", nil))
	if len(w.pushed) != 2 || !strings.Contains(w.Body.String(), "/app.js was promised") {
		t.Errorf("pushed %q: %s", w.pushed, w.Body)
	}
	for _, path := range w.pushed {
		r := httptest.NewRecorder()
		New(Info{}, nil).ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		if r.Code != http.StatusOK {
			t.Errorf("%s, which is pushed, is %d", path, r.Code)
		}
	}
	bare := httptest.NewRecorder()
	New(Info{}, nil).ServeHTTP(bare, httptest.NewRequest("GET", "/push", nil))
	if !strings.Contains(bare.Body.String(), "/app.js is not pushed") {
		t.Errorf("over HTTP/1.1: %s", bare.Body)
	}
}
