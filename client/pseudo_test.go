package client

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/h2test"
)

func TestPseudoHeaderOrder(t *testing.T) {
	for _, tt := range []struct{ order, want string }{
		{"", ":method :scheme :authority :path"},
		{":method :authority :scheme :path", ":method :authority :scheme :path"},
		{":path", ":path :method :scheme :authority"},
		{":nonsense :path :path", ":path :method :scheme :authority"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t, func(tr *Transport) { tr.PseudoHeaderOrder = strings.Fields(tt.order) })
			done := make(chan struct{})
			go func() {
				defer close(done)
				req, _ := http.NewRequest("GET", testURL+"/x", nil)
				res, err := f.tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
			}()
			p := f.accept()
			h := p.request()
			var names []string
			for _, field := range h.Fields {
				if strings.HasPrefix(field.Name, ":") {
					names = append(names, field.Name)
				}
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("order %q: sent %q, want %q", tt.order, got, tt.want)
			}
			e := h2test.Response(h.StreamID, 200)
			e.EndStream = true
			p.send(e)
			<-done
			f.tr.CloseIdleConnections()
		})
	}
}
