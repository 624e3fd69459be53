package core

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

const (
	tunePingLine = `PING "sluicebd"`
	tuneRTT      = 100 * time.Millisecond
)

var tuneAck = frame.Ping{Ack: true, Data: rttPing}

// newTunedPeer begins a connection over a path of 100 ms whose windows of 64 KiB may grow by 1 MiB.
func newTunedPeer(tb testing.TB, role Role, change ...func(*Config)) *peer {
	tb.Helper()
	p := newSilentPeer(tb, role, append([]func(*Config){func(cfg *Config) { cfg.WindowGrowth = 1 << 20 }}, change...)...)
	p.greet()
	p.now = p.now.Add(tuneRTT)
	p.send(frame.Settings{Ack: true})
	p.alive("the exchange of SETTINGS")
	p.out, p.events = nil, nil
	return p
}

// round is a round trip in which the peer sends what it may once.
func (p *peer) round(id uint32) {
	p.tb.Helper()
	left := min(frame.DefaultWindow-p.spent+p.granted[0], int64(p.stream(id).recv.window.Available()))
	begun := p.now
	for ; left > 0; left -= 16384 {
		p.send(h2test.DataOf(id, int(min(left, 16384))))
		p.consume(id, -1)
		p.now = p.now.Add(100 * time.Microsecond)
	}
	p.alive("DATA within the windows")
	p.now = later(p.now, begun.Add(tuneRTT))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (p *peer) pings() (n int) {
	for _, line := range p.out {
		if strings.HasPrefix(line, "PING") {
			n++
		}
	}
	p.out = nil
	return n
}

// A stream that is read as fast as it comes gets a larger window, and the connection with it, up to
// the limit; something is left for the next, and all of it again when the first is over.
func TestWindowsGrow(t *testing.T) {
	p := newTunedPeer(t, Server)
	p.send(h2test.GetOpen(1))
	for range 10 {
		p.round(1)
	}
	const most = 1<<20 - 1<<17 // an eighth stays
	size, grown := p.c.RecvWindow()
	if s := p.stream(1).recv.window.Size(); s != frame.DefaultWindow+most || grown != most ||
		size != frame.DefaultWindow+1<<20 {
		t.Fatalf("the stream's window is %d, grown by %d, the connection's %d", s, grown, size)
	}
	p.wantLedger("grown")
	if p.c.RTT() != tuneRTT {
		t.Errorf("RTT = %v", p.c.RTT())
	}
	p.send(h2test.GetOpen(3))
	for range 10 {
		p.round(3)
	}
	if s := p.stream(3).recv.window.Size(); s != frame.DefaultWindow+(1<<17-1<<14) {
		t.Errorf("the window of a second stream is %d, want an eighth less than what was left", s)
	}
	p.send(h2test.DataEnd(1, "x"))
	if _, grown := p.c.RecvWindow(); grown < most {
		t.Error("what is unread still counts")
	}
	p.consume(1, -1)
	if _, grown := p.c.RecvWindow(); grown != 1<<17-1<<14 {
		t.Errorf("%d octets of growth when the first stream has ended", grown)
	}
	for range 10 {
		p.round(3)
	}
	if s := p.stream(3).recv.window.Size(); s != frame.DefaultWindow+most {
		t.Errorf("the window of the second stream is %d when the first is over", s)
	}
	p.send(h2test.RST(3, frame.Cancel))
	if _, grown := p.c.RecvWindow(); grown != 0 {
		t.Errorf("%d octets of growth are left of a stream that was reset", grown)
	}
	p.wantLedger("at the end")
}

// Streams that are read at the same time get equal shares of the growth, in whatever order they are
// read, and those that are not read leave theirs to the others.
func TestGrowthIsShared(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 7))
		readers, idle := 1+rng.IntN(8), rng.IntN(20)
		p := newTunedPeer(t, Server, func(cfg *Config) { cfg.ConnWindow = 64 << 20 })
		for i := range readers + idle {
			p.send(h2test.GetOpen(ids(i)))
		}
		p.send(tuneAck)
		order := rng.Perm(readers + idle)[:readers]
		for range 10 {
			begun := p.now
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for credit := true; credit && p.now.Before(begun.Add(tuneRTT)); p.now = p.now.Add(time.Millisecond) {
				credit = false
				for _, i := range order {
					if n := min(p.stream(ids(i)).recv.window.Available(), 16384); n > 0 {
						p.send(h2test.DataOf(ids(i), int(n)))
						p.consume(ids(i), -1)
						credit = true
					}
				}
			}
			p.alive("DATA within the windows")
			p.now = later(p.now, begun.Add(tuneRTT))
		}
		least, most := uint32(1<<31), uint32(0)
		for _, i := range order {
			grown := p.stream(ids(i)).recv.window.Size() - frame.DefaultWindow
			least, most = min(least, grown), max(most, grown)
		}
		if fair := uint32(1<<20) / uint32(readers); least < fair*3/4 || most > fair {
			t.Errorf(
				"seed %d: %d streams that are read, and %d others, have grown by %d to %d octets, want %d",
				seed,
				readers,
				idle,
				least,
				most,
				fair,
			)
		}
		if _, grown := p.c.RecvWindow(); grown >= 1<<20 {
			t.Errorf("seed %d: nothing is left", seed)
		}
	}
}

