//go:build !nethttpomithttp2

package server

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sluice-go/sluice/stream/priority"
)

// wrapper is a ResponseWriter around another, as middleware makes them.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestPriority(t *testing.T) {
	asked := priority.Params{Extensible: true, Urgency: 5, Incremental: true}
	var kept http.ResponseWriter
	s := newTestServer(t, kindServer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept = w
		want := func(why string, want priority.Params) {
			if got, err := Priority(wrapper{wrapper{w}}); got != want || err != nil {
				t.Errorf("%s: the priority is %+v, %v, want %+v", why, got, err, want)
			}
		}
		want("asked for", asked)
		w.Header()["Priority"] = []string{"u=1", "x=2"}
		want("the header is not fixed", asked)
		w.WriteHeader(http.StatusOK)
		asked.Urgency = 1
		want("by the response's field", asked)
		asked = priority.Params{Extensible: true, Urgency: 2}
		if err := SetPriority(wrapper{w}, asked); err != nil {
			t.Errorf("SetPriority: %v", err)
		}
		want("by SetPriority", asked)
	}))
	defer s.stop()
	r := s.request("GET", "/", nil)
	r.Header.Set("Priority", "u=5, i")
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if got := resp.Header.Values("Priority"); len(got) != 2 || got[0] != "u=1" {
		t.Errorf("the client has got %q", got)
	}
	if err := SetPriority(kept, asked); !errors.Is(err, errWriteAfterReturn) {
		t.Errorf("after the handler: %v", err)
	}
	if _, err := Priority(kept); !errors.Is(err, errWriteAfterReturn) {
		t.Errorf("after the handler: %v", err)
	}
}

func TestPriorityElsewhere(t *testing.T) {
	for _, w := range []http.ResponseWriter{httptest.NewRecorder(), wrapper{httptest.NewRecorder()}} {
		if err := SetPriority(w, priority.Params{}); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%T: %v", w, err)
		}
		if _, err := Priority(w); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%T: %v", w, err)
		}
	}
}
