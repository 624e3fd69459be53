package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func retrying(t *Transport) { t.MaxAttempts = 5 }

var retryTests = map[string]struct {
	do      func(p *peer)
	again   bool // it is safe
	newConn bool
}{
	"REFUSED_STREAM":           {func(p *peer) { p.send(h2test.RST(1, frame.RefusedStream)) }, true, false},
	"GOAWAY below":             {func(p *peer) { p.send(h2test.GoAway(0, frame.NoError, "")) }, true, true},
	"GOAWAY below, with error": {func(p *peer) { p.send(h2test.GoAway(0, frame.EnhanceYourCalm, "")) }, true, true},
	"GOAWAY above, end": {
		func(p *peer) { p.send(h2test.GoAway(1, frame.NoError, "")); _ = p.nc.Close() },
		false,
		false,
	},
	"INTERNAL_ERROR": {func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) }, false, false},
	"PROTOCOL_ERROR": {func(p *peer) { p.send(h2test.RST(1, frame.ProtocolError)) }, false, false},
	"NO_ERROR":       {func(p *peer) { p.send(h2test.RST(1, frame.NoError)) }, false, false},
	"end":            {func(p *peer) { _ = p.nc.Close() }, false, false},
}

// What certainly was not processed is sent again, with its body; everything else is not.
func TestRetry(t *testing.T) {
	bodies := map[string]struct {
		body  func() io.Reader
		again bool // it can be had
	}{
		"none":              {func() io.Reader { return nil }, true},
		"GetBody":           {func() io.Reader { return strings.NewReader("body") }, true},
		"GetBody, large":    {func() io.Reader { return strings.NewReader(strings.Repeat("x", 100_000)) }, true},
		"small, no GetBody": {func() io.Reader { return streamOnly{strings.NewReader("body")} }, true},
		"large, no GetBody": {func() io.Reader { return streamOnly{strings.NewReader(strings.Repeat("x", 100_000))} }, false},
	}
	for name, refusal := range retryTests {
		for bodyName, tt := range bodies {
			t.Run(name+"/"+bodyName, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newTestDialer(t, retrying)
					want := ""
					if b := tt.body(); b != nil {
						all, _ := io.ReadAll(b)
						want = string(all)
					}
					r := f.start(newRequest(t, "POST", testURL, tt.body()))
					p := f.accept()
					p.request()
					p.send(frame.WindowUpdate{Increment: 1 << 20}, frame.WindowUpdate{StreamID: 1, Increment: 1 << 20})
					synctest.Wait()
					refusal.do(p)
					if !refusal.again || !tt.again {
						<-r.done
						if r.err == nil {
							t.Error("no error")
						}
						if refusal.again && !contains(r.err.Error(), "GetBody") {
							t.Errorf("no hint: %v", r.err)
						}
						if n := f.tr.Stats().Requests; n != 1 {
							t.Errorf("sent %d times", n)
						}
						f.close()
						_ = p.nc.Close()
						return
					}
					q := p
					if refusal.newConn {
						q = f.accept()
						_ = p.nc.Close()
					}
					q.send(frame.WindowUpdate{Increment: 1 << 20})
					h := q.nextRequest()
					q.send(frame.WindowUpdate{StreamID: h.StreamID, Increment: 1 << 20})
					got := ""
					for end := h.EndStream; !end; {
						d := q.next().(frame.Data)
						got += string(d.Data)
						end = d.EndStream
					}
					if got != want {
						t.Errorf("the body is %d octets, want %d", len(got), len(want))
					}
					q.send(h2test.Response(h.StreamID, 204).End())
					r.response()
					f.close()
					_ = q.nc.Close()
				})
			})
		}
	}
}

// nextRequest waits for the next head, past what is left of an earlier request.
func (p *peer) nextRequest() h2test.Block {
	p.t.Helper()
	for {
		switch f := p.next().(type) {
		case h2test.Block:
			return f
		case nil:
			p.t.Fatal("the connection has ended")
		}
	}
}

// A server that refuses for ever is asked so many times, with growing pauses.
func TestRetryLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(t *Transport) { t.MaxAttempts = 6 })
		r := f.get()
		p := f.accept()
		start := time.Now()
		for range 6 {
			p.send(h2test.RST(p.request().StreamID, frame.RefusedStream))
		}
		err := r.wantErr(frame.RefusedStream)
		var e *Error
		if !errors.As(err, &e) || !e.Unprocessed {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d < 150*time.Millisecond || d > time.Second {
			t.Errorf("it took %v", d)
		}
		if s := f.tr.Stats(); s.Requests != 6 || s.Retries != 5 {
			t.Errorf("%+v", s)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// The pause before another attempt ends with the context, and every body is closed, also that which
// GetBody has given for the attempt that is not made any more.
func TestRetryCancelled(t *testing.T) {
	for _, getBody := range []bool{false, true} {
		t.Run(fmt.Sprintf("GetBody %t", getBody), func(t *testing.T) { testRetryCancelled(t, getBody) })
	}
}

func testRetryCancelled(t *testing.T, getBody bool) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(t *Transport) { t.MaxAttempts = 100 })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		spies := []*spyBody{{Reader: strings.NewReader("x")}}
		req := newRequest(t, "POST", testURL, spies[0]).WithContext(ctx)
		if getBody {
			req.GetBody = func() (io.ReadCloser, error) {
				spies = append(spies, &spyBody{Reader: strings.NewReader("x")})
				return spies[len(spies)-1], nil
			}
		}
		r := f.start(req)
		p := f.accept()
		go func() {
			for {
				switch f := p.next().(type) {
				case h2test.Block:
					p.send(h2test.RST(f.StreamID, frame.RefusedStream))
				case nil:
					return
				}
			}
		}()
		r.wantErr(context.DeadlineExceeded)
		for _, spy := range spies {
			spy.check(t)
		}
		f.close()
		_ = p.nc.Close()
	})
}

