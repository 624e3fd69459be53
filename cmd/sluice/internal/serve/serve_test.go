package serve

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/cmd/sluice/internal/listen/listentest"
)

// A running is a server started by a test.
type running struct {
	*listentest.Running
	https, http string // base URLs
}

// start runs o on free ports of this machine until the test ends.
func start(t *testing.T, o Options) *running {
	t.Helper()
	r := listentest.Start(t,
		func(ctx context.Context, r *listentest.Running, ready func(https, http net.Addr)) error {
			o.Out, o.Err, o.Ready = &r.Out, &r.Err, ready
			return Run(ctx, o)
		})
	return &running{r, "https://" + r.HTTPS, "http://" + r.HTTP}
}

// client speaks the protocols given, and trusts any certificate.
func newClient(t *testing.T, set func(*http.Protocols)) *http.Client {
	var p http.Protocols
	set(&p)
	tr := &client.Transport{Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func fetch(t *testing.T, c *http.Client, url string) (proto, body string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 {
		t.Fatalf("%s: %s: %s", url, res.Status, b)
	}
	return res.Proto, string(b)
}

func TestProtocols(t *testing.T) {
	r := start(t, Options{HTTPS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Drain: time.Minute})
	for _, tt := range []struct {
		name, base, want string
		set              func(*http.Protocols)
	}{
		{"h2", r.https, "HTTP/2.0", func(p *http.Protocols) { p.SetHTTP2(true) }},
		{"HTTP/1.1 over TLS", r.https, "HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"h2c", r.http, "HTTP/2.0", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
		{"HTTP/1.1", r.http, "HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proto, got := fetch(t, newClient(t, tt.set), tt.base+"/info.json")
			if proto != tt.want || !strings.Contains(got, `"protocol": "`+tt.want+`"`) {
				t.Errorf("%s, and the server says %s", proto, got)
			}
		})
	}
}

func TestStatsCount(t *testing.T) {
	r := start(t, Options{HTTP: "127.0.0.1:0", Drain: time.Minute})
	c := newClient(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	if _, got := fetch(t, c, r.http+"/stats"); !strings.HasPrefix(got, "{") || len(got) < 20 {
		t.Errorf("/stats: %s", got)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := writePair(t, "own.test")
	o.HTTPS, o.HTTP, o.Dir, o.Drain = "127.0.0.1:0", "127.0.0.1:0", dir, time.Minute
	r := start(t, *o)
	c := newClient(t, func(p *http.Protocols) { p.SetHTTP2(true) })
	if proto, got := fetch(t, c, r.https+"/a.txt"); proto != "HTTP/2.0" || got != "from a file" {
		t.Errorf("%s %q", proto, got)
	}
	res, err := c.Get(r.https + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 404 {
		t.Errorf("the demo site is mixed into a directory: /stats gives %s", res.Status)
	}
	if out := r.Out.String(); !strings.Contains(out, "certificate from "+o.CertFile) || strings.Contains(out, "-k ") {
		t.Errorf("the banner does not know the certificate:\n%s", out)
	}
}

// A request that runs when the signal comes is finished; one that takes longer
// than --drain is cut off, and the error says so.
func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		drain      time.Duration
		want       string
	}{
		{"in time", "/stream?n=2&every=200ms", time.Minute, ""},
		{
			"too late", "/stream?n=2&every=30s", 50 * time.Millisecond,
			"some requests did not finish within 50ms and were cut off; --drain gives them longer",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, Options{HTTP: "127.0.0.1:0", Drain: tt.drain})
			c := newClient(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
			res, err := c.Get(r.http + tt.path) // returns with the first line
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			err = r.Stop()
			b, readErr := io.ReadAll(res.Body)
			if tt.want == "" {
				if err != nil || readErr != nil || strings.Count(string(b), "\n") != 2 ||
					!strings.HasSuffix(r.Out.String(), "\nStopped.\n") {
					t.Errorf("Run: %v; the answer: %q, %v", err, b, readErr)
				}
				return
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("Run: %v, want %s", err, tt.want)
			}
			if readErr == nil {
				t.Errorf("the answer seems whole: %q", b)
			}
		})
	}
}

func TestVerbose(t *testing.T) {
	r := start(t, Options{HTTP: "127.0.0.1:0", Drain: time.Minute, Verbose: true})
	c := newClient(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	fetch(t, c, r.http+"/bytes/5")
	res, err := c.Get(r.http + "/none")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`HTTP/2.0 GET "/bytes/5" 200 5 B`, `HTTP/2.0 GET "/none" 404 19 B`} {
		if got := r.Err.String(); !strings.Contains(got, want) {
			t.Errorf("the log lacks %q:\n%s", want, got)
		}
	}
}

// Every command that is printed under "Try:" works as it is printed.
func TestWhatIsPrintedWorks(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl must be there in CI:", err)
		}
		t.Skip("curl runs the printed commands and is not installed")
	}
	for _, o := range []Options{
		{HTTPS: "127.0.0.1:0", HTTP: "localhost:0", H2CUpgrade: true},
		{HTTP: "127.0.0.1:0"},
		{HTTPS: ":0", HTTP: ":0", Dir: "."},
	} {
		o.Drain = time.Minute
		r := start(t, o)
		_, list, _ := strings.Cut(r.Out.String(), "Try:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			command, shows, ok := strings.Cut(line, "  # ")
			if !ok {
				t.Fatalf("not a command: %q", line)
			}
			command = strings.TrimSpace(command)
			curl := strings.Replace(command, "curl ", "curl -sS --fail --max-time 30 -w '%{stderr}over %{http_version}\n' ", 1)
			out, err := exec.CommandContext(t.Context(), "sh", "-c", curl).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
				continue
			}
			want := "over 2\n"
			if strings.Contains(shows, "HTTP/1.1") {
				want = "over 1.1\n"
			}
			if !strings.HasSuffix(string(out), want) {
				t.Errorf("%s: not %s\n%s", command, want, out)
			}
		}
	}
}
