package core

import (
	"math"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// A clock that is set back costs an honest peer nothing, and does not put off what time asks for.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{10 * time.Millisecond, 5 * time.Second, time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			p := newPeer(t, Server, func(c *Config) { c.PingInterval, c.PingTimeout = 10*time.Second, 5*time.Second })
			for range 500 { // half of what is free at once, so that the buckets are in use
				p.send(h2test.Ping("12345678"))
			}
			p.now = p.now.Add(-back)
			for range 400 {
				p.send(h2test.Ping("12345678"))
			}
			p.alive("an honest peer")
			p.out = nil
			in := 10 * time.Second
			if back <= clockStep {
				in += back // too little to be told from the order in which callers come
			}
			p.deadline("keepalive", in)
			p.tick(in)
			p.want("asked in time", `PING "sluiceka"`)
			p.tick(5 * time.Second)
			if p.err == nil {
				t.Error("a PING that was not answered had no end")
			}
		})
	}
}

// A caller that has held a time for long does not make time pass, where a monotonic reading shows
// that the clock was not set back.
func TestTimeHeldBack(t *testing.T) {
	p := newSilentPeer(t, Server, func(c *Config) { c.IdleTimeout = time.Minute })
	p.now = time.Now()
	p.greet()
	p.send(frame.Settings{Ack: true}, h2test.Get(1))
	p.answer(1, true)
	for range 50 {
		now := p.now
		p.now = now.Add(-time.Hour)
		p.send(h2test.Ping("12345678"))
		p.now = now.Add(time.Millisecond)
		p.send(h2test.Ping("12345678"))
	}
	p.out = nil
	p.tick(58 * time.Second)
	p.want("not idle for so long")
	p.tick(3 * time.Second)
	p.want("idle", "GOAWAY 2147483647 NO_ERROR", `PING "sluicego"`)
}

// Nothing follows the GOAWAY of Fail, whatever is called.
func TestNothingAfterFail(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		p := newPeer(t, role, func(c *Config) {
			c.EnablePush = role == Client
			c.PingInterval, c.HeaderTimeout, c.StallTimeout, c.IdleTimeout = 1e9, 1e9, 1e9, 1e9
			c.DrainGrace, c.WindowGrowth = 1e9, 1<<20
		})
		id := uint32(1)
		if role == Server {
			p.send(h2test.GetOpen(1), h2test.GetOpen(3), h2test.Data(1, "some"))
		} else {
			p.open(false)
			p.open(false)
			p.send(h2test.Response(1, 200), h2test.Data(1, "some"))
		}
		s := p.stream(id)
		other, _ := p.c.streams.Get(3)
		if role == Client {
			p.queue(id, 100_000, true)
			p.flush()
		}
		p.c.SetPartial(begunFrame(100), p.now)
		p.c.Fail(frame.NewConnError(frame.InternalError, "", "a fault"))
		p.c.Output(nil)
		want := func(err error) {
			t.Helper()
			if err == nil {
				t.Errorf("%v: no error", role)
			}
		}
		now := p.now.Add(time.Hour)
		p.c.Start(now)
		if role == Server {
			want(p.c.SendHead(s, ResponseHead{Fields: responseFields()}))
			_, err := p.c.Push(s, requestFields())
			want(err)
			want(p.c.Upgrade(nil, header.Message{}))
		} else {
			_, err := p.c.Open(Request{Fields: requestFields(), End: true})
			want(err)
			want(p.c.Queue(other, Content{Data: []byte("x"), End: true}))
			want(p.c.SetPriority(other, priority.Params{Extensible: true}))
		}
		p.c.Finish(other, []byte("x"), 1<<20)
		p.c.Keep(s)
		p.c.Fill(1 << 20)
		p.c.FillVectored(1<<20, nil)
		p.c.Ping([8]byte{1})
		p.c.Probe(now)
		p.c.SendOrigin([]string{"https://example.com"})
		if p.c.SendAltSvc(nil, "https://example.com", "h2=\":1\"") {
			t.Error("SendAltSvc found room")
		}
		p.c.MergePriority(s, "u=1")
		p.c.StopRecv(s)
		p.c.Reset(other, frame.Cancel)
		p.c.Consume(s, 4)
		p.c.Tune(s, now)
		p.c.SetTime(now)
		p.c.SetPartial(begunFrame(100), now)
		p.c.Shutdown(now)
		p.c.Fail(frame.NewConnError(frame.InternalError, "", "another"))
		_, _ = p.c.Decode(h2test.Ping("12345678").Append(nil))
		if err := p.c.Apply(now); err != nil {
			t.Error(err)
		}
		if err := p.c.Tick(now); err != nil {
			t.Error(err)
		}
		if n := p.c.OutputLen(); n > 0 {
			t.Errorf("%v: %d octets behind the last GOAWAY: %q", role, n, p.c.Output(nil))
		}
		if at, ok := p.c.Deadline(); ok {
			t.Errorf("%v: Deadline gives %v", role, at)
		}
	}
}

