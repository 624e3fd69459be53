package core

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Rapid reset (CVE-2023-44487): above the limit nothing new is processed, what runs goes on, and
// a client that does not stop is cut off.
func TestRapidReset(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1)) // an upload, and a download
	p.send(h2test.Get(3))
	n := 2
	attack := func(until func() bool) (rounds int) {
		for ; p.err == nil && !until() && rounds < 20_000; rounds++ {
			p.out, p.events = nil, nil
			p.send(h2test.Get(ids(n)), h2test.RST(ids(n), frame.Cancel))
			n++
		}
		return rounds
	}
	if rounds := attack(func() bool { return p.c.State().Draining }); rounds != 4001 {
		t.Errorf("drained after %d resets, want 4001", rounds)
	}
	last := ids(n - 1)
	p.want("GOAWAY", `GOAWAY 8005 NO_ERROR "too_many_resets"`)
	if last != 8005 {
		t.Errorf("the last stream is %d", last)
	}
	p.outcome()
	if p.c.Drained() {
		t.Error("drained although streams run")
	}
	p.send(h2test.Get(ids(n))) // may have crossed our GOAWAY
	p.wantQuiet("not processed")
	n++
	p.send(h2test.DataEnd(1, "the rest"))
	p.consume(1, -1)
	p.answer(1, true)
	p.answer(3, true)
	p.alive("what runs may end")
	p.outcome()
	if p.c.Drained() {
		t.Error("the client has no time to close")
	}
	if rounds := attack(func() bool { return false }); rounds != minAfterDrain {
		t.Errorf("cut off after %d more streams, want %d", rounds, minAfterDrain)
	}
	p.wantDead("it goes on", frame.EnhanceYourCalm, "too_many_resets")
}

// A client that heeds the GOAWAY has a second to close; then the connection is over.
func TestForcedDrainEnds(t *testing.T) {
	for _, busy := range []bool{false, true} {
		p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.ResetBurst = 1 })
		p.send(h2test.Get(1), h2test.Get(3), h2test.RST(3, frame.Cancel))
		p.alive("within the limit")
		p.send(h2test.Get(5), h2test.RST(5, frame.Cancel))
		p.outcome()
		if !busy {
			p.answer(1, true)
		}
		if at, ok := p.c.Deadline(); !ok || at.After(p.now.Add(drainLinger)) {
			t.Errorf("the next deadline is %v, %v", at, ok)
		}
		p.tick(drainLinger)
		if p.c.Drained() == busy {
			t.Errorf("after a second, busy %v: drained is %v", busy, p.c.Drained())
		}
		if busy {
			p.answer(1, true)
		}
		if !p.c.Drained() {
			t.Error("not drained after the end of the last stream")
		}
		p.alive("a drain")
	}
}

// The budget is refilled by time, and by responses.
func TestResetBudget(t *testing.T) {
	p := newPeer(t, Server)
	n := 0
	resets := func(times int) {
		for range times {
			p.send(h2test.Get(ids(n)), h2test.RST(ids(n), frame.Cancel))
			n++
		}
		p.out, p.events = nil, nil
	}
	draining := func(why string, want bool) {
		t.Helper()
		if p.c.State().Draining != want {
			t.Fatalf("%s: draining is %v", why, p.c.State().Draining)
		}
	}
	resets(4000)
	draining("the burst", false)
	p.now = p.now.Add(time.Second)
	resets(1000)
	draining("a second later", false)
	for range 100 {
		p.send(h2test.Get(ids(n)))
		p.answer(ids(n), true)
		n++
	}
	resets(100)
	draining("as many as were answered", false)
	resets(1)
	draining("one more", true)
}
