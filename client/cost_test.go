package client

import (
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/h2test"
)

// Responses that are not read, with contexts that can be cancelled, have no goroutine: a connection
// has one.
func TestNoGoroutinePerStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		const streams = 50
		var calls []*result
		for range streams {
			calls = append(calls, f.get())
		}
		p := f.accept()
		for range streams {
			p.send(h2test.Response(p.request().StreamID, 200))
		}
		for _, r := range calls {
			r.response()
		}
		synctest.Wait()
		open := runtime.NumGoroutine()
		for _, r := range calls {
			_ = r.resp.Body.Close()
		}
		synctest.Wait()
		// Goroutines outside the bubble, which earlier tests have left to the runtime, may end
		// meanwhile.
		if n := runtime.NumGoroutine(); open-n >= streams/2 {
			t.Errorf("%d goroutines with %d responses open, %d without", open, streams, n)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// net/http's transport allocates 43 times for this, our server's part included.
func TestAllocations(t *testing.T) {
	hello := []byte("hello, world\n")
	u := newTCPServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(hello) }))
	tr := &Transport{Protocols: h2cOnly(), Proxy: noProxy}
	defer tr.CloseIdleConnections()
	buf := make([]byte, 64)
	get := func() {
		resp, err := tr.RoundTrip(newRequest(t, "GET", u, nil))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf)
		}
		_ = resp.Body.Close()
	}
	for range 100 {
		get()
	}
	if n := testing.AllocsPerRun(1000, get); n > 20 && !raceEnabled {
		t.Errorf("%v allocations a request", n)
	} else {
		t.Logf("%v allocations a request", n)
	}
}
