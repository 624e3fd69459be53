package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Everything that the page names is there, and the picture is whole.
func TestPageIsComplete(t *testing.T) {
	s := New(Info{}, nil)
	res := get(t, s, "/")
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/html; charset=utf-8" {
		t.Fatalf("the page: %s, %q", res.Status, ct)
	}
	refs := regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(body(t, res), -1)
	tiles := 0
	s.stats = func() any { return 1 }
	for _, m := range refs {
		res := get(t, s, m[1])
		if res.StatusCode/100 != 2 {
			t.Errorf("%s, which the page names: %s", m[1], res.Status)
		}
		if strings.HasPrefix(m[1], "/tile/") {
			tiles++
			if ct := res.Header.Get("Content-Type"); ct != "image/svg+xml" {
				t.Errorf("%s is %q", m[1], ct)
			}
		}
	}
	if tiles != Tiles {
		t.Errorf("the page has %d tiles, want %d", tiles, Tiles)
	}
}

func TestTileIsWellFormed(t *testing.T) {
	s := New(Info{}, nil)
	for n := range Tiles {
		d := xml.NewDecoder(strings.NewReader(body(t, get(t, s, fmt.Sprintf("/tile/%d.svg", n)))))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("tile %d: %v", n, err)
			}
		}
	}
	for _, bad := range []string{"/tile/50.svg", "/tile/-1.svg", "/tile/x.svg", "/tile/1"} {
		if res := get(t, s, bad); res.StatusCode != 404 {
			t.Errorf("%s: %s, want 404", bad, res.Status)
		}
	}
}

func TestConnectionsAreNumbered(t *testing.T) {
	s := New(Info{}, nil)
	for want := range 3 {
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(s.ConnContext(context.Background(), nil))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got, want := w.Header().Get("Server-Timing"), fmt.Sprintf(`conn;desc="%d"`, want+1); got != want {
			t.Errorf("Server-Timing: %q, want %q", got, want)
		}
	}
	if got := get(t, s, "/").Header.Get("Server-Timing"); got != "" {
		t.Errorf("without a number: Server-Timing: %q", got)
	}
}

func TestInfo(t *testing.T) {
	var got struct {
		Info
		Protocol string
	}
	want := Info{Server: "sluice v1", TLSPort: "8443", PlainPort: "8080", H2CUpgrade: true}
	if err := json.NewDecoder(get(t, New(want, nil), "/info.json").Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Info != want || got.Protocol != "HTTP/1.1" {
		t.Errorf("got %+v", got)
	}
}

func TestStats(t *testing.T) {
	type counters struct{ Requests int }
	s := New(Info{}, func() any { return counters{7} })
	if got := body(t, get(t, s, "/stats")); !strings.Contains(got, `"Requests": 7`) {
		t.Errorf("/stats: %s", got)
	}
	if res := get(t, New(Info{}, nil), "/stats"); res.StatusCode != 404 {
		t.Errorf("/stats without counters: %s", res.Status)
	}
	if res := get(t, New(Info{}, func() any { return make(chan int) }), "/stats"); res.StatusCode != 500 {
		t.Errorf("/stats that is no JSON: %s", res.Status)
	}
}

func TestScriptIsServedAsScript(t *testing.T) {
	s := New(Info{}, nil)
	types := map[string]string{"/app.js": "javascript", "/style.css": "text/css", "/scene.svg": "image/svg+xml"}
	for path, want := range types {
		res := get(t, s, path)
		if ct := res.Header.Get("Content-Type"); !strings.Contains(ct, want) {
			t.Errorf("%s is %q", path, ct)
		}
		if !bytes.Contains([]byte(res.Header.Get("Cache-Control")), []byte("no-store")) {
			t.Errorf("%s may be cached", path)
		}
	}
}
