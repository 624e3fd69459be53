//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect/inspecttest"
)

// A program is this test's program as the command.
type program struct {
	*exec.Cmd
	errs bytes.Buffer
}

// start starts it; out gets what it prints.
func start(t *testing.T, out io.Writer, args ...string) *program {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{Cmd: exec.CommandContext(t.Context(), name, args...)}
	p.Env = append(os.Environ(), originVariable+"=127.0.0.1:1", "SSLKEYLOGFILE=")
	p.Stdout, p.Stderr = out, &p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// end sends a signal, and returns the exit status.
func (p *program) end(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	var status *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !holds(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("not within a minute")
		}
	}
}

// An interrupted download ends with the status of its signal, and leaves no file.
func TestInterruptGet(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			return
		}
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush() // the client is gone where it fails
		<-r.Context().Done()
	}))
	defer site.Close()
	for name, tt := range map[string]struct {
		signal os.Signal
		paths  []string
		status int
		errs   string
	}{
		"Ctrl-C": {os.Interrupt, []string{"/half"}, 130, "sluice: " + site.URL + "/half: interrupted before its end\n"},
		"terminated, several": {
			syscall.SIGTERM,
			[]string{"/half", "/whole", "/half2"},
			143,
			"sluice: interrupted: 2 of 3 requests have not come to their end\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "half"), []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			args, began := []string{"get", "--proxy", "none", "-o", dir + "/"}, []string(nil)
			for _, p := range tt.paths {
				args = append(args, site.URL+p)
				if p == "/whole" {
					began = append(began, filepath.Join(dir, p))
				} else {
					began = append(began, filepath.Join(dir, p+".part"))
				}
			}
			p := start(t, io.Discard, args...)
			eventually(t, func() bool {
				return !slices.ContainsFunc(began, func(name string) bool {
					info, err := os.Stat(name)
					return err != nil || info.Size() == 0 && !strings.HasSuffix(name, "/whole")
				})
			})
			if got := p.end(t, tt.signal); got != tt.status || p.errs.String() != tt.errs {
				t.Errorf("exit status %d, want %d; %s", got, tt.status, &p.errs)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			want := []string{"half", "whole"}[:min(2, len(tt.paths))]
			if diff := cmp.Diff(want, left); diff != "" {
				t.Error(diff)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "half")); err != nil || string(b) != "before" {
				t.Errorf("the file that was there before is %q, %v", b, err)
			}
		})
	}
}

// A capture that is followed ends with the status of what was found in it.
func TestInterruptFollow(t *testing.T) {
	const (
		begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		ping  = "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
		wrong = "\x00\x00\x08\x06\x00\x00\x00\x00\x0112345678" // on a stream
	)
	long := inspecttest.Sent(t, begin+ping+wrong+ping)
	for name, tt := range map[string]struct {
		file   []byte
		status int
	}{
		"clean":                    {inspecttest.Sent(t, begin+ping), 0},
		"a finding":                {inspecttest.Sent(t, begin+ping+wrong), 1},
		"in the midst of a packet": {long[:len(long)-3], 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, page := filepath.Join(dir, "capture.pcapng"), filepath.Join(dir, "page.html")
			if err := os.WriteFile(file, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			r, w := io.Pipe()
			p := start(t, w, "inspect", "--follow", "--html", page, file)
			var shown bytes.Buffer
			buf := make([]byte, 1<<10)
			for !strings.Contains(shown.String(), "PING") {
				n, err := r.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				shown.Write(buf[:n])
			}
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(&shown, r)
				ended <- err
			}()
			status := p.end(t, os.Interrupt)
			w.Close()
			if err := <-ended; err != nil || status != tt.status || !strings.Contains(shown.String(), "1 connection") {
				t.Errorf("exit status %d, want %d; %v, %s\n%s", status, tt.status, err, &p.errs, &shown)
			}
			b, err := os.ReadFile(page)
			if err != nil || !bytes.HasSuffix(bytes.TrimSpace(b), []byte("</html>")) {
				t.Errorf("a page of %d octets that is not whole, %v", len(b), err)
			}
		})
	}
}
