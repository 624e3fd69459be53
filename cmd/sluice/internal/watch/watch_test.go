package watch

import (
	"bytes"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without options nothing is opened, wrapped or printed.
func TestNothing(t *testing.T) {
	w, err := Open(Options{}, "x", log.Default())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w.Banner(&out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if w.Tracer() != nil || w.InterceptTracer() != nil || w.KeyLogWriter() != nil || w.Dial(nil) != nil ||
		w.Listener(l) != l || w.Listener(nil) != nil || out.Len() > 0 {
		t.Errorf("something is watched: %+v\n%s", w, &out)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// Without a host the page is for this machine alone; elsewhere the banner warns.
func TestAddress(t *testing.T) {
	for ui, want := range map[string]struct {
		url   string
		warns bool
	}{
		":0":          {"http://127.0.0.1:", false},
		"localhost:0": {"http://localhost:", false},
		"[::1]:0":     {"http://[::1]:", false},
		"0.0.0.0:0":   {"http://localhost:", true},
	} {
		w, err := Open(Options{UI: ui, ShowSecrets: true}, "x", log.New(io.Discard, "", 0))
		if err != nil {
			if ui == "[::1]:0" {
				continue // a machine without IPv6
			}
			t.Fatal(err)
		}
		var out bytes.Buffer
		w.Banner(&out)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		banner := out.String()
		if !strings.Contains(banner, want.url) || strings.Contains(banner, "not encrypted") != want.warns ||
			!strings.Contains(banner, "tokens are shown") {
			t.Errorf("--ui %s:\n%s", ui, banner)
		}
	}
}

// A key log that was there before, and could be read by all, is for its owner alone then, which is
// said. A pipe stays as it is.
func TestKeyFileMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("# before\n"), 0o644); err != nil { //nolint:gosec // that is the case
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: file + " (mode 0600), as", os.DevNull: os.DevNull + ", as"} {
		before, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		w, err := Open(Options{KeyLog: name}, "x", log.Default())
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w.Banner(&out)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		after, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		mode := before.Mode()
		if name == file {
			mode = 0o600
		}
		if after.Mode() != mode || !strings.Contains(out.String(), want) {
			t.Errorf("%s: mode %v, want %v: %s", name, after.Mode(), mode, &out)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "# before\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// A key log that cannot be written ends no handshake, and that is said once.
func TestKeyFileFails(t *testing.T) {
	var logged bytes.Buffer
	w, err := Open(Options{KeyLog: filepath.Join(t.TempDir(), "keys")}, "x", log.New(&logged, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	keys := w.KeyLogWriter()
	if info, err := os.Stat(w.o.KeyLog); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	_ = w.Close()
	for range 3 {
		if n, err := io.WriteString(keys, "line\n"); n != 5 || err != nil {
			t.Errorf("Write returned %d, %v", n, err)
		}
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "SSLKEYLOGFILE: ") {
		t.Errorf("logged %q", got)
	}
}
