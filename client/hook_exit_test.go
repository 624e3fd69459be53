package client

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/server"
)

// A hook that ends the caller's goroutine, as t.FailNow does, or panics, costs that request and no
// other: the stream is free again, and the body is closed.
func TestHookThatDoesNotReturn(t *testing.T) {
	hooks := map[string]func(*httptrace.ClientTrace, func()){
		"GetConn": func(c *httptrace.ClientTrace, f func()) { c.GetConn = func(string) { f() } },
		"GotConn": func(c *httptrace.ClientTrace, f func()) { c.GotConn = func(httptrace.GotConnInfo) { f() } },
		"WroteHeaderField": func(c *httptrace.ClientTrace, f func()) {
			c.WroteHeaderField = func(string, []string) { f() }
		},
		"WroteHeaders":    func(c *httptrace.ClientTrace, f func()) { c.WroteHeaders = f },
		"Wait100Continue": func(c *httptrace.ClientTrace, f func()) { c.Wait100Continue = f },
		"WroteRequest": func(c *httptrace.ClientTrace, f func()) {
			c.WroteRequest = func(httptrace.WroteRequestInfo) { f() }
		},
		"GotFirstResponseByte": func(c *httptrace.ClientTrace, f func()) { c.GotFirstResponseByte = f },
		"Got1xxResponse": func(c *httptrace.ClientTrace, f func()) {
			c.Got1xxResponse = func(int, textproto.MIMEHeader) error { f(); return nil }
		},
	}
	for name, set := range hooks {
		for _, kind := range []string{"none", "small", "large"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { hookExits(t, set, kind) })
			})
		}
	}
}

func hookExits(t *testing.T, set func(*httptrace.ClientTrace, func()), kind string) {
	s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}), func(srv *server.Server) { srv.MaxConcurrentStreams = 1 })
	tr := s.transport(func(tr *Transport) {
		tr.MaxConnsPerHost, tr.StrictMaxConcurrentStreams = 1, true
		tr.ExpectContinueTimeout = time.Second
	})
	for i, leave := range []func(){runtime.Goexit, func() { panic("of a hook") }, runtime.Goexit} {
		trace := new(httptrace.ClientTrace)
		set(trace, leave)
		if i > 0 && trace.Got1xxResponse != nil || i == 1 && trace.WroteRequest != nil && kind != "none" {
			continue // that hook runs on a goroutine where a panic ends the process, as with net/http
		}
		size := map[string]int{"none": 0, "small": 10, "large": 100_000}[kind]
		body := &closeCounter{Reader: strings.NewReader(strings.Repeat("x", size))}
		req := newRequest(t, "POST", testURL, nil)
		if kind != "none" {
			req.Body, req.ContentLength = body, -1
			if kind == "small" {
				req.ContentLength = 10
			}
			req.Header.Set("Expect", "100-continue")
		}
		left := make(chan struct{})
		go func() {
			defer close(left)
			defer func() { _ = recover() }()
			resp, err := tr.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
			if err == nil {
				resp.Body.Close()
			}
		}()
		<-left
		synctest.Wait()
		early := trace.GetConn != nil || trace.GotConn != nil // before the body is touched
		if kind != "none" && !early && body.closed.Load() != 1 {
			t.Errorf("the body was closed %d times", body.closed.Load())
		}
		start := time.Now()
		resp, err := tr.RoundTrip(newRequest(t, "GET", testURL, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "ok" || time.Since(start) > time.Second {
			t.Errorf("%q after %v", got, time.Since(start))
		}
	}
	s.stop(tr)
}

// closeCounter is a body that counts its closes.
type closeCounter struct {
	io.Reader
	closed atomic.Int32
}

func (c *closeCounter) Close() error {
	c.closed.Add(1)
	return nil
}