// A Config that says nothing, or too much, makes a connection that works.
func TestConfigOutOfRange(t *testing.T) {
	const most = math.MaxUint32
	for name, cfg := range map[string]Config{
		"zero": {},
		"negative": {
			MaxHeaderFields: -1, MaxUnread: -1,
			Timeouts: Timeouts{
				PrefaceTimeout: -1, SettingsTimeout: -1, HeaderTimeout: -1, StallTimeout: -1, IdleTimeout: -1, DrainGrace: -1,
			},
			Keepalive: Keepalive{PingInterval: -1, PingTimeout: -1, PingBudget: -1},
		},
		"huge": {
			MaxConcurrentStreams: most, DecoderTableSize: most, MaxReadFrameSize: most, StreamWindow: most, MaxHeaderBytes: most,
			MaxHeaderFields: math.MaxInt, EncoderTableSize: most, ConnWindow: most, MaxUnread: math.MaxInt64, WindowGrowth: most,
			Timeouts: Timeouts{
				PrefaceTimeout: math.MaxInt64, SettingsTimeout: math.MaxInt64, HeaderTimeout: math.MaxInt64,
				StallTimeout: math.MaxInt64, IdleTimeout: math.MaxInt64, DrainGrace: math.MaxInt64,
			},
			Keepalive: Keepalive{PingInterval: math.MaxInt64, PingTimeout: math.MaxInt64, PingBudget: math.MaxInt},
		},
	} {
		for _, role := range []Role{Server, Client} {
			t.Run(name+" "+role.String(), func(t *testing.T) {
				cfg.SettingsOrder = []frame.SettingID{
					frame.SettingMaxFrameSize, frame.SettingHeaderTableSize, frame.SettingMaxConcurrentStreams,
				}
				p := newSilentPeer(t, role, func(c *Config) { *c = cfg; c.Role = role })
				for _, s := range p.c.cfg.settings(nil) {
					if err := s.Check(); err != nil {
						t.Error(err)
					}
				}
				p.greet()
				p.codec.Encoder().SetMaxDynamicTableSizeLimit(min(cfg.DecoderTableSize, 4096))
				p.send(frame.Settings{Ack: true})
				if role == Server {
					p.send(h2test.GetOpen(1), h2test.Data(1, "some"))
				} else {
					p.open(false)
					p.send(h2test.Response(1, 200), h2test.Data(1, "some"))
				}
				p.c.SetPartial(begunFrame(1<<24), p.now)
				p.tick(time.Second)
				p.consume(1, -1)
				if role == Server {
					p.answer(1, false)
				}
				p.queue(1, 100_000, true)
				p.tick(24 * time.Hour)
				p.alive("a day later")
				p.c.Shutdown(p.now)
				p.tick(24 * time.Hour)
				p.alive("a drain without an end")
			})
		}
	}
}
