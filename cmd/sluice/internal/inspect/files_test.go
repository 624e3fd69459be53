package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect/inspecttest"
)

// Files are written besides; those with secrets are for their owner alone.
func TestFiles(t *testing.T) {
	name := written(t, recorded(t))
	for _, secrets := range []bool{false, true} {
		dir := t.TempDir()
		o := Options{
			Files: []string{name}, ShowSecrets: secrets, HTML: filepath.Join(dir, "page.html"),
			HAR: filepath.Join(dir, "har.json"), Perfetto: filepath.Join(dir, "trace.json"),
		}
		r := inspectIt(t, o)
		if r.status != 0 {
			t.Fatal(r.err)
		}
		for file, want := range map[string]string{o.HTML: "<html", o.HAR: `"entries"`, o.Perfetto: `"traceEvents"`} {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(content, []byte(want)) || file != o.HTML && !json.Valid(content) {
				t.Errorf("%s is not what it should be: %.200s", file, content)
			}
			if bytes.Contains(content, []byte("secret-of")) != secrets {
				t.Errorf("with --show-secrets %t, the secrets in %s are shown otherwise", secrets, file)
			}
			said := strings.Contains(r.err, file+" has secrets: only its owner may read it (mode 0600)")
			if private := info.Mode().Perm() == 0o600; private != secrets || said != secrets {
				t.Errorf("with --show-secrets %t, the mode of %s is %v and it says %q", secrets, file, info.Mode(), r.err)
			}
		}
	}
	if r := inspectIt(t, Options{Files: []string{name}, HTML: "/nowhere/at/all"}); r.status != 2 {
		t.Errorf("a file that cannot be written: exit status %d, %s", r.status, r.err)
	}
}

// An interrupt leaves no file that looks as if it had the whole capture.
func TestFilesInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	page := filepath.Join(t.TempDir(), "page.html")
	var errs bytes.Buffer
	err := Run(ctx, Options{
		Files: []string{written(t, recorded(t))}, HTML: page, Out: io.Discard, Err: &errs,
		Getenv: func(string) string { return "" },
	})
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 2 || !strings.Contains(err.Error(), "stopped before its end") {
		t.Error(err)
	}
	if _, err := os.Stat(page); !errors.Is(err, os.ErrNotExist) || !strings.Contains(errs.String(), page+" was removed") {
		t.Errorf("%v; %s", err, &errs)
	}
}

// No output is written over the capture, the key log or another output.
func TestFilesKeepTheCapture(t *testing.T) {
	content := recorded(t)
	name := written(t, content)
	dir := filepath.Dir(name)
	link, keys := filepath.Join(dir, "link"), filepath.Join(dir, "keys")
	if err := os.Link(name, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys, []byte("# no keys\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return keys }
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{HTML: name}, "--html " + name + " would be written over the capture"},
		{Options{HAR: dir + "/./capture.pcapng"}, "would be written over the capture"},
		{Options{Perfetto: link}, "would be written over the capture"},
		{Options{HTML: keys, KeyLog: keys}, "would be written over the key log"},
		{Options{HTML: keys, Getenv: getenv}, "would be written over the key log"},
		{Options{HTML: dir + "/new", HAR: dir + "/new"}, "would be written over --html"},
	} {
		tt.o.Files = []string{name}
		if r := inspectIt(t, tt.o); r.status != 2 || !strings.Contains(r.err, tt.want) {
			t.Errorf("exit status %d, %q, want %q", r.status, r.err, tt.want)
		}
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, content) {
		t.Errorf("the capture has changed: %v", err)
	}
}

// Files are complete where the reader of the output goes early, as in "| head".
func TestFilesClosedOutput(t *testing.T) {
	const ping = "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
	script := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + strings.Repeat(ping, 45_000)
	name := written(t, inspecttest.Sent(t, script))
	var pages [2]string
	for i, out := range []io.Writer{io.Discard, failingWriter{syscall.EPIPE}} {
		page := filepath.Join(t.TempDir(), "page.html")
		if r := inspectIt(t, Options{Files: []string{name}, JSON: true, HTML: page, Out: out}); r.status == 2 {
			t.Error(r.err)
		}
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = string(b)
	}
	if n := strings.Count(pages[0], "\n[\"f\","); pages[0] != pages[1] || n != 45_001 {
		t.Errorf("a page of %d octets, want %d; it has %d frames", len(pages[1]), len(pages[0]), n)
	}
}
