package get

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"
)

// A push that does not end is given up with --timeout, and with an interrupt.
func TestPushWithoutEnd(t *testing.T) {
	s := newTestServer(t)
	for name, tt := range map[string]struct {
		timeout time.Duration
		cancel  bool
	}{
		"timeout": {timeout: 500 * time.Millisecond}, "interrupt": {cancel: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out bytes.Buffer
			o := Options{
				URLs: []string{s.url + "/push-forever"}, Stat: true, Repeat: 1, Parallel: 1, Timeout: tt.timeout,
				CACert: s.roots, Proxy: "none", Out: &out, Err: &out,
			}
			if tt.cancel {
				time.AfterFunc(500*time.Millisecond, cancel)
			}
			if err := Run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if got := out.String(); !regexp.MustCompile(`(?m)^ +failed +pushed `).MatchString(got) {
				t.Errorf("%s", got)
			}
		})
	}
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
