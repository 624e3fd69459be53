package conn

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// openRequest opens a stream with all of a request.
func (p *testPeer) openRequest(h h2test.Block, body string, tr ...string) *Stream {
	p.t.Helper()
	st, err := p.client.OpenRequest(
		&Request{Fields: h.Fields, End: true, Body: []byte(body), Trailers: h2test.Pairs(tr...)},
	)
	check(p.t, "OpenRequest", err)
	return st
}

func TestOpenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		a, b, c := p.openRequest(
			h2test.Get(1),
			"",
		), p.openRequest(
			h2test.Post(3),
			"body",
		), p.openRequest(
			h2test.Post(5),
			"body",
			"t",
			"v",
		)
		p.want(
			"flushed by itself",
			h2test.Get(1),
			h2test.Post(3),
			h2test.DataEnd(3, "body"),
			h2test.Post(5),
			h2test.Data(5, "body"),
			h2test.Trailers(5, "t: v"),
		)
		p.send(h2test.Response(1, 200).End(), h2test.Response(3, 200), h2test.DataEnd(3, "x"), h2test.Response(5, 200))
		for i, want := range []ResponseHead{{NoBody: true, Complete: true}, {Complete: true}, {}} {
			h, err := []*Stream{a, b, c}[i].AwaitHead()
			if err != nil || h.Status != 200 || h.NoBody != want.NoBody || h.Complete != want.Complete {
				t.Errorf("stream %d: %+v, %v", 2*i+1, h, err)
			}
		}
		for _, st := range []*Stream{a, b, c} {
			st.Release()
		}
	})
}

// The quota is used by a stream until it has ended, or its RST_STREAM has been written.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Client, Config{}, memconn.Options{Buffer: 200})
		want := func(why string, taken, free int) {
			t.Helper()
			synctest.Wait()
			if a, b := p.client.Quota(); a != taken || b != free {
				t.Errorf("%s: %d taken, %d free", why, a, b)
			}
		}
		want("before SETTINGS", 0, streamsAtFirst)
		p.greet()
		want("no limit", 0, streamsUnlimited)
		p.send(h2test.Settings(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 2}))
		p.want("acknowledged", h2test.Ack)
		check(t, "Reserve", p.client.Reserve())
		st := p.openRequest(h2test.Get(1), "")
		want("one reserved, one open", 2, 0)
		if err := p.client.Reserve(); !errors.Is(err, core.ErrNoStream) {
			t.Errorf("Reserve: %v", err)
		}
		p.client.Unreserve()
		want("one open", 1, 1)
		p.want("the request", h2test.Get(1))
		st.Release()
		p.c.FlushNoWait()
		p.want("reset", h2test.RST(1, frame.Cancel))
		want("told", 0, 2)

		// Now nothing is read: the request fills the connection, and RST_STREAM waits behind it.
		st = p.openRequest(h2test.Request(3, "GET", "/"+strings.Repeat("x", 1000)), "")
		synctest.Wait()
		st.Reset(frame.Cancel)
		st.Release()
		want("the peer has not been told", 1, 1)
		p.read()
		want("told", 0, 2)
		p.in = nil
		p.send(h2test.GoAway(3, frame.NoError, ""))
		want("after GOAWAY", 0, 0)
		if err := p.client.Reserve(); !errors.Is(err, core.ErrNoMoreStreams) {
			t.Errorf("Reserve after GOAWAY: %v", err)
		}
		var ce *frame.ConnError
		if err := p.c.Err(); !errors.As(err, &ce) || ce.LastStreamID != 3 || p.c.GoAway() == nil {
			t.Errorf("Err after GOAWAY: %v", err)
		}
	})
}

