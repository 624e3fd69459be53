package core

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// deadline checks when Tick wants to be called next; 0 is never.
func (p *peer) deadline(why string, in time.Duration) {
	p.tb.Helper()
	at, ok := p.c.Deadline()
	if ok != (in > 0) || ok && !at.Equal(p.now.Add(in)) {
		p.tb.Fatalf("%s: the deadline is in %v (%v), want %v", why, at.Sub(p.now), ok, in)
	}
}

func TestNoTimeouts(t *testing.T) {
	p := newPeer(t, Server)
	p.deadline("nothing is limited", 0)
	p.tick(1000 * time.Hour)
	p.wantQuiet("nothing is limited")
}

func TestPrefaceTimeout(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		limited := func(cfg *Config) { cfg.PrefaceTimeout = 10 * time.Second }
		p := newSilentPeer(t, role, limited)
		p.deadline("from the start", 10*time.Second)
		if role == Server {
			p.send(frame.Preface[:10])
		}
		p.tick(10*time.Second - 1)
		p.alive("not yet")
		p.tick(1)
		p.wantDead("no SETTINGS", frame.ProtocolError, "preface")

		p = newSilentPeer(t, role, limited)
		p.tick(10*time.Second - 1)
		p.greet()
		p.deadline("the preface is there", 0)
		p.tick(time.Hour)
		p.alive("just in time")
	}
}

func TestSettingsTimeout(t *testing.T) {
	limited := func(cfg *Config) { cfg.SettingsTimeout = 10 * time.Second }
	p := newSilentPeer(t, Server, limited)
	p.greet()
	p.send(h2test.Get(1))
	p.tick(10*time.Second - 1)
	p.alive("not yet")
	p.tick(1)
	p.wantDead("no acknowledgement", frame.SettingsTimeout, "RFC 9113 §6.5.3")

	p = newPeer(t, Server, limited)
	p.deadline("acknowledged", 0)
	p.tick(time.Hour)
	p.alive("acknowledged")
}

// partial calls SetPartial as a caller does that has read all that was sent.
func (p *peer) partial() {
	p.tb.Helper()
	p.c.SetPartial(p.rest, p.now)
}

// begunFrame is the beginning of an unknown frame of so many octets, with its header.
func begunFrame(length int) []byte {
	return frame.Header{Length: uint32(length - frame.HeaderLen), Type: 0xbe, StreamID: 1}.Append(nil)
}

func TestHeaderTimeout(t *testing.T) {
	limited := func(cfg *Config) { cfg.HeaderTimeout = 10 * time.Second }
	t.Run("a frame header", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send("\x00")
		p.partial()
		p.deadline("an octet of a frame header", 10*time.Second)
		p.tick(9 * time.Second)
		p.send("\x00\x00")
		p.partial()
		p.deadline("counted from the first octet", time.Second)
		p.tick(time.Second)
		p.wantDead("the frame is not complete", frame.EnhanceYourCalm, "in time")
	})
	t.Run("a large frame", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		b := h2test.DataOf(1, 4096).Append(nil)
		p.send(h2test.GetOpen(1))
		p.send(b[:5])
		p.partial()
		p.tick(9 * time.Second)
		p.send(b[5:100])
		p.partial()
		p.deadline("a second more for each KiB", 5*time.Second)
		p.send(b[100:])
		p.partial()
		p.deadline("complete", 0)
	})
	t.Run("a header block in drips", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send(h2test.GetOpen(1).Open())
		p.partial()
		for range 5 {
			p.tick(2*time.Second - 1)
			p.send(h2test.Frame(frame.TypeContinuation, 0, 1, 0x82))
			p.partial()
		}
		p.alive("not yet")
		p.tick(5)
		p.wantDead("whole frames do not help", frame.EnhanceYourCalm, "in time")
	})
	// Reads of a busy peer always end within some frame.
	t.Run("one frame after the other", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send(h2test.GetOpen(1))
		b := h2test.DataOf(1, 500).Append(nil)
		half := b[:200]
		p.send(half)
		for range 100 {
			p.partial()
			p.tick(time.Second)
			p.send(b[200:], half)
			p.consume(1, -1)
		}
		p.alive("each frame is complete in a second")
		p.partial()
		p.deadline("counted anew", 10*time.Second)
	})
}

func TestIdleTimeout(t *testing.T) {
	limited := func(cfg *Config) { cfg.IdleTimeout = time.Minute }
	t.Run("never used", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.deadline("from the start", time.Minute)
		p.tick(time.Minute - 1)
		p.wantQuiet("not yet")
		p.tick(1)
		p.want("two steps", firstGoAway, drainPingLine)
		p.deadline("the second step is all that is due", time.Second)
	})
	t.Run("after a response", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send(h2test.Get(1))
		p.deadline("a stream is open", 0)
		p.tick(time.Hour)
		p.answer(1, true)
		p.c.SetTime(p.now)
		p.deadline("from the end of the last stream", time.Minute)
	})
	t.Run("the time is told after the stream has ended", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send(h2test.Get(1))
		p.now = p.now.Add(time.Hour)
		p.answer(1, true)
		p.c.SetTime(p.now)
		p.deadline("from the end of the last stream", time.Minute)
		p.now = p.now.Add(time.Second)
		p.c.SetTime(p.now)
		p.deadline("from the end still", 59*time.Second)
	})
	t.Run("the peer ends it", func(t *testing.T) {
		p := newPeer(t, Server, limited)
		p.send(h2test.Get(1))
		p.now = p.now.Add(time.Hour)
		p.send(h2test.RST(1, frame.Cancel))
		p.now = p.now.Add(time.Second)
		p.c.SetTime(p.now)
		p.deadline("from its RST_STREAM", 59*time.Second)
	})
}

