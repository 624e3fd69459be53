package inspect

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
