package core

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// CONTINUATION floods (VU#421644).
func TestContinuationFlood(t *testing.T) {
	flood := func(p *peer, n int, fragment string) {
		p.send(h2test.GetOpen(1).Open())
		for range n {
			if p.err != nil {
				return
			}
			p.send(frame.Continuation{StreamID: 1, Fragment: []byte(fragment)})
		}
		if p.err == nil {
			p.send(frame.Continuation{StreamID: 1, EndHeaders: true, Fragment: []byte(fragment)})
		}
	}
	t.Run("frames", func(t *testing.T) {
		// With one octet each, sixteen of which pay for one more. The request has 5.
		p := newPeer(t, Server)
		flood(p, 66, "\x82")
		p.alive("as many as allowed")
		p = newPeer(t, Server)
		flood(p, 100, "\x82")
		p.wantDead("too many", frame.EnhanceYourCalm, "too_many_continuations")
	})
	t.Run("empty frames", func(t *testing.T) {
		p := newPeer(t, Server)
		flood(p, 31, "")
		p.alive("32 count as 64")
		p = newPeer(t, Server)
		flood(p, 33, "")
		p.wantDead("34 count as 68", frame.EnhanceYourCalm, "too_many_continuations")
	})
	t.Run("octets", func(t *testing.T) {
		p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxContinuations = -1 })
		flood(p, 1000, "\x00\x01a\x7f\x81\x7c"+strings.Repeat("y", 16000)) // a: yyy…
		p.wantDead("twice the list", frame.EnhanceYourCalm, "header block too long")
		if got := p.c.Counts().FramesIn; got > 12 {
			t.Errorf("it took %d frames", got)
		}
	})
	t.Run("a large list has room", func(t *testing.T) {
		p := newPeer(t, Server, func(cfg *Config) { cfg.MaxHeaderBytes, cfg.MaxHeaderFields = 1<<20, 10000 })
		p.send(h2test.GetOpen(1, "x: "+strings.Repeat("\x7e", 300_000)).Cut(30).End())
		p.wantEvents("a block within the limits", "headers 1 GET / x="+strings.Repeat("\x7e", 300_000)+" end")
	})
	t.Run("no limit", func(t *testing.T) {
		p := newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxContinuations = -1 })
		flood(p, 1000, "")
		p.alive("no limit")
	})
}

// Answers that pile up while the peer does not read (CVE-2019-9512, CVE-2019-9515).
func TestQueuedAnswers(t *testing.T) {
	begin := func(limit int) *peer {
		p := newPeer(t, Server, func(cfg *Config) {
			cfg.Limits = Limits{GlitchBurst: -1, ResetBurst: -1, MaxQueuedControl: limit}
		})
		return p
	}
	for name, f := range map[string]any{
		"PING": h2test.Ping("12345678"), "SETTINGS": h2test.Settings(), "resets": h2test.Frame(frame.TypePriority, 0, 1),
	} {
		many := func(p *peer, n int) {
			var list []any
			for range n {
				list = append(list, f)
			}
			p.send(list...)
		}
		t.Run(name, func(t *testing.T) {
			p := begin(0)
			p.send(h2test.GetOpen(1))
			many(p, 1000)
			p.alive("as many as allowed")
			many(p, 1000)
			p.alive("the output was taken")
			many(p, 1001)
			p.wantDead("too many", frame.EnhanceYourCalm, "too_many_queued_answers")
			p = begin(-1)
			p.send(h2test.GetOpen(1))
			many(p, 5000)
			p.alive("no limit")
		})
	}
}

func TestSettingsFlood(t *testing.T) {
	many := func(n int) frame.Settings {
		var list []frame.Setting
		for i := range n {
			list = append(list, setting(frame.SettingID(i), 0x4000))
		}
		list[frame.SettingEnablePush].Value = 0
		list[frame.SettingEnableConnectProtocol].Value = 0
		list[frame.SettingNoRFC7540Priorities].Value = 0
		return h2test.Settings(list...)
	}
	p := newPeer(t, Server)
	p.send(many(32))
	p.alive("32 are allowed")
	p.send(many(33))
	p.wantDead("33 are not", frame.EnhanceYourCalm, "too_many_settings")
	p = newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxSettings = -1 })
	p.send(many(2000))
	p.alive("no limit")
}

