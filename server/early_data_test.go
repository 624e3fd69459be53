package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/memconn"
)

// Requests with Early-Data are answered with 425 unless they are allowed (RFC 8470 §5), over HTTP/2
// and HTTP/1.1.
func TestEarlyData(t *testing.T) {
	needsClear(t)
	type request struct{ method, field string }
	tests := []struct {
		name    string
		policy  EarlyData
		refused []request
		passed  []request
	}{
		{
			"safe", EarlyDataSafe,
			[]request{{"POST", "1"}, {"PUT", "1"}, {"DELETE", "1"}, {"PROPFIND", "1"}, {"POST", "0"}, {"POST", "1, 1"}},
			[]request{{"GET", "1"}, {"HEAD", "1"}, {"OPTIONS", "1"}, {"TRACE", "1"}, {"POST", ""}},
		},
		{"allow", EarlyDataAllow, nil, []request{{"GET", "1"}, {"POST", "1"}, {"POST", ""}}},
		{"refuse", EarlyDataRefuse, []request{{"GET", "1"}, {"POST", "1"}}, []request{{"GET", ""}, {"POST", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Seen", r.Header.Get("Early-Data"))
				})
				srv.EarlyData = tt.policy
				id := uint32(1)
				p := newPeer(t, srv)
				ask := func(r request, status int) {
					t.Helper()
					var fields []string
					if r.field != "" {
						fields = []string{"early-data", r.field}
					}
					p.send(p.request(id, r.method, "/", true, fields...))
					synctest.Wait()
					want := fmt.Sprintf("HEADERS %d :status=%d", id, status)
					if seen := strings.Join(p.take(), " "); !strings.HasPrefix(seen, want) ||
						status == 200 && !strings.Contains(seen, " seen="+r.field) {
						t.Errorf("HTTP/2, %v: %s", r, seen)
					}
					id += 2
					if got := askHTTP1(t, srv, r.method, r.field); got != status {
						t.Errorf("HTTP/1.1, %v: %d", r, got)
					}
				}
				for _, r := range tt.refused {
					ask(r, http.StatusTooEarly)
				}
				for _, r := range tt.passed {
					ask(r, http.StatusOK)
				}
				p.close()
			})
		})
	}
}

// askHTTP1 sends a request with HTTP/1.1 and returns the status.
func askHTTP1(t *testing.T, srv *Server, method, early string) int {
	t.Helper()
	client, far := memconn.Connect(clearLink(t))
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.ServeConn(far)
	}()
	line := ""
	if early != "" {
		line = "Early-Data: " + early + "\r\n"
	}
	if _, err := fmt.Fprintf(client, "%s / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, line); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(client), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	_ = client.Close()
	<-served
	return resp.StatusCode
}

// A body is not asked for that will not be read.
func TestEarlyDataExpectContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") }))
		p.send(p.request(1, "POST", "/", false, "early-data", "1", "expect", "100-continue"))
		synctest.Wait()
		seen := p.take()
		if len(seen) != 3 || !strings.HasPrefix(seen[0], "HEADERS 1 :status=425 ") ||
			seen[1] != `DATA 1 "Too Early\n" END_STREAM` {
			t.Errorf("want 425 and no 100: %q", seen)
		}
		p.close()
	})
}