// Many streams that share the connection's window have it grow, though each has room enough.
func TestConnWindowGrowsAlone(t *testing.T) {
	p := newTunedPeer(t, Server, func(cfg *Config) { cfg.StreamWindow = 10 << 20 })
	for i := range 10 {
		p.send(h2test.GetOpen(ids(i)))
	}
	for range 5 {
		for i := range 10 {
			p.send(h2test.DataOf(ids(i), 6000))
			p.consume(ids(i), -1)
		}
		p.now = p.now.Add(tuneRTT)
	}
	if size, grown := p.c.RecvWindow(); size <= 2*frame.DefaultWindow || grown != 0 {
		t.Errorf("the connection's window is %d, streams have grown by %d", size, grown)
	}
}

func TestFixedWindows(t *testing.T) {
	p := newTunedPeer(t, Server, func(cfg *Config) { cfg.WindowGrowth = 0 })
	p.send(h2test.GetOpen(1))
	p.outcome()
	for range 300 {
		p.round(1)
		p.now = p.now.Add(tuneRTT)
	}
	if n := p.pings(); n != 0 {
		t.Errorf("%d PINGs", n)
	}
	if size, grown := p.c.RecvWindow(); size != frame.DefaultWindow || grown != 0 ||
		p.stream(1).recv.window.Size() != frame.DefaultWindow {
		t.Errorf("the connection's window is %d, streams have grown by %d", size, grown)
	}
}

// What is sent on a hundred streams that are not read is bounded as ever, whatever the peer
// answers.
func TestUnreadStreamsDoNotGrow(t *testing.T) {
	p := newTunedPeer(t, Server, func(cfg *Config) { cfg.MaxUnread = 2 << 20 })
	for i := range 100 {
		p.send(h2test.GetOpen(ids(i)))
	}
	for range 20 {
		for i := range 100 {
			window := int64(p.stream(ids(i)).recv.window.Available())
			if room := min(frame.DefaultWindow-p.spent+p.granted[0], window, 4096); room > 0 {
				p.send(h2test.DataOf(ids(i), int(room)))
			}
		}
		p.now = p.now.Add(tuneRTT)
		p.send(tuneAck)
	}
	p.alive("unread")
	if size, grown := p.c.RecvWindow(); size != frame.DefaultWindow || grown != 0 {
		t.Errorf("the connection's window is %d, streams have grown by %d", size, grown)
	}
	if got, most := p.c.State().Unread, int64(2<<20+frame.DefaultWindow); got > most || got < most-16384 {
		t.Errorf("%d octets are unread, want about %d", got, most)
	}
	p.wantLedger("unread")
}

