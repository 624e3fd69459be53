package client

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// 425 is an answer like others: nothing was sent in early data, so there is nothing to send again
// without (RFC 8470 §5.2).
func TestTooEarlyIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fields []string
		s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fields = append(fields, r.Header.Get("Early-Data"))
			w.WriteHeader(http.StatusTooEarly)
		}))
		tr := s.transport()
		for _, early := range []string{"", "1"} {
			req := newRequest(t, "GET", testURL, nil)
			if early != "" { // as an intermediary would
				req.Header.Set("Early-Data", early)
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if _ = readAll(t, resp); resp.StatusCode != http.StatusTooEarly {
				t.Errorf("status %s", resp.Status)
			}
		}
		if got := strings.Join(fields, ","); got != ",1" {
			t.Errorf("the server has got %q", got)
		}
		s.stop(tr)
	})
}
