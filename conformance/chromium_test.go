package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"testing"
)

//go:embed testdata/page.html
var pageSource string

// subresources is how many style sheets, scripts and images together the page has.
const subresources = 50

// pagePaths are the paths of the page's subresources.
var pagePaths = sync.OnceValue(func() (p struct{ Styles, Scripts, Images []string }) {
	for i := range subresources {
		switch {
		case i < 10:
			p.Styles = append(p.Styles, fmt.Sprintf("/style%d.css", i))
		case i < 25:
			p.Scripts = append(p.Scripts, fmt.Sprintf("/script%d.js", i))
		default:
			p.Images = append(p.Images, fmt.Sprintf("/image%d.svg", i))
		}
	}
	return p
})

// A browserServer serves the page and records on which connection each path was requested.
type browserServer struct {
	mu    sync.Mutex
	conns map[string]string // path → the client's address
}

func (s *browserServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.conns[r.URL.Path] = r.RemoteAddr + " " + r.Proto
	s.mu.Unlock()
	switch path := r.URL.Path; {
	case path == "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		template.Must(template.New("page").Parse(pageSource)).Execute(w, pagePaths())
	case strings.HasSuffix(path, ".css"):
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprintf(w, "/* %s */", strings.Repeat("x", 20000))
	case strings.HasSuffix(path, ".js"):
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(w, "// %s", strings.Repeat("x", 20000))
	case strings.HasSuffix(path, ".svg"):
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprintf(
			w,
			`<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><!-- %s --></svg>`,
			strings.Repeat("x", 20000),
		)
	default:
		http.NotFound(w, r)
	}
}

// A timing is one entry of the browser's performance timeline.
type timing struct {
	Type, Path, Protocol string
	Status               int
}

// browse loads a page in Chromium, whose script has to write a report, and decodes that.
func browse(t *testing.T, url string, into any) {
	t.Helper()
	chromium := requirePeer(t, "chromium", "chromium-browser", "google-chrome")
	r := mustRunPeer(t, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--no-proxy-server", "--ignore-certificate-errors", "--user-data-dir="+t.TempDir(), "--dump-dom", url+"/")
	reportOf(t, r, into)
}

// reportOf decodes the report that the script of a page has left.
func reportOf(t *testing.T, r peerRun, into any) {
	t.Helper()
	_, report, found := strings.Cut(r.stdout, ">report:")
	report, _, complete := strings.Cut(report, ":end<")
	if !found || !complete {
		t.Fatalf("the page's script left no report:\n%s\nstderr:\n%s", clip(r.stdout), clip(r.stderr))
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(report)), into); err != nil {
		t.Fatalf("report %q: %v", report, err)
	}
}

// Chromium loads a page and its fifty subresources over one HTTP/2 connection: by its own account
// and by ours.
func TestChromium(t *testing.T) {
	site := &browserServer{conns: make(map[string]string)}
	ls := startServer(t, true, site)
	var entries []timing
	browse(t, ls.URL, &entries)
	count := map[string]int{}
	for _, e := range entries {
		count[e.Type]++
		if e.Protocol != "h2" || e.Status != http.StatusOK {
			t.Errorf("%s %s came over %q with status %d, want h2 and 200", e.Type, e.Path, e.Protocol, e.Status)
		}
	}
	if count["navigation"] != 1 || count["resource"] != subresources {
		t.Errorf("the browser fetched %d pages and %d subresources, want 1 and %d",
			count["navigation"], count["resource"], subresources)
	}
	site.mu.Lock()
	defer site.mu.Unlock()
	if len(site.conns) != subresources+1 {
		t.Errorf("the server was asked for %d paths, want %d", len(site.conns), subresources+1)
	}
	first := site.conns["/"]
	for path, from := range site.conns {
		if from != first {
			t.Errorf("%s was asked on the connection %s, the page on %s", path, from, first)
		}
	}
	// Before it knows that the server speaks HTTP/2, the browser may open connections ahead of need,
	// and another where one takes more than a fourth of a second. It closes them unused.
	t.Logf("the browser opened %d connections", ls.Accepted.Load())
}