// A peer that has its windows grow and is not read after that fills what they have grown by, no
// more.
func TestGrownStreamsStayWithinTheBudget(t *testing.T) {
	p := newTunedPeer(t, Server, func(cfg *Config) { cfg.MaxUnread = 2 << 20 })
	for i := range 100 {
		p.send(h2test.GetOpen(ids(i)))
	}
	for range 10 {
		for i := range 100 {
			p.round(ids(i))
		}
	}
	size, grown := p.c.RecvWindow()
	if most := int64(frame.DefaultWindow + 1<<20); size != most || grown != 1<<20 {
		t.Fatalf("the connection's window is %d, streams have grown by %d", size, grown)
	}
	sum := 0
	for i := range 100 {
		sum += int(p.stream(ids(i)).recv.window.Size())
	}
	if sum != 100*frame.DefaultWindow+1<<20 {
		t.Errorf("the windows of all streams have %d octets", sum)
	}
	for i := range 100 {
		for {
			room := min(frame.DefaultWindow-p.spent+p.granted[0], int64(p.stream(ids(i)).recv.window.Available()), 16384)
			if room <= 0 {
				break
			}
			p.send(h2test.DataOf(ids(i), int(room)))
		}
	}
	if got, most := p.c.State().Unread, int64(2<<20)+size; got > most {
		t.Errorf("%d octets are unread, want %d at most", got, most)
	}
}

// Answers that are late, forged, or never come, buy nothing but the limit.
func TestHostileAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		greet  time.Duration // until SETTINGS are acknowledged
		answer func(p *peer)
	}{
		{"late SETTINGS", 9 * time.Second, func(*peer) {}},
		{"no answers", tuneRTT, func(*peer) {}},
		{"late answers", tuneRTT, func(p *peer) { p.now = p.now.Add(time.Hour); p.send(tuneAck) }},
		{"answers ahead of time", time.Microsecond, func(p *peer) { p.send(tuneAck) }},
		{"many answers", tuneRTT, func(p *peer) { p.send(tuneAck, tuneAck, tuneAck) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newSilentPeer(t, Server, func(cfg *Config) { cfg.WindowGrowth, cfg.Limits.GlitchBurst = 1<<20, -1 })
			p.greet()
			p.now = p.now.Add(tt.greet)
			p.send(frame.Settings{Ack: true})
			for i := range 5 {
				p.send(h2test.GetOpen(ids(i)))
			}
			for range 50 {
				for i := range 5 {
					p.round(ids(i))
				}
				tt.answer(p)
			}
			size, grown := p.c.RecvWindow()
			if size > frame.DefaultWindow+1<<20 || grown > 1<<20 {
				t.Errorf("the connection's window is %d, streams have grown by %d", size, grown)
			}
			if rtt := p.c.RTT(); rtt > 4*time.Second {
				t.Errorf("RTT = %v", rtt)
			}
			p.wantLedger("all the same")
		})
	}
}

// An answer to nothing is a glitch like any.
func TestForgedAnswersAreCharged(t *testing.T) {
	p := newTunedPeer(t, Client, func(cfg *Config) { cfg.Limits.GlitchBurst = 10 })
	for range 10 {
		p.send(tuneAck)
	}
	p.alive("ten glitches")
	p.send(tuneAck)
	p.wantDead("and one", frame.EnhanceYourCalm, "glitches")
}

