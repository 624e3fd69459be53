//go:build !nethttpomithttp2

package client

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A connection that drains does not count for MaxConnsPerHost, with net/http's HTTP/2 as with ours:
// a request that runs for long would hold up all others.
func TestMaxConnsPerHostWhileDraining(t *testing.T) {
	for _, kind := range []string{"net-http", "transport", "configure"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly(), MaxConnsPerHost: 1}
				own := &Transport{DialContext: f.l.Dial, Protocols: h2cOnly(), Proxy: noProxy, MaxConnsPerHost: 1}
				var rt interface {
					http.RoundTripper
					CloseIdleConnections()
				} = t1
				switch kind {
				case "transport":
					rt = own
				case "configure":
					if _, err := Configure(t1); err != nil {
						t.Fatal(err)
					}
				}
				long := startOn(t, rt, newRequest(t, "GET", testURL, nil))
				p := f.accept()
				p.send(h2test.Response(p.request().StreamID, 200))
				long.response()
				p.send(h2test.GoAway(1, frame.NoError, ""))
				synctest.Wait()
				next := startOn(t, rt, newRequest(t, "GET", testURL, nil))
				q := f.accept()
				q.send(h2test.Response(q.request().StreamID, 204).End())
				next.response()
				_ = long.resp.Body.Close()
				rt.CloseIdleConnections()
				f.close()
				_ = p.nc.Close()
				_ = q.nc.Close()
			})
		})
	}
}
