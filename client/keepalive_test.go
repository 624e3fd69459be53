package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// pingPolicy counts PINGs as grpc-go's servers do by default: one that comes
// within five minutes of the one before, or within two hours while no stream is open, is a strike;
// HEADERS and DATA of the server let the next PING begin anew; the third strike ends the
// connection.
type pingPolicy struct {
	mu      sync.Mutex
	last    time.Time
	strikes int
	sent    bool // HEADERS or DATA since the last PING
	open    map[uint32]bool
	pings   int
}

func (g *pingPolicy) ping(now time.Time) (tooMany bool) {
	g.pings++
	defer func() { g.last = now }()
	if g.sent {
		g.sent, g.strikes = false, 0
		return false
	}
	least := 5 * time.Minute
	if len(g.open) == 0 {
		least = 2 * time.Hour
	}
	if g.last.Add(least).After(now) {
		g.strikes++
	}
	return g.strikes > 2
}

// serve reads what the client sends, and answers PINGs while answers is true.
func (g *pingPolicy) serve(p *peer) {
	for {
		m := p.next()
		g.mu.Lock()
		switch m := m.(type) {
		case nil:
			g.mu.Unlock()
			return
		case h2test.Block:
			g.open[m.StreamID] = true
		case frame.RSTStream:
			delete(g.open, m.StreamID)
		case frame.Ping:
			if m.Ack {
				break
			}
			p.send(frame.Ping{Ack: true, Data: m.Data})
			if g.ping(time.Now()) {
				p.send(h2test.GoAway(0, frame.EnhanceYourCalm, ""))
			}
		}
		g.mu.Unlock()
	}
}

// answer has the server end a stream.
func (g *pingPolicy) answer(p *peer, id uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[id] {
		delete(g.open, id)
		g.sent = true
		p.send(h2test.Response(id, 204).End())
	}
}

// Requests that are given up one after another, or many at a time, at a server that says nothing,
// and at one that answers now and then, do not have a server that counts PINGs end the connection.
func TestPingsOfCancelledRequests(t *testing.T) {
	for _, atOnce := range []int{1, 3, 50} {
		for _, every := range []time.Duration{10 * time.Millisecond, time.Second, 40 * time.Second, 7 * time.Minute} {
			for _, answers := range []int{0, 1, 7} { // every so many requests
				t.Run(fmt.Sprintf("%d at once, every %v, answered %d", atOnce, every, answers), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { pingStorm(t, atOnce, every, answers) })
				})
			}
		}
	}
}

func pingStorm(t *testing.T, atOnce int, every time.Duration, answers int) {
	f := newTestDialer(t, func(tr *Transport) { tr.IdleConnTimeout = 0 })
	g := &pingPolicy{open: map[uint32]bool{}}
	r := f.get()
	p := f.accept()
	p.request()
	p.send(h2test.Response(1, 204).End())
	r.response()
	g.sent = true
	go g.serve(p) // ends with the connection
	for i := range 60 {
		var wg sync.WaitGroup
		for range atOnce {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), every)
				defer cancel()
				resp, err := f.tr.RoundTrip(newRequest(t, "GET", testURL+"/", nil).WithContext(ctx))
				switch {
				case err == nil:
					_ = resp.Body.Close()
				case !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("request %d: %v", i, err)
				}
			})
		}
		if answers > 0 && i%answers == 0 {
			time.Sleep(every / 2)
			g.mu.Lock()
			ids := make([]uint32, 0, len(g.open))
			for id := range g.open {
				ids = append(ids, id)
			}
			g.mu.Unlock()
			for _, id := range ids[:len(ids)/2] {
				g.answer(p, id)
			}
		}
		wg.Wait()
		if t.Failed() {
			break
		}
	}
	synctest.Wait()
	if answers == 0 && g.pings == 0 {
		t.Error("no PING has asked whether the server is there")
	}
	f.close()
	_ = p.nc.Close()
}

// A server that vanishes after it has answered a PING is found out: at the interval that was asked
// for, and otherwise after some minutes.
func TestServerVanishesAfterAPing(t *testing.T) {
	for _, interval := range []time.Duration{0, 7 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(tr *Transport) { tr.SendPingTimeout = interval })
				r := f.get()
				p := f.accept()
				p.request()
				ping, _ := p.next().(frame.Ping)
				p.send(frame.Ping{Ack: true, Data: ping.Data})
				start := time.Now()
				err := r.wantErr(frame.NoError)
				most := 6 * time.Minute
				if interval > 0 {
					most = interval + 16*time.Second
				}
				if d := time.Since(start); d > most {
					t.Errorf("it took %v", d)
				}
				if !strings.Contains(err.Error(), "PingTimeout of 15s") {
					t.Errorf("the error does not name the timer: %v", err)
				}
				f.close()
			})
		})
	}
}

