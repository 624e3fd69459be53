package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Reserve, Release and State of one connection.
func TestClientConnState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		nc, _ := f.l.Dial(t.Context(), "", "")
		cc, err := f.tr.NewClientConn(nc)
		if err != nil {
			t.Fatal(err)
		}
		var changes atomic.Int32
		cc.SetStateHook(func(*ClientConn) { changes.Add(1) })
		p := f.accept(maxStreams(2))
		synctest.Wait()
		want := func(why string, inFlight, available int) {
			t.Helper()
			synctest.Wait()
			if s := cc.State(); s.InFlight != inFlight || s.Available != available || s.Err != nil ||
				cc.CanTakeNewRequest() != (available > 0) {
				t.Errorf("%s: %+v", why, s)
			}
		}
		want("at first", 0, 2)
		for i, ok := range []bool{true, true, false} {
			if err := cc.Reserve(); (err == nil) != ok {
				t.Errorf("call %d of Reserve: %v", i+1, err)
			}
		}
		want("reserved", 2, 0)
		cc.Release()
		want("one released", 1, 1)
		cc.Release()
		cc.Release() // no effect
		want("all released", 0, 2)
		_ = cc.Reserve()
		r := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		p.request()
		want("a request uses what was reserved", 1, 1)
		r2 := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		r3 := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		p.request()
		r3.wantWaiting("no stream is free")
		before := changes.Load()
		p.send(h2test.Response(1, 204).End(), h2test.Response(3, 204).End())
		p.send(h2test.Response(p.request().StreamID, 204).End())
		for _, r := range []*result{r, r2, r3} {
			r.response()
		}
		want("all done", 0, 2)
		if changes.Load() == before {
			t.Error("the hook was not called")
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			for {
				f := p.next()
				if f == nil {
					return
				}
				if f, ok := f.(frame.Ping); ok && !f.Ack {
					time.Sleep(time.Second)
					p.send(frame.Ping{Ack: true, Data: f.Data})
				}
			}
		}()
		if rtt, err := cc.RTT(t.Context()); rtt != time.Second || err != nil {
			t.Errorf("RTT %v, %v", rtt, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := cc.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping: %v", err)
		}
		cancel()
		if err := cc.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if s := cc.State(); s.Err == nil || s.Available != 0 || s.InFlight != 0 {
			t.Errorf("in the end: %+v", s)
		}
		if _, err := cc.RoundTrip(newRequest(t, "GET", testURL, nil)); err == nil {
			t.Error("RoundTrip after Shutdown")
		}
		if err := cc.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Ping after Shutdown: %v", err)
		}
		f.close()
		<-answered
	})
}

// A Ping that waits fails with its connection.
func TestPingLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		nc, _ := f.l.Dial(t.Context(), "", "")
		cc, _ := f.tr.NewClientConn(nc)
		p := f.accept()
		done := make(chan error)
		go func() { done <- cc.Ping(t.Context()) }()
		synctest.Wait()
		_ = p.nc.Close()
		if err := <-done; err == nil {
			t.Errorf("Ping: %v", err)
		}
		f.close()
	})
}
