package core

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// What each end says first (RFC 9113 §3.4).
func TestFirstFlight(t *testing.T) {
	change := func(cfg *Config) {
		cfg.MaxConcurrentStreams, cfg.StreamWindow, cfg.MaxHeaderBytes = 7, 70_000, 5000
		cfg.MaxReadFrameSize, cfg.DecoderTableSize, cfg.ConnWindow = 20_000, 100, 100_000
	}
	common := []frame.Setting{
		setting(frame.SettingInitialWindowSize, 70_000), setting(frame.SettingMaxHeaderListSize, 5000),
		setting(frame.SettingMaxFrameSize, 20_000), setting(frame.SettingHeaderTableSize, 100),
	}
	streams := setting(frame.SettingMaxConcurrentStreams, 7)
	noTree := []frame.Setting{setting(frame.SettingNoRFC7540Priorities, 1)}
	for _, tt := range []struct {
		name  string
		role  Role
		more  func(*Config)
		first []frame.Setting
		last  []frame.Setting
	}{
		{name: "server", first: []frame.Setting{streams}},
		{
			name: "server with extended CONNECT", more: func(cfg *Config) { cfg.EnableConnectProtocol = true },
			first: []frame.Setting{streams}, last: []frame.Setting{setting(frame.SettingEnableConnectProtocol, 1)},
		},
		{
			name:  "server whose scheduler ignores the tree",
			more:  func(cfg *Config) { cfg.Scheduler = &recorder{Scheduler: priority.NewRoundRobin(), noTree: true} },
			first: []frame.Setting{streams}, last: noTree,
		},
		{name: "client", role: Client, first: []frame.Setting{setting(frame.SettingEnablePush, 0)}, last: noTree},
		{
			name: "client with push", role: Client, more: func(cfg *Config) { cfg.EnablePush = true },
			first: []frame.Setting{setting(frame.SettingEnablePush, 1), streams}, last: noTree,
		},
		{
			name: "client that speaks of the tree", role: Client, more: func(cfg *Config) { cfg.TreePriorities = true },
			first: []frame.Setting{setting(frame.SettingEnablePush, 0)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(tt.role)
			change(&cfg)
			if tt.more != nil {
				tt.more(&cfg)
			}
			c := New(cfg).Driver()
			c.Start(epoch)
			var want []byte
			if tt.role == Client {
				want = append(want, frame.Preface...)
			}
			want = frame.AppendSettings(want, slices.Concat(tt.first, common, tt.last)...)
			want = h2test.WindowUpdate(0, 100_000-65535).Append(want)
			if n := c.OutputLen(); n != len(want) {
				t.Errorf("%d octets wait, want %d", n, len(want))
			}
			if diff := cmp.Diff(want, c.Output(nil)); diff != "" {
				t.Errorf("first flight (-want +got):\n%s", diff)
			}
			if n := c.OutputLen(); n != 0 {
				t.Errorf("%d octets wait after Output", n)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1), h2test.Get(3), h2test.GetOpen(5))
	p.send(h2test.RST(5, frame.Cancel))
	var list []uint32
	p.c.Streams(func(s *Stream) {
		list = append(list, s.ID)
		if s.RemoteEnded() != (s.ID == 3) {
			t.Errorf("stream %d: RemoteEnded is %v", s.ID, s.RemoteEnded())
		}
	})
	slices.Sort(list)
	if want := []uint32{1, 3}; !slices.Equal(list, want) {
		t.Errorf("streams %v, want %v", list, want)
	}
	if n, local := p.c.NumStreams(), p.c.LocalStreams(); n != 2 || local != 0 {
		t.Errorf("%d streams, %d of them ours", n, local)
	}
	if err := p.c.Err(); err != nil {
		t.Errorf("Err: %v", err)
	}
	if Server.String() != "server" || Client.String() != "client" {
		t.Error("the roles have other names")
	}
}

// A stream's memory is used again: nothing of its first life shows in the second.
func TestStreamMemory(t *testing.T) {
	memory := new(Stream)
	memory.Owner = "kept"
	p := newPeer(t, Server, func(cfg *Config) { cfg.NewStream = func() *Stream { return memory } })
	p.send(h2test.GetOpen(1, "content-length: 5", "x: y"), h2test.Data(1, "12345"), h2test.Trailers(1, "z: 1"))
	p.consume(1, -1)
	p.c.StopRecv(memory)
	p.answer(1, false)
	p.queue(1, 5, true, "a: b")
	p.outcome()
	p.send(connect(3))
	if memory.ID != 3 || memory.Owner != "kept" || memory.Head.Method != "CONNECT" || len(memory.Head.Fields) != 0 {
		t.Errorf("%+v", memory)
	}
	for range 3 {
		p.send(h2test.DataOf(3, 16384))
	}
	p.send(h2test.DataOf(3, 16383))
	p.alive("a window of its own, and no length")
}

// What only a fault in our own program can do panics, and says so.
func TestMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"a server opens a stream": func() {
			_, _ = New(testConfig(Server)).Open(Request{Fields: requestFields(), End: true})
		},
		"more is consumed than was received": func() {
			p := newPeer(t, Server)
			p.send(h2test.GetOpen(1), h2test.Data(1, "12"))
			p.c.Consume(p.stream(1), 3)
		},
		"END_STREAM on a closed stream": func() {
			p := newPeer(t, Server)
			p.send(h2test.Get(1))
			p.answer(1, true)
			p.c.sentEnd(p.stream(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG: ") {
					t.Errorf("the panic is %q", s)
				}
			}()
			f()
			t.Error("no panic")
		})
	}
}

// Errors are those of package frame, whatever their scope.
func TestErrorTypes(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1))
	var ce *frame.ConnError
	var se *frame.StreamError
	if err := p.c.handleStreamError(frame.NewStreamError(1, frame.Cancel, "", "")); err != nil {
		t.Errorf("the error of a stream is returned: %v", err)
	}
	if err := p.c.handleStreamError(frame.NewStreamError(3, frame.Cancel, "", "")); !errors.As(err, &ce) ||
		errors.As(err, &se) {
		t.Errorf("the error of an idle stream is %v", err)
	}
}
