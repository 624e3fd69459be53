package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// result is what testdata/client.mjs prints: the keys depend on the case.
type result = map[string]any

// runNode plays one case of testdata/client.mjs against the server.
func runNode(t *testing.T, ls *liveServer, name string, args ...string) result {
	t.Helper()
	node := requirePeer(t, "node", "nodejs")
	out := mustRunPeer(t, node, append([]string{"testdata/client.mjs", name, ls.URL}, args...)...).stdout
	var r result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("node printed %q: %v", clip(out), err)
	}
	return r
}

func TestNode(t *testing.T) {
	file := bigFile(t)
	reply := "body=small x-client=from node"
	small := []byte("small")
	tests := []struct {
		name string
		args []string
		want result
	}{
		{"post", []string{file}, result{
			"status": 200.0, "body": fmt.Sprintf("HTTP/2.0 %d %s", uploadSize, checksum(bigBody())),
		}},
		{"download", nil, result{"status": 200.0, "length": float64(uploadSize), "sha256": checksum(bigBody())}},
		{"trailers", nil, result{
			"status": 200.0, "body": reply, "checksum": checksum([]byte(reply)), "late": "yes",
		}},
		{"hints", nil, result{
			"status": 200.0, "body": helloBody,
			"informational": []any{result{"status": 103.0, "link": earlyLink}},
		}},
		{"expect", nil, result{
			"status": 200.0, "continued": true, "body": fmt.Sprintf("HTTP/2.0 %d %s", len(small), checksum(small)),
		}},
		{"refuse", nil, result{"status": 403.0, "continued": false, "body": "not wanted\n", "code": 0.0}},
		{"refuseRunning", []string{file}, result{"status": 403.0, "body": "not wanted\n", "code": 0.0}},
		{"push", nil, result{"status": 200.0, "body": helloBody, "pushed": result{
			"path": "/big", "method": "GET", "status": 200.0, "length": float64(uploadSize), "sha256": checksum(bigBody()),
		}}},
		{"noPush", nil, result{"statuses": []any{200.0, 500.0, 200.0}, "pushes": 2.0}},
		{"ping", nil, result{"echoed": "12345678"}},
	}
	for _, secure := range []bool{false, true} {
		name, alpn := "h2c", "h2c"
		if secure {
			name, alpn = "tls", "h2"
		}
		t.Run(name, func(t *testing.T) {
			ls := startServer(t, secure, testHandler())
			t.Run("get", func(t *testing.T) {
				want := result{"status": 200.0, "body": "GET HTTP/2.0 " + ls.Addr, "alpn": alpn}
				if diff := cmp.Diff(want, runNode(t, ls, "get")); diff != "" {
					t.Errorf("the answer differs (-want +got):\n%s", diff)
				}
			})
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					if diff := cmp.Diff(tt.want, runNode(t, ls, tt.name, tt.args...)); diff != "" {
						t.Errorf("the answer differs (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

// A thousand requests are started at once: the ones beyond the server's limit wait in the client,
// none is refused.
func TestNodeConcurrent(t *testing.T) {
	for _, secure := range []bool{false, true} {
		ls := startServer(t, secure, testHandler())
		got := runNode(t, ls, "concurrent")
		if got["answers"] != 1000.0 {
			t.Errorf("%s: %v good answers, want 1000", ls.URL, got["answers"])
		}
		if limit, ok := got["limit"].(float64); !ok || limit < 100 || limit > 1000 {
			t.Errorf("%s: SETTINGS_MAX_CONCURRENT_STREAMS is %v; RFC 9113 §6.5.2 recommends at least 100",
				ls.URL, got["limit"])
		}
		if n := ls.Accepted.Load(); n != 1 {
			t.Errorf("%s: %d connections, want 1", ls.URL, n)
		}
	}
}

// A reset by the client cancels the context of the request; the connection goes on.
func TestNodeReset(t *testing.T) {
	for _, secure := range []bool{false, true} {
		ls := startServer(t, secure, testHandler())
		ended := make(chan error, 1)
		waits.Store(ls.Addr, ended)
		defer waits.Delete(ls.Addr)
		got := runNode(t, ls, "reset", ls.Addr)
		if diff := cmp.Diff(result{"status": 200.0, "code": 8.0 /* CANCEL */}, got); diff != "" {
			t.Errorf("%s: the answer differs (-want +got):\n%s", ls.URL, diff)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: the request's context ended with %v, want context.Canceled", ls.URL, err)
			}
		case <-time.After(rawTimeout):
			t.Errorf("%s: the handler was not told of the reset", ls.URL)
		}
	}
}
