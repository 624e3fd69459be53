package conformance

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
)

// A pushed is what became of one push.
type pushed struct {
	path, parent string
	status       int
	body         []byte
	err          error
}

// startOwn starts our server.
func startOwn(t *testing.T, secure bool) string { return startServer(t, secure, testHandler()).Addr }

// pushPeers are the servers that push /big with /push.
var pushPeers = []struct {
	name  string
	start func(t *testing.T, secure bool) (addr string)
}{
	{"sluice", startOwn},
	{"net-http", startNetHTTP},
	{"node", startNode},
	{"nghttpd", startNghttpd},
}

// What servers push is offered to the PushHandler, which takes it or leaves it.
func TestClientPush(t *testing.T) {
	for _, p := range pushPeers {
		t.Run(p.name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				name, scheme := "h2c", "http"
				if secure {
					name, scheme = "tls", "https"
				}
				t.Run(name, func(t *testing.T) {
					url := scheme + "://" + p.start(t, secure)
					t.Run("taken", func(t *testing.T) { testPushTaken(t, url) })
					t.Run("claimed", func(t *testing.T) { testPushClaimed(t, url) })
					t.Run("refused", func(t *testing.T) { testPushRefused(t, url) })
				})
			}
		})
	}
}

func testPushTaken(t *testing.T, url string) {
	pushes := make(chan pushed, 10)
	tr := newTransport(t, func(tr *client.Transport) {
		tr.PushHandler = client.PushHandlerFunc(func(p *client.Push) {
			got := pushed{path: p.Request.URL.Path, parent: p.Parent.URL.Path}
			var resp *http.Response
			if resp, got.err = p.Response(t.Context()); got.err == nil {
				got.status = resp.StatusCode
				got.body, got.err = drain(resp)
			}
			pushes <- got
		})
	})
	for range 3 {
		if _, b := do(t, tr, newRequest(t, "GET", url+"/push", nil)); string(b) != helloBody {
			t.Errorf("body %q, want %q", b, helloBody)
		}
		select {
		case got := <-pushes:
			if got.err != nil || got.path != "/big" || got.parent != "/push" || got.status != http.StatusOK ||
				checksum(got.body) != checksum(bigBody()) {
				t.Errorf("the push of %s with %s has status %d, %d octets and error %v",
					got.path, got.parent, got.status, len(got.body), got.err)
			}
		case <-time.After(rawTimeout):
			t.Fatal("nothing was pushed")
		}
	}
}

// What is pushed answers a later request, from a PushCache, though most of it has not arrived by
// then.
func testPushClaimed(t *testing.T, url string) {
	tr := newTransport(t, func(tr *client.Transport) {
		tr.PushCache = new(client.PushCache)
		tr.MaxReceiveBufferPerStream = 64 << 10
	})
	for i := range uint64(3) {
		if _, b := do(t, tr, newRequest(t, "GET", url+"/push", nil)); string(b) != helloBody {
			t.Errorf("body %q, want %q", b, helloBody)
		}
		deadline := time.Now().Add(rawTimeout)
		for tr.PushCache.Stats().Stored == i { // node may promise after the page
			if time.Now().After(deadline) {
				t.Fatal("nothing was pushed")
			}
			runtime.Gosched()
		}
		resp, b := do(t, tr, newRequest(t, "GET", url+"/big", nil))
		if resp.StatusCode != http.StatusOK || checksum(b) != checksum(bigBody()) {
			t.Errorf("status %d, %d octets", resp.StatusCode, len(b))
		}
	}
	s := tr.PushCache.Stats()
	if s != (client.PushCacheStats{Stored: 3, Matched: 3}) || tr.Stats().Requests != 3 {
		t.Errorf("%+v after %d requests", s, tr.Stats().Requests)
	}
}

// A connection does not suffer from pushes without a request, whether the handler says so or there
// is none.
func testPushRefused(t *testing.T, url string) {
	offered := make(chan struct{}, 10)
	refusing := func(tr *client.Transport) {
		tr.PushHandler = client.PushHandlerFunc(func(p *client.Push) {
			p.Cancel()
			offered <- struct{}{}
		})
	}
	for _, tr := range []*client.Transport{newTransport(t, refusing), newTransport(t)} {
		for range 5 {
			req := newRequest(t, "GET", url+"/push", nil)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			// net/http's server answers 500 where push is off.
			b, err := drain(resp)
			if err != nil || string(b) != helloBody && (tr.PushHandler != nil || !strings.Contains(string(b), "not supported")) {
				t.Errorf("body %q, %v, want %q", b, err, helloBody)
			}
		}
		if n := tr.Stats().ConnsOpened; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	}
	for i := range 5 {
		select {
		case <-offered:
		case <-time.After(rawTimeout):
			t.Fatalf("%d pushes were offered, want 5", i)
		}
	}
}