// An upload whose server stops reading ends by WriteByteTimeout, which the error names, or goes on.
func TestServerStopsReading(t *testing.T) {
	for _, limit := range []time.Duration{0, 20 * time.Second} {
		t.Run(limit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(tr *Transport) {
					tr.WriteByteTimeout, tr.SendPingTimeout = limit, -1
				})
				r := f.start(newRequest(t, "POST", testURL+"/", streamOnly{strings.NewReader(strings.Repeat("x", 8<<20))}))
				p := f.accept(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 30})
				p.send(frame.WindowUpdate{Increment: 1 << 30})
				p.request()
				time.Sleep(70 * time.Second)
				if limit == 0 {
					go func() { // ends with the connection
						for p.next() != nil {
						}
					}()
					p.send(h2test.Response(1, 204).End())
					r.response()
				} else {
					err := r.wantErr(frame.NoError)
					var te *core.TimeoutError
					if !errors.As(err, &te) || te.Timer != "WriteByteTimeout" || te.After != limit {
						t.Errorf("the error does not name the timer: %v", err)
					}
					if !os.IsTimeout(err) || strings.Contains(err.Error(), "response headers") {
						t.Errorf("the error is told as another: %v", err)
					}
				}
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// A server that is slow, and lives, is waited for by every timer that has not been set: its
// SETTINGS come late, it stops within a frame and within a header block, and it takes an upload bit
// by bit.
func TestSlowServer(t *testing.T) {
	run := func(name string, do func(t *testing.T, f *testDialer)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				do(t, f)
				f.close()
			})
		})
	}
	run("SETTINGS", func(_ *testing.T, f *testDialer) {
		r := f.get()
		p := f.acceptSilent()
		time.Sleep(40 * time.Second)
		p.send(frame.NewSettings(), frame.Settings{Ack: true})
		p.request()
		p.send(h2test.Response(1, 204).End())
		r.response()
		_ = p.nc.Close()
	})
	run("SETTINGS not acknowledged", func(_ *testing.T, f *testDialer) {
		r := f.get()
		p := f.acceptSilent()
		p.send(frame.NewSettings())
		p.request()
		time.Sleep(40 * time.Second)
		p.send(frame.Settings{Ack: true}, h2test.Response(1, 204).End())
		r.response()
		_ = p.nc.Close()
	})
	run("pause within frames", func(t *testing.T, f *testDialer) {
		r := f.get()
		p := f.accept()
		p.request()
		b := frame.Headers{
			StreamID:   1,
			EndHeaders: true,
			Fragment:   p.codec.Block(h2test.Response(1, 200).Fields...),
		}.Append(
			nil,
		)
		b = frame.Data{StreamID: 1, EndStream: true, Data: make([]byte, 9000)}.Append(b)
		time.Sleep(40 * time.Second)
		p.send(b[:12])
		time.Sleep(40 * time.Second)
		p.send(b[12 : len(b)-5])
		resp := r.response()
		time.Sleep(40 * time.Second)
		p.send(b[len(b)-5:])
		if n := len(readAll(t, resp)); n != 9000 {
			t.Errorf("%d octets", n)
		}
		_ = p.nc.Close()
	})
	run("upload", func(t *testing.T, f *testDialer) {
		r := f.start(newRequest(t, "POST", testURL+"/", streamOnly{strings.NewReader(strings.Repeat("x", 70_000))}))
		p := f.accept()
		p.request()
		go func() { // ends with the connection
			for m := p.next(); m != nil; m = p.next() {
				if g, ok := m.(frame.Ping); ok && !g.Ack {
					p.send(frame.Ping{Ack: true, Data: g.Data})
				}
			}
		}()
		time.Sleep(3 * time.Hour)
		p.send(
			frame.WindowUpdate{StreamID: 1, Increment: 5000},
			frame.WindowUpdate{Increment: 5000},
			h2test.Response(1, 204).End(),
		)
		r.response()
		_ = p.nc.Close()
	})
}
