package tunnels

import (
	"context"
	_ "embed"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

//go:embed testdata/websockets.html
var webSocketsPage string

// requireChromium returns the path of the browser. Without it the test is skipped, and fails where
// it is promised.
func requireChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatal("chromium is not installed")
	}
	t.Skip("chromium is not installed")
	return ""
}

// In Chromium the handlers of three libraries, unchanged, serve WebSockets over the HTTP/2
// connection of their page.
func TestWebSocketLibrariesInChromium(t *testing.T) {
	chromium := requireChromium(t)
	s := newLibrarySite(t)
	closed := make(chan struct{})
	s.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, webSocketsPage)
	})
	s.HandleFunc("GET /closed", func(http.ResponseWriter, *http.Request) { close(closed) })
	s.HandleFunc("GET /ended", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-closed:
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	page, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--no-proxy-server", "--ignore-certificate-errors", "--user-data-dir="+t.TempDir(),
		"--dump-dom", "https://"+s.tls+"/").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, report, _ := strings.Cut(string(page), ">report:")
	report, _, complete := strings.Cut(report, ":end<")
	if !complete {
		t.Fatalf("the page's script left no report:\n%s", page)
	}
	var seen map[string][]any
	if err := json.Unmarshal([]byte(html.UnescapeString(report)), &seen); err != nil {
		t.Fatal(err)
	}
	for library := range dialers {
		want := []any{"open echo", "hello", 1e6, "close 4000 clean"}
		if got := seen[library]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the browser saw %v, want %v", library, got, want)
		}
		if n := s.overHTTP2("/" + library); n != 1 {
			t.Errorf("%s: %d WebSockets over HTTP/2, want 1", library, n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	most := 0
	for _, n := range s.conns {
		most = max(most, n)
	}
	if most < 4 { // the page and three WebSockets
		t.Errorf("requests by connection: %v", s.conns)
	}
}