// The path is measured while DATA arrives in bulk, in the second round and every ten seconds, one
// PING at a time, and never twice without DATA of the peer after the first answer: a peer
// that bounds PINGs has none to count.
func TestTunePings(t *testing.T) {
	p := newTunedPeer(t, Client, func(cfg *Config) { cfg.WindowGrowth = 1 << 30; cfg.ConnWindow = 1 << 20 })
	p.open(true)
	p.send(h2test.Response(1, 200))
	p.outcome()
	p.send(h2test.DataOf(1, 10_000))
	p.consume(1, -1)
	p.now = p.now.Add(tuneRTT)
	p.send(h2test.DataOf(1, 10_000))
	p.consume(1, -1)
	p.want("too little to care")
	feed := func(d time.Duration, answer bool) (pings int) {
		for range d / tuneRTT {
			p.send(h2test.DataOf(1, 16384), h2test.DataOf(1, 16384))
			p.consume(1, -1)
			p.now = p.now.Add(tuneRTT)
			n := p.pings()
			if pings += n; n > 0 && answer {
				p.send(tuneAck)
			}
		}
		return pings
	}
	if n := feed(time.Minute, false); n != 1 {
		t.Fatalf("%d PINGs without an answer", n)
	}
	p.send(tuneAck)
	p.tick(time.Hour)
	if n := p.pings(); n != 0 {
		t.Fatalf("%d PINGs without DATA", n)
	}
	if n := feed(time.Minute, true); n < 5 || n > 6 {
		t.Errorf("%d PINGs in a minute", n)
	}
	for _, e := range p.events {
		if !strings.HasPrefix(e, "data") {
			t.Errorf("event %q", e)
		}
	}
}

// Nothing is measured once nothing can grow any more.
func TestNoTunePingsAtTheLimit(t *testing.T) {
	p := newTunedPeer(t, Server)
	p.send(h2test.GetOpen(1))
	for range 5 {
		p.round(1)
		p.send(tuneAck)
	}
	p.outcome()
	for range 600 {
		p.round(1)
	}
	if n := p.pings(); n != 0 {
		t.Errorf("%d PINGs", n)
	}
}

// Two of our own in bulk, at both ends of a slow link, charge each other nothing.
func TestTunePingsAreFree(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.GlitchBurst = 3 })
	p.send(
		h2test.GetOpen(1),
		h2test.WindowUpdate(0, 1<<30),
		h2test.WindowUpdate(1, 1<<30),
	) // two glitches: no DATA was sent
	p.answer(1, false)
	for i := range 1000 {
		p.queue(1, 1000, false)
		p.send(frame.Ping{Data: rttPing})
		p.alive(fmt.Sprintf("PING %d", i))
	}
}

func TestNoAllocationsWhileTuning(t *testing.T) {
	p := newTunedPeer(t, Server, func(cfg *Config) { cfg.WindowGrowth = 1 << 30 })
	p.send(h2test.GetOpen(1))
	s := p.stream(1)
	b := h2test.DataOf(1, 16000).Append(nil)
	ack := tuneAck.Append(nil)
	out := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(1000, func() {
		for range 3 {
			p.now = p.now.Add(time.Millisecond)
			if _, _, err := p.c.Receive(b, p.now); err != nil {
				t.Fatal(err)
			}
			for e, ok := p.c.NextEvent(); ok; e, ok = p.c.NextEvent() {
				if p.c.Consume(s, len(e.Data)) {
					p.c.Tune(s, p.now)
				}
			}
		}
		if p.c.pings.rtt {
			if _, _, err := p.c.Receive(ack, p.now); err != nil {
				t.Fatal(err)
			}
		}
		out = p.c.Output(out)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, grown := p.c.RecvWindow(); grown == 0 {
		t.Error("nothing has grown")
	}
}

// A peer that was busy when it got our SETTINGS is asked again before the first round, of four
// seconds, is over.
func TestLateSettingsAreCorrected(t *testing.T) {
	p := newSilentPeer(t, Server, func(cfg *Config) { cfg.WindowGrowth = 1 << 30 })
	p.greet()
	p.now = p.now.Add(9 * time.Second)
	p.send(frame.Settings{Ack: true}, h2test.GetOpen(1))
	if p.c.RTT() != 4*time.Second {
		t.Fatalf("RTT = %v", p.c.RTT())
	}
	p.outcome()
	p.send(h2test.DataOf(1, 16384))
	p.consume(1, -1)
	p.send(h2test.DataOf(1, 16384))
	p.want("a quarter of the window was consumed", tunePingLine, "WINDOW_UPDATE 0 32768")
	p.now = p.now.Add(tuneRTT)
	p.send(tuneAck)
	if p.c.RTT() != tuneRTT {
		t.Errorf("RTT = %v", p.c.RTT())
	}
}
