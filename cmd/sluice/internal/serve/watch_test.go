package serve

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch/watchtest"
)

// The page shows the frames of both listeners while they come; the capture and the key log have the
// keys, and nobody else may read them.
func TestWatch(t *testing.T) {
	for _, show := range []bool{false, true} {
		dir := t.TempDir()
		w := watch.Options{
			UI: ":0", Record: filepath.Join(dir, "a.pcapng"), KeyLog: filepath.Join(dir, "keys.txt"), ShowSecrets: show,
		}
		if err := os.WriteFile(w.KeyLog, []byte("# older\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, Options{HTTPS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Drain: time.Minute, Watch: w})
		banner := r.Out.String()
		for _, want := range []string{"http://127.0.0.1:", "Recorded in " + w.Record, "TLS are written to " + w.KeyLog} {
			if !strings.Contains(banner, want) {
				t.Errorf("the banner lacks %q:\n%s", want, banner)
			}
		}
		page := watchtest.Open(t, banner)
		const secret = "Bearer 0123456789abcdef"
		for _, base := range []string{r.https, r.http} {
			c := newClient(t, func(p *http.Protocols) {
				p.SetHTTP2(base == r.https)
				p.SetUnencryptedHTTP2(base == r.http)
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/bytes/77", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", secret)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			_, address, _ := strings.Cut(base, "://")
			seen := page.Await(address, `"/bytes/77"`, `"authorization"`)
			if strings.Contains(seen, secret) != show {
				t.Errorf("with ShowSecrets %v:\n%s", show, seen)
			}
		}
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{
			w.Record: "CLIENT_TRAFFIC_SECRET_0 ", w.KeyLog: "# older\nCLIENT_HANDSHAKE",
		} {
			info, err := os.Stat(name)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
			if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), want) {
				t.Errorf("%s has %d octets, and no %q: %v", name, len(b), want, err)
			}
		}
	}
}

// What is watched fails with an error that names the flag, and nothing stays open.
func TestWatchMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, w := range map[string]watch.Options{
		"--show-secrets is for the live page: add --ui 127.0.0.1:0":                              {ShowSecrets: true},
		"--ui 8000: it wants HOST:PORT, such as 127.0.0.1:8000, or :8000 for this machine alone": {UI: "8000"},
		"--ui: cannot listen on 192.0.2.1:0: ":                                                   {UI: "192.0.2.1:0"},
		"--record: open " + file + "/a: not a directory":                                         {Record: file + "/a"},
		"SSLKEYLOGFILE: open " + file + "/b: not a directory":                                    {KeyLog: file + "/b"},
	} {
		err := Run(t.Context(), Options{HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Watch: w})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// A disk that is full ends the recording with an error at the end, and not the service.
func TestRecordFails(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("only Linux has a file that is always full:", err)
	}
	err := Run(t.Context(), Options{HTTP: "127.0.0.1:0", Watch: watch.Options{Record: "/dev/full"}})
	if err == nil || !strings.HasPrefix(err.Error(), "--record: ") {
		t.Errorf("got %v", err)
	}
}
