package client

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func echoHandler(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Method", r.Method)
	w.Header().Set("Trailer", "T")
	_, _ = w.Write(b)
	w.Header().Set("T", fmt.Sprintf("%d %v", len(b), r.Trailer))
}

func TestRoundTrip(t *testing.T) {
	bodies := map[string]func() io.Reader{
		"none":       func() io.Reader { return nil },
		"small":      func() io.Reader { return strings.NewReader("hello") },
		"large":      func() io.Reader { return bytes.NewReader(make([]byte, 3<<20)) },
		"stream":     func() io.Reader { return streamOnly{strings.NewReader("streamed")} },
		"big stream": func() io.Reader { return streamOnly{bytes.NewReader(make([]byte, 1<<20))} },
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestServer(t, http.HandlerFunc(echoHandler))
				tr := s.transport()
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() {
						want := ""
						if b := body(); b != nil {
							p, _ := io.ReadAll(b)
							want = string(p)
						}
						resp, err := tr.RoundTrip(newRequest(t, "POST", testURL+"/path?q", body()))
						if err != nil {
							t.Error(err)
							return
						}
						if got := readAll(t, resp); got != want {
							t.Errorf("the echo has %d octets, want %d", len(got), len(want))
						}
						if got := resp.Trailer.Get("T"); got != fmt.Sprintf("%d map[]", len(want)) {
							t.Errorf("trailer %q", got)
						}
						if resp.Header.Get("Method") != "POST" || resp.ProtoMajor != 2 || resp.Status != "200 OK" {
							t.Errorf("response %+v", resp)
						}
					})
				}
				wg.Wait()
				if n := tr.Stats().ConnsOpened; n != 1 {
					t.Errorf("%d connections", n)
				}
				s.stop(tr)
			})
		})
	}
}