// stuckConn is a connection whose writes succeed until it is switched to fail them.
type stuckConn struct {
	net.Conn
	broken atomic.Bool
}

func (c *stuckConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("write failed")
	}
	return c.Conn.Write(p)
}

// A request of which nothing was sent is sent again, POST or not.
func TestRetryUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var conns []*stuckConn
		f := newTestDialer(t, retrying)
		f.tr.DialContext = func(ctx context.Context, n, a string) (net.Conn, error) {
			nc, err := f.l.Dial(ctx, n, a)
			c := &stuckConn{Conn: nc}
			conns = append(conns, c)
			return c, err
		}
		r := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 204).End())
		r.response()
		synctest.Wait()
		conns[0].broken.Store(true)
		r = f.start(newRequest(t, "POST", testURL, streamOnly{strings.NewReader("x")}))
		q := f.accept()
		q.send(h2test.Response(q.request().StreamID, 204).End())
		r.response()
		f.close()
		_ = p.nc.Close()
		_ = q.nc.Close()
	})
}

// Ten thousand requests pass through two hundred connections that say GOAWAY with requests in
// flight, and none is lost or handled twice.
func TestGoAwayLosesNothing(t *testing.T) {
	const requests, perConn = 10_000, 50
	var handled [requests]atomic.Int32
	f := newTestDialer(t, func(t *Transport) { t.MaxAttempts = 50 })
	var servers sync.WaitGroup
	servers.Go(func() {
		for n := 0; ; n++ {
			nc, err := f.l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() { goAwayAfter(newPeer(t, nc), perConn, n%2 == 0, &handled) })
		}
	})
	next := make(chan int)
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			for i := range next {
				f.countedRequest(i)
			}
		})
	}
	for i := range requests {
		next <- i
	}
	close(next)
	clients.Wait()
	f.close()
	servers.Wait()
	for i := range handled {
		if n := handled[i].Load(); n != 1 {
			t.Errorf("request %d was handled %d times", i, n)
		}
	}
	s := f.tr.Stats()
	if s.ConnsOpened < requests/perConn {
		t.Errorf("only %d connections", s.ConnsOpened)
	}
	t.Logf("%+v", s)
}

// countedRequest sends request i and checks its response.
func (f *testDialer) countedRequest(i int) {
	want := fmt.Sprint("body of ", i)
	var rd io.Reader = strings.NewReader(want)
	if i%2 == 0 {
		rd = streamOnly{rd}
	}
	resp, err := f.tr.RoundTrip(newRequest(f.t, "POST", fmt.Sprintf("%s/%d", testURL, i), rd))
	if err != nil {
		f.t.Errorf("request %d: %v", i, err)
		return
	}
	if b, err := io.ReadAll(resp.Body); string(b) != want || err != nil {
		f.t.Errorf("request %d: %q, %v", i, b, err)
	}
	_ = resp.Body.Close()
}

// goAwayAfter is a server that handles n requests, echoing their bodies. With the last it says
// GOAWAY, with twoSteps in two steps; it ignores what comes after it and ends the connection when
// all are answered.
func goAwayAfter(p *peer, n int, twoSteps bool, handled *[10_000]atomic.Int32) {
	defer p.nc.Close()
	p.send(frame.NewSettings(), frame.Settings{Ack: true})
	open := map[uint32]string{}
	for n > 0 || len(open) > 0 {
		switch f := p.next().(type) {
		case h2test.Block:
			if n == 0 {
				continue
			}
			n--
			var i int
			_, _ = fmt.Sscanf(f.Get(":path"), "/%d", &i)
			handled[i].Add(1)
			open[f.StreamID] = ""
			if n == 0 {
				if twoSteps {
					p.send(h2test.GoAway(frame.MaxStreamID, frame.NoError, ""))
				}
				p.send(h2test.GoAway(f.StreamID, frame.NoError, ""))
			}
		case frame.Data:
			got, ok := open[f.StreamID]
			if !ok {
				continue
			}
			open[f.StreamID] = got + string(f.Data)
			if f.EndStream {
				p.send(h2test.Response(f.StreamID, 200), h2test.DataEnd(f.StreamID, open[f.StreamID]))
				delete(open, f.StreamID)
			}
		case nil:
			return
		}
	}
}
