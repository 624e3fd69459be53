package get

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// runForever asks for what is answered with a push that does not end, and returns the table.
func runForever(ctx context.Context, s *testServer, timeout time.Duration, errs io.Writer) (string, error) {
	var out bytes.Buffer
	err := Run(ctx, Options{
		URLs: []string{s.url + "/push-forever"}, Stat: true, Repeat: 1, Parallel: 1, Timeout: timeout,
		CACert: s.roots, Proxy: "none", Verbose: true, Color: "never", Out: &out, Err: errs,
	})
	return out.String(), err
}

// failedPush reports whether a table has a push that has failed.
var failedPush = regexp.MustCompile(`(?m)^ +failed +pushed `).MatchString

// A push that does not end is given up with --timeout.
func TestPushTimeout(t *testing.T) {
	s := newTestServer(t)
	// The time is that of the request, too, which a slow machine may not answer within it.
	for timeout := 250 * time.Millisecond; ; timeout *= 2 {
		table, err := runForever(t.Context(), s, timeout, io.Discard)
		if err != nil && strings.Contains(err.Error(), "no end within --timeout") && timeout < time.Minute {
			continue
		}
		if err != nil || !failedPush(table) {
			t.Errorf("%v\n%s", err, table)
		}
		return
	}
}

// A push that does not end is given up with an interrupt.
func TestPushInterrupt(t *testing.T) {
	s := newTestServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	table, err := runForever(ctx, s, 0, pushBegun(cancel))
	if err != nil && !errors.Is(err, context.Canceled) || !failedPush(table) {
		t.Errorf("%v\n%s", err, table)
	}
}

// pushBegun is called when the head of a pushed response is shown.
type pushBegun func()

// Write takes what is shown of one event.
func (f pushBegun) Write(p []byte) (int, error) {
	if pushedHead(p) {
		f()
	}
	return len(p), nil
}

// pushedHead reports whether an event is the head of a response on stream 2.
var pushedHead = regexp.MustCompile(`← HEADERS +2 `).Match

// Of two promises, one that the client has refused is not waited for, and one that comes late is.
func TestPushRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPushes(t.Context(), &Options{})
		p.change(func() { p.promised = 2 })
		go func() {
			time.Sleep((refusedSteps - 1) * refusedStep)
			p.change(func() { p.begun++ })
			time.Sleep(time.Minute)
			p.change(func() { p.list = append(p.list, &pushed{}) })
		}()
		if got := p.wait(); len(got) != 1 || time.Since(start) != time.Minute+(refusedSteps-1)*refusedStep {
			t.Errorf("%d pushes after %v", len(got), time.Since(start))
		}
		p.change(func() { p.begun, p.list = 0, nil })
		start = time.Now()
		if got := p.wait(); len(got) != 0 || time.Since(start) != refusedSteps*refusedStep {
			t.Errorf("%d pushes after %v", len(got), time.Since(start))
		}
	})
}

// pushForever answers with a push that does not end.
func pushForever(mux *http.ServeMux) {
	mux.HandleFunc("/push-forever", func(w http.ResponseWriter, _ *http.Request) {
		if p, ok := w.(http.Pusher); ok {
			_ = p.Push("/forever", nil) // the table of the client shows it
		}
	})
	mux.HandleFunc("/forever", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush() // the client is gone where it fails
		<-r.Context().Done()
	})
}