// Frames of one octet each that are not read cost more memory than they hold.
func TestTinyDataFlood(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1))
	for range 50_001 { // the first lies alone
		p.send(h2test.Data(1, "x"))
	}
	p.alive("as many as allowed")
	p.send(h2test.Data(1, "x"))
	p.wantDead("one more", frame.EnhanceYourCalm, "too_many_data_frames")

	p = newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxSmallData = -1 })
	p.send(h2test.GetOpen(1))
	for range 60_000 {
		p.send(h2test.Data(1, "x"))
	}
	p.alive("no limit")

	p = newPeer(t, Server, func(cfg *Config) { cfg.Limits.MaxSmallData = 3 })
	p.send(h2test.GetOpen(1), h2test.GetOpen(3))
	for range 900 {
		p.send(h2test.DataOf(1, 64))
	}
	p.alive("these are not small")
	for range 3 {
		p.send(h2test.Data(1, "x"))
	}
	p.send(h2test.Data(3, "x"), h2test.Data(3, "y"))
	p.wantDead("all streams count", frame.EnhanceYourCalm, "too_many_data_frames")
}

// Ways to make us reset a request that is being served (CVE-2025-8671): each ends the connection
// after 200.
func TestMadeYouReset(t *testing.T) {
	for name, f := range map[string]func(id uint32) any{
		"WINDOW_UPDATE of 0":   func(id uint32) any { return h2test.WindowUpdate(id, 0) },
		"window overflow":      func(id uint32) any { return h2test.WindowUpdate(id, frame.MaxWindow) },
		"PRIORITY of 4 octets": func(id uint32) any { return h2test.Frame(frame.TypePriority, 0, id, 0, 0, 0, 0) },
		"PRIORITY self-dependency": func(id uint32) any {
			return frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: id}}
		},
		"HEADERS after END_STREAM": func(id uint32) any { return h2test.Trailers(id, "x: y") },
		"DATA after END_STREAM":    func(id uint32) any { return h2test.Data(id, "x") },
		"HEADERS of self-dependency": func(id uint32) any {
			return h2test.GetOpen(id + 100_000).WithPriority(frame.PriorityParam{DependsOn: id + 100_000})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, Server)
			n := 0
			for ; n < 1000 && p.err == nil; n++ {
				p.send(h2test.Get(ids(n)), f(ids(n)))
			}
			if p.err == nil || n > 201 {
				t.Errorf("%d requests were taken (%v)", n, p.err)
			}
		})
	}
}

// Any frame type, with any flags, of any small length, on any stream: an error or nothing, but no
// panic.
func TestAnyFrame(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		for typ := range 256 {
			for flags := range 256 {
				if typ > 0x11 && flags&(flags-1) != 0 {
					continue // of types without a meaning, one flag at a time
				}
				checkAnyFrame(t, role, frame.Type(typ), frame.Flags(flags))
			}
		}
	}
}

func checkAnyFrame(t *testing.T, role Role, typ frame.Type, flags frame.Flags) {
	t.Helper()
	p := newPeer(t, role, func(cfg *Config) { cfg.EnablePush = role == Client })
	if role == Server {
		p.send(h2test.GetOpen(1))
	} else {
		p.open(false)
	}
	for size := 0; size < 10 && p.err == nil; size++ {
		p.send(h2test.Frame(typ, flags, uint32(size*int(typ))%4, bytes.Repeat([]byte{byte(flags)}, size)...))
	}
	wantAccounts(t, p.c)
}

// Closing many streams at once costs time in proportion to their number (CVE-2021-32778).
func TestManyStreams(t *testing.T) {
	ways := map[string]func(p *peer, n int){
		"RST_STREAM": func(p *peer, n int) {
			for i := range n {
				p.send(h2test.RST(ids(i), frame.Cancel))
			}
		},
		"END_STREAM": func(p *peer, n int) {
			for i := range n {
				p.c.Reset(p.stream(ids(i)), frame.Cancel)
			}
		},
		"GOAWAY": func(p *peer, n int) { p.send(frame.GoAway{}) },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			const total = 10_000 // for either, so that a busy machine slows both down alike
			cost := func(n int) time.Duration {
				least := time.Hour
				for range 3 {
					var took time.Duration
					for range total / n {
						p := newPeer(t, Client)
						for range n {
							p.open(false)
						}
						p.events = nil
						begin := time.Now()
						end(p, n)
						took += time.Since(begin)
						if left := p.c.NumStreams(); left != 0 {
							t.Fatalf("%d streams are left", left)
						}
					}
					least = min(least, took)
				}
				return least / total
			}
			// Caches make it two or three times as much, work in proportion to the square forty
			// times.
			few, many := cost(250), cost(total)
			for again := 0; many > 15*few && again < 5; again++ { // another process may have taken the CPU at the wrong moment
				few, many = max(few, cost(250)), min(many, cost(total))
			}
			if many > 15*few {
				t.Errorf("ending one of 10,000 streams takes %v, one of 250 %v", many, few)
			}
		})
	}
}