func TestKeepalive(t *testing.T) {
	limited := func(cfg *Config) { cfg.PingInterval, cfg.PingTimeout = time.Minute, 15*time.Second }
	p := newPeer(t, Server, limited)
	p.deadline("from the last frame", time.Minute)
	p.tick(30 * time.Second)
	p.send(h2test.Get(1))
	p.outcome()
	p.tick(time.Minute - 1)
	p.want("something has arrived")
	p.tick(1)
	p.want("nothing has arrived", `PING "sluiceka"`)
	p.deadline("for the answer", 15*time.Second)
	p.tick(15*time.Second - 1)
	p.want("one PING at a time")
	p.send(h2test.Data(1, "any frame is a sign of life"))
	p.tick(time.Second)
	p.alive("the peer lives")
	p.outcome()
	p.tick(time.Minute)
	p.want("once more", `PING "sluiceka"`)
	p.tick(15 * time.Second)
	p.wantDead("no answer", frame.NoError, "PING not answered")
}

// stall has a response of n octets wait behind a window of w, with a StallTimeout of a minute.
func stall(t *testing.T, w uint32, n int) *peer {
	t.Helper()
	p := newPeer(t, Server, func(cfg *Config) { cfg.StallTimeout = time.Minute })
	p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, w)), h2test.Get(1))
	p.answer(1, false)
	p.queue(1, n, true)
	p.outcome()
	return p
}

// wantStalled checks that stream 1 has just been reset for its stall, and only that.
func (p *peer) wantStalled(why string) {
	p.tb.Helper()
	if got, want := p.outcome(), "RST_STREAM 1 CANCEL; reset 1 local CANCEL; closed 1"; got != want {
		p.tb.Errorf("%s: got %q, want %q", why, got, want)
	}
}

func TestStallTimeout(t *testing.T) {
	p := stall(t, 0, 1<<20)
	p.deadline("from the first wait", time.Minute)
	p.tick(time.Minute - 1)
	p.wantQuiet("not yet")
	p.tick(1)
	p.wantStalled("a window of 0")
	p.deadline("nobody waits", 0)

	p = stall(t, 1<<20, 1<<20) // 65535 octets go
	p.tick(time.Minute)
	p.wantQuiet("it has made progress")
	p.tick(time.Minute)
	p.wantStalled("a window of the connection of 0")
}

// A window that opens octet by octet stalls as well, and one that opens by 64 a second does not.
func TestStallDrips(t *testing.T) {
	p := stall(t, 0, 1<<20)
	for range 12 {
		p.send(h2test.WindowUpdate(1, 1))
		p.flush()
		p.tick(5 * time.Second)
	}
	p.wantEvents("drips", "reset 1 local CANCEL", "closed 1")

	p = stall(t, 0, 1<<20)
	for range 120 {
		p.send(h2test.WindowUpdate(1, 64*5))
		p.flush()
		p.tick(5 * time.Second)
	}
	p.wantEvents("slow and steady")
}

// Each stream has a time of its own.
func TestStallsApart(t *testing.T) {
	p := stall(t, 0, 1<<20)
	p.tick(30 * time.Second)
	p.send(h2test.Get(3))
	p.answer(3, false)
	p.queue(3, 100, true)
	p.send(h2test.WindowUpdate(1, 10_000))
	p.flush()
	p.tick(30 * time.Second)
	p.deadline("stream 3, whose minute is half over", 30*time.Second)
	p.outcome()
	p.tick(30 * time.Second)
	p.want("stream 3", "RST_STREAM 3 CANCEL")
	p.outcome()
	p.deadline("stream 1, counted anew when its minute was over", 30*time.Second)
	p.tick(30 * time.Second)
	p.wantStalled("stream 1")
}

func TestStallBeginsLate(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.StallTimeout = time.Minute })
	p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 0)), h2test.Get(1))
	p.answer(1, false)
	p.now = p.now.Add(time.Hour)
	p.c.SetTime(p.now)
	p.queue(1, 100, true)
	p.deadline("from Queue", time.Minute)
	if n := p.c.Unqueue(p.stream(1)); n != 100 {
		t.Errorf("%d octets were taken back", n)
	}
	p.outcome()
	p.tick(time.Minute)
	p.wantQuiet("what was taken back does not stall")
	p.deadline("nothing waits", 0)
}
