package client

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Of idle connections those go that have been idle for longest.
func TestPoolMaxIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(echoHandler))
		tr := s.transport(func(t *Transport) { t.MaxIdleConns = 2 })
		for i := range 5 {
			resp, err := tr.RoundTrip(newRequest(t, "GET", fmt.Sprintf("http://host%d.test/", i), nil))
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, resp)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := tr.Stats().Conns; n != 2 {
			t.Errorf("%d connections", n)
		}
		resp, err := tr.RoundTrip(newRequest(t, "GET", "http://host4.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		if n := tr.Stats().ConnsOpened; n != 5 {
			t.Errorf("the last one was closed: %d", n)
		}
		s.stop(tr)
	})
}

// CloseIdleConnections leaves connections with requests alone.
func TestPoolCloseIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200))
		resp := r.response()
		f.tr.CloseIdleConnections()
		p.send(h2test.DataEnd(1, "ok"))
		if got := readAll(t, resp); got != "ok" {
			t.Errorf("%q", got)
		}
		synctest.Wait()
		f.tr.CloseIdleConnections()
		p.wantGoAway(frame.NoError)
		if p.next() != nil {
			t.Error("the connection is still there")
		}
		f.close()
	})
}
