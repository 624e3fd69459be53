package get

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a server says cannot do anything to a terminal.
func TestControlCharacters(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10)) // the client says what is wrong
			_, _ = io.WriteString(c, "HTTP/1.1 500 \x1b]0;x\a\u009b31m\xff\r\nA: \u009b31m\r\nConnection: close\r\n\r\nok")
			c.Close()
		}
	}()
	var out, errs bytes.Buffer
	o := Options{
		URLs: []string{"http://" + l.Addr().String()}, Repeat: 1, Parallel: 1, Head: true, Fail: true, Proxy: "none",
		Out: &out, Err: &errs,
	}
	const status = `500 \u001b]0;x\u0007\u009b31m` + "\xff"
	if err := Run(context.Background(), o); err == nil || !strings.HasSuffix(err.Error(), ": "+status) {
		t.Errorf("%q", err)
	}
	if got := out.String(); !strings.HasPrefix(got, "HTTP/1.1 "+status+"\r\n") ||
		!strings.Contains(got, "\r\nA: \\u009b31m\r\n") || !strings.HasSuffix(got, "\r\n\r\nok") {
		t.Errorf("%q", got)
	}
}

// Downloads of one folder do not write to each other's files.
func TestUnique(t *testing.T) {
	taken := map[string]bool{}
	for i, want := range []string{"a", "a.part.1", "b.part", "b.1", "a.1"} {
		if got := unique([]string{"a", "a.part", "b.part", "b", "a"}[i], taken); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// With --fail, the page of an error takes the place of no file.
func TestFailKeepsFile(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "file")
	for _, tt := range []struct {
		path, want string
		fail       bool
	}{
		{"/hello", "hello by HTTP/2.0\n", true},
		{"/none", "hello by HTTP/2.0\n", true},
		{"/none", "404 page not found\n", false},
	} {
		_, _, err := s.get(Options{Output: file, Fail: tt.fail}, tt.path)
		failed := err != nil && strings.HasSuffix(err.Error(), ": 404 Not Found")
		if failed != (tt.fail && tt.path == "/none") {
			t.Errorf("%v: %v", tt, err)
		}
		if got, err := os.ReadFile(file); string(got) != tt.want {
			t.Errorf("%v: %q, %v", tt, got, err)
		}
		if _, err := os.Stat(file + partial); err == nil {
			t.Errorf("%v: a part is left", tt)
		}
	}
}
