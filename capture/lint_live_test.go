package capture

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/server"
)

// Our own client and server break no rule, as seen by both, however busy they are.
func TestLintLive(t *testing.T) {
	up, down := record(), record()
	cl, sl := &Live{Handler: up.handle}, &Live{Handler: down.handle}
	s := newTestServer(t, func(srv *server.Server) {
		srv.Tracer, srv.HTTP2 = sl, &http.HTTP2Config{MaxConcurrentStreams: 10}
	}, nil)
	s.tr.Tracer, s.tr.MaxConnsPerHost = cl, 2 // no dial begins when the requests are about to end
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			for j := range 10 {
				path := fmt.Sprintf("/%d/%d", i, j)
				if got := s.get(t, path); got != "body hello "+path {
					t.Errorf("%s is answered with %q", path, got)
				}
				req, err := http.NewRequestWithContext(t.Context(), "HEAD", s.url+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if res, err := s.tr.RoundTrip(req); err == nil {
					res.Body.Close()
				}
			}
		})
	}
	group.Wait()
	s.tr.CloseIdleConnections()
	for name, r := range map[string]*recorded{"server": down, "client": up} {
		s.end(t, r)
		for _, f := range r.findings {
			if f.Severity == Error {
				t.Errorf("at the %s: %s %v %d: %s", name, f.Rule, f.Dir, f.Stream, f.Text)
			}
		}
	}
}
