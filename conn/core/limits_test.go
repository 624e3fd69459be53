package core

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// limitTest sends more than a limit allows. What is sent k times is just below it.
type limitTest struct {
	name   string
	role   Role
	limits Limits // for what else would come in the way
	setup  func(p *peer)
	send   func(p *peer, i int) // once
	free   int                  // times that cost nothing
	burst  int                  // times that are within the limit
	rate   int                  // times a second more; 0: the limit is no rate
	text   string
}

func ids(i int) uint32 { return uint32(2*i + 1) }

var rateTests = []limitTest{
	{
		name: "requests that are malformed", burst: 200, rate: 50, text: "too_many_internal_resets",
		send: func(p *peer, i int) { p.send(h2test.Get(ids(i), "connection: close")) },
	},
	{
		name: "promises that are refused", role: Client, free: 16, burst: 200, rate: 50, text: "too_many_internal_resets",
		setup: func(p *peer) { p.open(true) },
		send:  func(p *peer, i int) { p.send(h2test.Promise(1, uint32(2*i+2), "content-length: 5")) },
	},
	{
		name: "PING", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(h2test.Ping("12345678")) },
	},
	{
		name: "PING, of which DATA makes one free", free: 2, burst: 1000, rate: 100, text: "too_many_glitches",
		setup: func(p *peer) {
			p.send(h2test.Get(1))
			p.answer(1, false)
			p.queue(1, 20000, true)
		},
		send: func(p *peer, i int) { p.send(h2test.Ping("12345678")) },
	},
	{
		name: "answers to no PING", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.Ping{Ack: true}) },
	},
	{
		name: "answers to no keepalive", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.Ping{Ack: true, Data: keepalivePing}) },
	},
	{
		name: "SETTINGS", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(h2test.Settings()) },
	},
	{
		name: "acknowledgements of no SETTINGS", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.Settings{Ack: true}) },
	},
	{
		name: "PRIORITY", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.Priority{StreamID: ids(i)}) },
	},
	{
		name: "PRIORITY_UPDATE", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.PriorityUpdate{PrioritizedID: ids(i)}) },
	},
	{
		name: "unknown frames", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(h2test.Frame(0xbb, 0, 0)) },
	},
	{
		name: "GOAWAY", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(frame.GoAway{}) },
	},
	{
		name: "WINDOW_UPDATE", burst: 1000, rate: 100, text: "too_many_glitches",
		send: func(p *peer, i int) { p.send(h2test.WindowUpdate(0, 1)) },
	},
	{
		name: "WINDOW_UPDATE, of which DATA makes one for 16 octets free", free: 2 + 16384/16 + 2 + 3616/16,
		burst: 1000, rate: 100, text: "too_many_glitches",
		setup: func(p *peer) {
			p.send(h2test.Get(1))
			p.answer(1, false)
			p.queue(1, 20000, true)
		},
		send: func(p *peer, i int) { p.send(h2test.WindowUpdate(0, 1)) },
	},
	{
		name: "RST_STREAM on a stream that has ended", burst: 1000, rate: 100, text: "too_many_glitches",
		setup: func(p *peer) {
			p.send(h2test.Get(1))
			p.answer(1, true)
		},
		send: func(p *peer, i int) { p.send(h2test.RST(1, frame.Cancel)) },
	},
	{
		name: "DATA on a stream that was skipped", burst: 1000, rate: 100, text: "too_many_glitches",
		setup: func(p *peer) { p.send(h2test.Get(3)) },
		send:  func(p *peer, i int) { p.send(h2test.Data(1, "x")) },
	},
	{
		name: "empty DATA", burst: 100, rate: 10, text: "too_many_data_frames",
		setup: func(p *peer) { p.send(h2test.GetOpen(1)) },
		send:  func(p *peer, i int) { p.send(h2test.Data(1, "")) },
	},
	{
		name: "DATA that is all padding", burst: 100, rate: 10, text: "too_many_data_frames",
		setup: func(p *peer) { p.send(h2test.GetOpen(1)) },
		send:  func(p *peer, i int) { p.send(h2test.Frame(frame.TypeData, 8, 1, 0)) },
	},
}

func (tt *limitTest) begin(t *testing.T) *peer {
	p := newPeer(t, tt.role, func(cfg *Config) {
		cfg.Limits, cfg.EnablePush, cfg.MaxConcurrentStreams = tt.limits, tt.role == Client, 1<<20
	})
	if tt.setup != nil {
		tt.setup(p)
	}
	// SETTINGS, PING and what else the beginning has cost is forgiven.
	p.now = p.now.Add(time.Hour)
	return p
}