// The function of OnQuota is called whenever the quota may have changed.
func TestOnQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Client, Config{}, memconn.Options{})
		calls := make(chan bool, 100)
		p.client.OnQuota(func() { calls <- true })
		p.serve()
		p.greet()
		for _, step := range []struct {
			why string
			do  func()
		}{
			{"SETTINGS", func() { p.send(h2test.Settings()) }},
			{"the end of a stream", func() {
				st := p.openRequest(h2test.Get(1), "")
				p.send(h2test.Response(1, 204).End())
				st.Release()
			}},
			{"GOAWAY", func() { p.send(h2test.GoAway(1, frame.NoError, "")) }},
			{"Close", func() { _ = p.c.Close() }},
		} {
			for len(calls) > 0 {
				<-calls
			}
			step.do()
			synctest.Wait()
			if step.why == "Close" && testKind == memconn.NoCloseWrite {
				continue // GOAWAY has closed it: no half of it is left open to linger on
			}
			if len(calls) == 0 {
				t.Errorf("%s: the hook was not called", step.why)
			}
		}
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		ping := func(ctx context.Context) *call {
			return p.start(func() (int, error) {
				d, err := p.c.Ping(ctx)
				return int(d / time.Second), err
			})
		}
		one, two := ping(t.Context()), ping(t.Context())
		var sent []frame.Ping
		for f := range p.frames() {
			sent = append(sent, f.(frame.Ping))
		}
		if len(sent) != 2 || sent[0].Data == sent[1].Data {
			t.Fatalf("PINGs %v", sent)
		}
		time.Sleep(time.Second)
		p.send(frame.Ping{Ack: true, Data: sent[0].Data})
		time.Sleep(time.Second)
		p.send(frame.Ping{Ack: true, Data: sent[1].Data}, frame.Ping{Ack: true, Data: sent[1].Data})
		for _, k := range []*call{one, two} {
			synctest.Wait()
			k.mu.Lock()
			if !k.done || k.err != nil || k.n < 1 || k.n > 2 {
				t.Errorf("Ping: %v, %d s, %v", k.done, k.n, k.err)
			}
			k.mu.Unlock()
		}
		ctx, cancel := context.WithCancel(t.Context())
		given := ping(ctx)
		cancel()
		given.want("cancelled", 0, context.Canceled)
		lost := ping(t.Context())
		_ = p.c.Close()
		lost.want("closed", 0, net.ErrClosed)
	})
}

// Interim responses are handed over in their order, before the head.
func TestOnInterim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		var seen []int
		var st *Stream
		_, err := p.client.OpenRequest(&Request{
			Fields: h2test.Get(1).Fields, End: true, Into: &st,
			OnInterim: func(m *header.Message) { seen = append(seen, m.Status, len(m.Fields)) },
		})
		check(t, "OpenRequest", err)
		p.send(h2test.Response(1, 103).With("a: b", "c: d"), h2test.Response(1, 102), h2test.Response(1, 200).End())
		if _, err := st.AwaitHead(); err != nil || len(seen) != 4 || seen[0] != 103 || seen[1] != 2 || seen[2] != 102 ||
			seen[3] != 0 {
			t.Errorf("%v, %v", seen, err)
		}
		st.Release()
	})
}

// A header section that the server does not take is not sent.
func TestHeaderListSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{}, frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: 1000})
		_, err := p.client.OpenRequest(
			&Request{Fields: h2test.Request(1, "GET", "/"+strings.Repeat("x", 1000)).Fields, End: true},
		)
		if !errors.Is(err, ErrHeaderListSize) {
			t.Errorf("OpenRequest: %v", err)
		}
		p.wantIdle("nothing was sent")
		p.openRequest(h2test.Get(1), "").Release()
	})
}

// Whether a lost request had left us.
func TestUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Client, Config{}, memconn.Options{Buffer: 300})
		p.greet()
		sent := p.openRequest(h2test.Request(1, "GET", "/"+strings.Repeat("x", 1000)), "") // fills the connection
		synctest.Wait()
		unsent := p.openRequest(h2test.Get(3), "")
		synctest.Wait()
		_ = p.c.Close()
		if sent.Unsent() || !unsent.Unsent() {
			t.Errorf("sent: %v, unsent: %v", !sent.Unsent(), unsent.Unsent())
		}
		sent.Release()
		unsent.Release()
	})
}
