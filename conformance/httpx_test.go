package conformance

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// requireHTTPX returns the interpreter of Python that has httpx with HTTP/2. Debian's packages
// python3-httpx and python3-h2 belong to Debian's own interpreter, not to another that may come
// first in PATH.
func requireHTTPX(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import httpx, h2").Run() == nil {
			return path
		}
	}
	peerMissing(t, "python3 with httpx and h2 is not installed")
	return ""
}

// httpx sends a WINDOW_UPDATE with each request, whatever its answer holds, and gives back
// credit in small pieces: frames in proportion to its requests, not an attack. Thousands of
// requests go over one connection, one after another and all at once, and none fails.
func TestHTTPX(t *testing.T) {
	python := requireHTTPX(t)
	for _, secure := range []bool{false, true} {
		name := "h2c"
		if secure {
			name = "tls"
		}
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				mode  string
				count int
			}{{"sync", 200}, {"one-by-one", 3000}, {"at-once", 1000}} {
				t.Run(tt.mode, func(t *testing.T) {
					ls := startServer(t, secure, testHandler())
					out := mustRunPeer(t, python, "testdata/httpx_client.py", tt.mode, ls.URL, strconv.Itoa(tt.count)).stdout
					var got result
					if err := json.Unmarshal([]byte(out), &got); err != nil {
						t.Fatalf("it printed %q: %v", clip(out), err)
					}
					want := result{"right": float64(tt.count), "protocols": []any{"HTTP/2"}, "faults": []any{}}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the answers differ (-want +got):\n%s", diff)
					}
					if n := ls.Accepted.Load(); n != 1 {
						t.Errorf("%d connections, want 1", n)
					}
				})
			}
		})
	}
}
