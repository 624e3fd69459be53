package client

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// What servers and proxies send that is odd, or wrong only at its end: what there is of the
// response reaches the caller, and the connection serves the next request.
var oddResponses = []struct {
	name string
	send func(p *peer)
	body string
	err  error
	want string // the field X, in the header or else in the trailers
}{
	{"whitespace at the ends of a value", func(p *peer) {
		p.send(h2test.Response(1, 200, "x: \t a b "), h2test.DataEnd(1, "hello"))
	}, "hello", nil, "a b"},
	{"whitespace at the end of a trailer", func(p *peer) {
		p.send(h2test.Response(1, 200), h2test.Data(1, "hello"), trailersOf(1, "x", "no route "))
	}, "hello", nil, "no route"},
	{"content-length in the trailers", func(p *peer) {
		p.send(
			h2test.Response(1, 200, "content-length: 5"),
			h2test.Data(1, "hello"),
			trailersOf(1, "content-length", "3", "x", "1"),
		)
	}, "hello", nil, "1"},
	{"interim responses with content-length", func(p *peer) {
		p.send(h2test.Response(1, 103, "content-length: 17"), h2test.Response(1, 100, "content-length: 0"),
			h2test.Response(1, 200, "content-length: 5"), h2test.DataEnd(1, "hello"))
	}, "hello", nil, ""},
	{"less than content-length", func(p *peer) {
		p.send(h2test.Response(1, 200, "content-length: 9"), h2test.Data(1, "hel"), h2test.DataEnd(1, "lo"))
	}, "hello", io.ErrUnexpectedEOF, ""},
	{"more than content-length", func(p *peer) {
		p.send(h2test.Response(1, 200, "content-length: 5"), h2test.Data(1, "hel"), h2test.DataEnd(1, "lo there"))
	}, "hello", frame.ProtocolError, ""},
	{"a frame more than content-length", func(p *peer) {
		p.send(h2test.Response(1, 200, "content-length: 5"), h2test.Data(1, "hello"), h2test.DataEnd(1, " there"))
	}, "hello", frame.ProtocolError, ""},
	{"empty and padded DATA between", func(p *peer) {
		p.send(h2test.Response(1, 200))
		for _, s := range strings.Split("hello", "") {
			p.send(h2test.Data(1, ""), h2test.Data(1, s), []byte("\x00\x00\x04\x00\x08\x00\x00\x00\x01\x03\x00\x00\x00"))
		}
		p.send(h2test.DataEnd(1, ""))
	}, "hello", nil, ""},
	{"frames for a stream that is over", func(p *peer) {
		p.send(
			h2test.Response(1, 200),
			h2test.DataEnd(1, "hello"),
			frame.WindowUpdate{StreamID: 1, Increment: 9},
			h2test.RST(1, frame.NoError),
			frame.WindowUpdate{StreamID: 1, Increment: 9},
			h2test.RST(1, frame.Cancel),
		)
	}, "hello", nil, ""},
	{"RST_STREAM without END_STREAM", func(p *peer) {
		p.send(h2test.Response(1, 200), h2test.Data(1, "hello"), h2test.RST(1, frame.NoError))
	}, "hello", frame.NoError, ""},
}

// trailersOf is the trailer section of a response.
func trailersOf(id uint32, pairs ...string) h2test.Block {
	h := h2test.Response(id, 200).WithPairs(pairs...)
	h.Fields = h.Fields[1:]
	return h.End()
}

func TestOddResponses(t *testing.T) {
	for _, tt := range oddResponses {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				r := f.get()
				p := f.accept()
				p.request()
				tt.send(p)
				resp := r.response()
				synctest.Wait() // all is there before it is read
				b, err := io.ReadAll(resp.Body)
				if string(b) != tt.body || !errors.Is(err, tt.err) {
					t.Errorf("read %q and %v, want %q and %v", b, err, tt.body, tt.err)
				}
				if got := resp.Header.Get("X") + resp.Trailer.Get("X"); got != tt.want {
					t.Errorf("X is %q, want %q", got, tt.want)
				}
				r = f.get()
				for next := p.next(); next != nil; next = p.next() {
					if h, ok := next.(h2test.Block); ok {
						p.send(h2test.Response(h.StreamID, 204).End())
						break
					}
				}
				if resp := r.response(); resp.StatusCode != 204 {
					t.Errorf("the next response: %s", resp.Status)
				}
				go io.Copy(io.Discard, p.r)
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// A response that has begun is not asked for again, though the server's GOAWAY says that the
// request was never processed: the caller has read a part of it.
func TestGoAwayBelowResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.MaxAttempts = 3 })
		r := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200), h2test.Data(1, "part"), h2test.GoAway(0, frame.NoError, ""))
		go io.Copy(io.Discard, p.r)
		b, err := io.ReadAll(r.response().Body)
		if string(b) != "part" || !errors.Is(err, frame.RefusedStream) {
			t.Errorf("read %q and %v, want a part and an error", b, err)
		}
		var again atomic.Bool
		go func() {
			_, err := f.l.Accept()
			again.Store(err == nil)
		}()
		synctest.Wait()
		if again.Load() {
			t.Error("the request was sent again")
		}
		f.close()
		_ = p.nc.Close()
	})
}

// A server that lowers its limit of streams below those that are open closes nothing: they end, and
// what waits goes on within the new limit. net/http of Go 1.26 does not, with
// StrictMaxConcurrentRequests.
func TestStreamLimitLowered(t *testing.T) {
	const before, after, requests = 20, 5, 60
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.StrictMaxConcurrentStreams = true })
		first := f.get()
		p := f.accept(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: before})
		p.send(h2test.Response(p.request().StreamID, 204).End())
		first.response()
		var running []*result
		for range requests {
			running = append(running, f.get())
		}
		var open []uint32
		for range before {
			open = append(open, p.request().StreamID)
		}
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: after}))
		time.Sleep(time.Second)
		for done := 0; done < requests; {
			p.send(h2test.Response(open[0], 204).End())
			open = open[1:]
			done++
			if done+len(open) < requests && len(open) < after {
				open = append(open, p.request().StreamID)
			}
		}
		for _, r := range running {
			r.response()
		}
		if n := f.tr.Stats().Dials; n != 1 {
			t.Errorf("%d connections were dialled", n)
		}
		go io.Copy(io.Discard, p.r)
		f.close()
		_ = p.nc.Close()
	})
}

// An https request does not go over a connection in the clear that is open to the same address.
func TestCleartextConnIsNotForHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.Protocols.SetHTTP2(true) })
		r := f.start(newRequest(t, http.MethodGet, "http://server:443/", nil))
		p := f.accept()
		p.send(h2test.Response(p.request().StreamID, 204).End())
		r.response()
		secure := f.start(newRequest(t, http.MethodGet, "https://server/", nil))
		nc, err := f.l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := io.ReadFull(nc, b); err != nil || b[0] != 22 {
			t.Errorf("the connection begins with %v, %v, want a TLS handshake record", b, err)
		}
		_ = nc.Close()
		<-secure.done
		if secure.err == nil {
			t.Errorf("https was answered: %s", secure.resp.Status)
		}
		go io.Copy(io.Discard, p.r)
		f.close()
		_ = p.nc.Close()
	})
}
