package client

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A body of unknown length that has been read in part cannot be handed back to net/http, and its
// end may never come: the request fails with what has ended its attempt. One whose end has been
// read is sent again.
func TestConfigureBodyReadInPart(t *testing.T) {
	for _, ended := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
			if _, err := Configure(t1); err != nil {
				t.Fatal(err)
			}
			body, w := io.Pipe()
			post := startOn(t, t1, newRequest(t, "POST", testURL, body))
			p := f.accept()
			id := p.request().StreamID
			_, _ = io.WriteString(w, "part")
			if ended {
				_ = w.Close()
			}
			synctest.Wait()
			p.send(h2test.GoAway(0, frame.NoError, ""))
			if ended {
				q := f.accept()
				q.send(h2test.Response(q.request().StreamID, 204).End())
				post.response()
				_ = q.nc.Close()
			} else {
				err := post.wantErr(errNotComplete)
				if !strings.Contains(err.Error(), "define Request.GetBody") {
					t.Errorf("stream %d: %v", id, err)
				}
			}
			t1.CloseIdleConnections()
			f.close()
			_ = p.nc.Close()
		})
	}
}

// A small body without GetBody is sent again on another connection, which net/http dials.
func TestConfigureReplay(t *testing.T) {
	for name, length := range map[string]int64{"known": 4, "unknown": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
				if _, err := Configure(t1); err != nil {
					t.Fatal(err)
				}
				req := newRequest(t, "POST", testURL, streamOnly{strings.NewReader("body")})
				req.ContentLength = length
				r := startOn(t, t1, req)
				p := f.accept()
				for range 2 {
					p.wantBody(p.request().StreamID, []byte("body"))
					p.send(h2test.GoAway(0, frame.NoError, ""))
					q := f.accept()
					_ = p.nc.Close()
					p = q
				}
				h := p.request()
				p.wantBody(h.StreamID, []byte("body"))
				p.send(h2test.Response(h.StreamID, 204).End())
				r.response()
				if req.GetBody != nil {
					t.Error("the caller's request was changed")
				}
				t1.CloseIdleConnections()
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// Every body that GetBody gives is closed where net/http has to dial for another attempt, too, and
// asks for a body of its own then.
func TestConfigureGetBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		bodies := []*spyBody{{Reader: strings.NewReader("body")}}
		req := newRequest(t, "POST", testURL, bodies[0])
		req.GetBody = func() (io.ReadCloser, error) {
			bodies = append(bodies, &spyBody{Reader: strings.NewReader("body")})
			return bodies[len(bodies)-1], nil
		}
		r := startOn(t, t1, req)
		p := f.accept()
		p.wantBody(p.request().StreamID, []byte("body"))
		p.send(h2test.GoAway(0, frame.NoError, ""))
		q := f.accept()
		h := q.request()
		q.wantBody(h.StreamID, []byte("body"))
		q.send(h2test.Response(h.StreamID, 204).End())
		r.response()
		synctest.Wait()
		if len(bodies) < 2 {
			t.Errorf("%d bodies", len(bodies))
		}
		for _, b := range bodies {
			b.check(t)
		}
		t1.CloseIdleConnections()
		f.close()
		_, _ = p.nc.Close(), q.nc.Close()
	})
}