func TestRates(t *testing.T) {
	for _, tt := range rateTests {
		t.Run(tt.name, func(t *testing.T) {
			p, n := tt.begin(t), 0
			some := func(times int, why string) {
				for range times {
					tt.send(p, n)
					n++
				}
				p.alive(why)
			}
			some(tt.free+tt.burst, "the burst")
			p.now = p.now.Add(time.Second)
			some(tt.rate, "a second later")
			p.now = p.now.Add(time.Hour)
			some(tt.burst, "the bucket is full again")
			tt.send(p, n)
			p.wantDead("over the limit", frame.EnhanceYourCalm, tt.text)
		})
	}
}

// The first SETTINGS is no glitch.
func TestFirstSettings(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.GlitchBurst = 1 })
	p.send(h2test.Ping("12345678"))
	p.alive("the first glitch")
	p.send(h2test.Ping("12345678"))
	p.wantDead("the second", frame.EnhanceYourCalm, "too_many_glitches")
}

// A negative burst is no limit.
func TestNoRates(t *testing.T) {
	for _, tt := range rateTests {
		t.Run(tt.name, func(t *testing.T) {
			tt.limits = Limits{ResetBurst: -1, GlitchBurst: -1, EmptyBurst: -1}
			p := tt.begin(t)
			for n := range 3000 {
				tt.send(p, n)
			}
			p.alive("no limit")
		})
	}
}

// What the peer sent before it learned of our RST_STREAM is not charged.
func TestCrossedResets(t *testing.T) {
	t.Run("one stream", func(t *testing.T) {
		p := newPeer(t, Server)
		p.send(h2test.GetOpen(1))
		p.c.Reset(p.stream(1), frame.Cancel)
		for range many {
			p.send(h2test.Data(1, "x"), h2test.Data(1, ""), h2test.WindowUpdate(1, 1))
		}
		p.send(h2test.Trailers(1, "x: y"), h2test.RST(1, frame.Cancel))
		p.alive("all may have crossed our RST_STREAM")
	})
	t.Run("trailers of all streams", func(t *testing.T) {
		p := newPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 1000 })
		for i := range 1000 {
			p.send(h2test.GetOpen(ids(i)))
		}
		for i := range 1000 {
			p.c.Reset(p.stream(ids(i)), frame.Cancel)
		}
		for i := range 1000 {
			p.send(h2test.Data(ids(i), "x"), h2test.Trailers(ids(i), "x: y"))
		}
		p.alive("they were all open when the peer sent that")
	})
	t.Run("requests that we cancel", func(t *testing.T) {
		p := newPeer(t, Client)
		for i := range many {
			id := p.open(true)
			p.c.Reset(p.stream(id), frame.Cancel)
			if i%2 == 0 {
				p.send(h2test.WindowUpdate(id, 1), h2test.Response(id, 200))
			}
		}
		p.take()
		p.takeEvents()
		p.outcome()
		for i := range many {
			p.send(h2test.Response(ids(i), 200), h2test.Data(ids(i), "late"), h2test.Trailers(ids(i), "x: y"))
		}
		p.send(h2test.RST(1, frame.NoError))
		p.wantQuiet("late answers are dropped, also those to streams that are forgotten")
		wantAccounts(t, p.c)
	})
}

const many = 5000

// Nor is what is none of the peer's doing, or what peers do.
func TestNotCharged(t *testing.T) {
	t.Run("streams of ours that the server refuses", func(t *testing.T) {
		p := newPeer(t, Client)
		for range many {
			p.send(h2test.RST(p.open(true), frame.RefusedStream))
		}
		p.alive("a refusal costs the server nothing")
	})
	t.Run("streams that the application resets", func(t *testing.T) {
		p := newPeer(t, Server)
		for i := range many {
			p.send(h2test.GetOpen(ids(i)))
			p.c.Reset(p.stream(ids(i)), frame.InternalError)
		}
		p.alive("our own will")
	})
	t.Run("requests and answers", func(t *testing.T) {
		p := newPeer(t, Server)
		for i := range many {
			p.send(h2test.GetOpen(ids(i)), h2test.DataEnd(ids(i), "x"))
			p.consume(ids(i), 1)
			p.answer(ids(i), true)
		}
		p.alive("the life of a server")
	})
}

// A reader that is always a little behind is charged for what is unread, not for all that ever was.
func TestSmallDataIsForgiven(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxSmallData = 10 })
	p.send(h2test.GetOpen(1), h2test.Data(1, "12345"))
	for range many {
		p.send(h2test.Data(1, "12345"), h2test.Data(1, "12345"))
		p.consume(1, 10)
	}
	p.alive("the reader lags behind by no more than a frame")
	if n := p.c.limit.smallData; int(n) != p.stream(1).recv.smallData || n > 10 {
		t.Errorf("%d small frames are unread, %d of the stream", n, p.stream(1).recv.smallData)
	}
	p.consume(1, -1)
	if n := p.c.limit.smallData; n != 0 {
		t.Errorf("%d small frames are unread when all is read", n)
	}
}
