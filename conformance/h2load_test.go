package conformance

import (
	"fmt"
	"regexp"
	"testing"
)

// h2loadRequests is how many requests one run of h2load makes.
const h2loadRequests = 100_000

// finished is h2load's count of the requests and of how they ended.
var finished = regexp.MustCompile(
	`requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)

// wantAllSucceeded checks the counts in h2load's summary.
func wantAllSucceeded(t *testing.T, out string, n int) {
	t.Helper()
	m := finished.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("h2load printed no summary:\n%s", clip(out))
	}
	for i, what := range []string{"total", "started", "done", "succeeded", "failed", "errored", "timeout"} {
		want := fmt.Sprint(n)
		if i > 3 {
			want = "0"
		}
		if m[i+1] != want {
			t.Errorf("h2load: %s %s, want %s\n%s", m[i+1], what, want, clip(out))
		}
	}
	wantContains(t, "h2load", out, fmt.Sprintf("status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx", n))
}

func TestH2load(t *testing.T) {
	h2load := requirePeer(t, "h2load")
	for _, secure := range []bool{false, true} {
		name := "h2c"
		if secure {
			name = "tls"
		}
		t.Run(name, func(t *testing.T) {
			ls := startServer(t, secure, testHandler())
			out := mustRunPeer(
				t,
				h2load,
				"-n",
				fmt.Sprint(h2loadRequests),
				"-c",
				"10",
				"-m",
				"100",
				"-t",
				"1",
				ls.URL+"/hello",
			).stdout
			wantAllSucceeded(t, out, h2loadRequests)
			if n := ls.Accepted.Load(); n != 10 {
				t.Errorf("%d connections, want 10", n)
			}
		})
	}
}

// Many connections that each carry little, and bodies both ways.
func TestH2loadShapes(t *testing.T) {
	h2load := requirePeer(t, "h2load")
	file := bigFile(t)
	tests := []struct {
		name, path string
		n          int
		flags      []string
	}{
		{"one at a time", "/hello", 2000, []string{"-c", "1", "-m", "1"}},
		{"many connections", "/hello", 20000, []string{"-c", "200", "-m", "10"}},
		{"large responses", "/big", 40, []string{"-c", "2", "-m", "10"}},
		{"large responses, small windows", "/big", 10, []string{"-c", "2", "-m", "5", "-w", "14", "-W", "14"}},
		{"uploads", "/upload", 20, []string{"-c", "2", "-m", "5", "-d", file}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ls := startServer(t, false, testHandler())
			args := append([]string{"-n", fmt.Sprint(tt.n), "-t", "1"}, tt.flags...)
			wantAllSucceeded(t, mustRunPeer(t, h2load, append(args, ls.URL+tt.path)...).stdout, tt.n)
		})
	}
}
