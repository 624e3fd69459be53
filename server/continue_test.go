package server

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
)

// TestLateContinue: a body that is first read when the handler has answered, by another goroutine
// at the same moment, asks for 100 (Continue) too late. That does not end the response.
func TestLateContinue(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		w.(*response).sendContinue()
		if _, err := io.WriteString(w, "ok"); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, p *peer) {
		p.get(1)
		synctest.Wait()
		got := p.take()
		if len(got) < 2 || got[len(got)-1] != `DATA 1 "" END_STREAM` || got[len(got)-2] != `DATA 1 "ok"` {
			t.Errorf("%q", got)
		}
	})
}
