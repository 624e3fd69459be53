package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// push promises a request like the one that fields make.
func (p *peer) push(parent uint32, more ...string) (uint32, error) {
	p.tb.Helper()
	return p.pushFields(parent, requestFields(more...))
}

func (p *peer) pushFields(parent uint32, fields []header.Field) (uint32, error) {
	p.tb.Helper()
	s, err := p.c.Push(p.stream(parent), fields)
	p.take()
	if err != nil {
		return 0, err
	}
	p.streams[s.ID] = s
	return s.ID, nil
}

func (p *peer) mustPush(parent uint32, more ...string) uint32 {
	p.tb.Helper()
	id, err := p.push(parent, more...)
	if err != nil {
		p.tb.Fatal(err)
	}
	return id
}

// pusher is a server that has the request on stream 1.
func pusher(t *testing.T, list ...frame.Setting) *peer {
	t.Helper()
	p := newPeer(t, Server)
	p.send(h2test.Settings(list...), h2test.Get(1))
	p.outcome()
	return p
}

const promiseLine = "PUSH_PROMISE 1 2 :method=GET :scheme=https :authority=example.com :path=/"

// A pushed stream, from the promise to the end (RFC 9113 §8.4).
func TestServerPush(t *testing.T) {
	p := pusher(t)
	p.answer(1, false)
	if id := p.mustPush(1, "accept: x"); id != 2 {
		t.Errorf("the first promise is stream %d", id)
	}
	s := p.stream(2)
	if h := &s.Head; h.Method != "GET" || h.Path != "/" || h.ContentLength != -1 || len(h.Fields) != 1 ||
		h.Fields[0].Value != "x" {
		t.Errorf("the promised request is %+v", h)
	}
	p.queue(1, 5, true)
	p.want(
		"the promise comes before the content",
		"HEADERS 1 :status=200",
		promiseLine+" accept=x",
		"DATA 1 5 octets END_STREAM",
	)
	if s.State().String() != "reserved (local)" || p.c.streams.local != 0 || p.c.streams.reserved != 1 {
		t.Errorf("the stream is %v, %d streams count, %d are reserved", s.State(), p.c.streams.local, p.c.streams.reserved)
	}
	if err := p.c.Queue(s, Content{Data: []byte("x"), End: true}); !errors.Is(err, ErrClosed) {
		t.Errorf("content on a reserved stream: %v", err)
	}
	p.send(
		h2test.WindowUpdate(2, 7),
		frame.Priority{StreamID: 2},
		frame.PriorityUpdate{PrioritizedID: 2, Value: []byte("u=1")},
	)
	if n := s.SendWindow(); n != frame.DefaultWindow+7 {
		t.Errorf("the window of a reserved stream is %d", n)
	}
	p.answer(2, false, ":status: 103")
	if err := p.c.SendHead(s, ResponseHead{Fields: responseFields()}); err == nil {
		t.Error("a head after the head")
	}
	if s.State().String() != "half-closed (remote)" || p.c.streams.local != 1 || p.c.streams.reserved != 0 {
		t.Errorf("the stream is %v, %d streams count, %d are reserved", s.State(), p.c.streams.local, p.c.streams.reserved)
	}
	p.queue(2, 3, true, "x: y")
	p.want("the answer", "HEADERS 2 :status=103", "DATA 2 3 octets", "HEADERS 2 x=y END_STREAM")
	p.wantEvents("the ends", "drained 1", "closed 1", "drained 2", "closed 2")
	if int32(p.c.NumStreams())+p.c.streams.local+p.c.streams.remote+p.c.streams.reserved != 0 {
		t.Error("streams are left")
	}
	if n := p.c.Counts().PromisesOut; n != 1 {
		t.Errorf("%d promises are counted", n)
	}
}

// Identifiers are even and rise; blocks that are too long go on in CONTINUATION frames.
func TestServerPushBlocks(t *testing.T) {
	p := pusher(t)
	long := "x: " + strings.Repeat("~^", 20_000)
	for i := range uint32(3) {
		if id := p.mustPush(1, long); id != 2*i+2 {
			t.Errorf("promise %d is stream %d", i, id)
		}
	}
	want := promiseLine + " x=" + long[3:]
	if len(p.out) != 3 || len(p.out[0]) <= len(want) || p.out[0][:len(want)] != want {
		t.Errorf("%d blocks, the first of %d octets", len(p.out), len(p.out[0]))
	}
}

// Every way in which Push refuses, after which nothing was sent.
func TestServerPushRefusals(t *testing.T) {
	noPush := setting(frame.SettingEnablePush, 0)
	tests := []struct {
		name     string
		settings []frame.Setting
		before   func(p *peer)
		on       uint32
		want     error
	}{
		{"allowed", nil, nil, 1, nil},
		{"push disabled", []frame.Setting{noPush}, nil, 1, ErrPushDisabled},
		{"disabled midway", nil, func(p *peer) { p.mustPush(1); p.send(h2test.Settings(noPush)) }, 1, ErrPushDisabled},
		{
			"enabled again",
			[]frame.Setting{noPush},
			func(p *peer) { p.send(h2test.Settings(setting(frame.SettingEnablePush, 1))) }, 1, nil,
		},
		{"no streams allowed", []frame.Setting{setting(frame.SettingMaxConcurrentStreams, 0)}, nil, 1, ErrNoStream},
		{
			"limit reached",
			[]frame.Setting{setting(frame.SettingMaxConcurrentStreams, 1)},
			func(p *peer) { p.mustPush(1) }, 1, ErrNoStream,
		},
		{
			"limit reached by a push that runs",
			[]frame.Setting{setting(frame.SettingMaxConcurrentStreams, 1)},
			func(p *peer) { p.answer(p.mustPush(1), false) }, 1, ErrNoStream,
		},
		{
			"limit reached before",
			[]frame.Setting{setting(frame.SettingMaxConcurrentStreams, 1)},
			func(p *peer) { p.answer(p.mustPush(1), true) }, 1, nil,
		},
		{"our own limit", nil, func(p *peer) {
			for range 100 {
				p.mustPush(1)
			}
		}, 1, ErrNoStream},
		{"on an open stream", nil, func(p *peer) { p.send(h2test.GetOpen(3)) }, 3, nil},
		{"on a pushed stream", nil, func(p *peer) { p.mustPush(1) }, 2, ErrPushParent},
		{"on a pushed stream that runs", nil, func(p *peer) { p.answer(p.mustPush(1), false) }, 2, ErrPushParent},
		{
			"in a tunnel",
			nil,
			func(p *peer) { p.send(h2test.Headers(3, ":method: CONNECT", ":authority: x:1")) },
			3,
			ErrPushParent,
		},
		{"after the end", nil, func(p *peer) { p.answer(1, true) }, 1, ErrClosed},
		{"after our end", nil, func(p *peer) { p.send(h2test.GetOpen(3)); p.answer(3, true) }, 3, ErrClosed},
		{"after the client's reset", nil, func(p *peer) { p.send(h2test.RST(1, frame.Cancel)) }, 1, ErrClosed},
		{"draining", nil, func(p *peer) { p.c.Shutdown(p.now); p.take() }, 1, ErrNoMoreStreams},
		{"after the client's GOAWAY", nil, func(p *peer) { p.send(frame.GoAway{}) }, 1, ErrNoMoreStreams},
		{
			"identifiers used up", nil, func(p *peer) { setNextID(p.c, frame.MaxStreamID-1); p.mustPush(1) }, 1,
			ErrNoMoreStreams,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := pusher(t, tt.settings...)
			if tt.before != nil {
				tt.before(p)
			}
			p.outcome()
			can := p.c.CanPush(p.stream(tt.on))
			_, err := p.push(tt.on)
			if !errors.Is(err, tt.want) || !errors.Is(can, tt.want) {
				t.Fatalf("Push: %v, CanPush: %v, want %v", err, can, tt.want)
			}
			if err != nil {
				p.wantQuiet("nothing is sent")
			}
		})
	}
}

// Requests that cannot be promised (RFC 9113 §8.4).
func TestServerPushRequest(t *testing.T) {
	get := func(more ...string) []header.Field { return requestFields(more...) }
	for name, list := range map[string][]header.Field{
		"POST":              h2test.Fields(":method: POST", ":scheme: https", ":authority: x", ":path: /"),
		"CONNECT":           h2test.Fields(":method: CONNECT", ":authority: x:1"),
		"no authority":      h2test.Fields(":method: GET", ":scheme: https", ":path: /"),
		"no path":           h2test.Fields(":method: GET", ":scheme: https", ":authority: x"),
		"content":           get("content-length: 5"),
		"connection":        get("connection: close"),
		"uppercase":         get("Accept: x"),
		"a value with CR":   get("accept: a\rb"),
		"pseudo-field late": get("accept: x", ":path: /2"),
		"status":            h2test.Fields(":status: 200"),
		"another host":      get("host: other.com"),
		"extended CONNECT": h2test.Fields(
			":method: CONNECT", ":scheme: https", ":authority: x", ":path: /", ":protocol: websocket",
		),
		"a path that is odd": h2test.Fields(":method: GET", ":scheme: https", ":authority: x", ":path: "),
	} {
		p := pusher(t)
		if _, err := p.pushFields(1, list); !errors.Is(err, ErrPushRequest) {
			t.Errorf("%s: %v", name, err)
		}
		p.wantQuiet(name)
	}
	p := pusher(t)
	head := h2test.Fields(":method: HEAD", ":scheme: https", ":authority: x", ":path: /", "cookie: a=b",
		"content-length: 0")
	if _, err := p.pushFields(1, head); err != nil {
		t.Error(err)
	}
}

// The client cancels what is promised and what runs (RFC 9113 §8.4.2).
func TestServerPushCancelled(t *testing.T) {
	p := pusher(t)
	p.mustPush(1)
	p.mustPush(1)
	p.answer(4, false)
	p.queue(4, 100_000, true)
	p.outcome()
	p.send(h2test.RST(2, frame.Cancel), h2test.RST(4, frame.RefusedStream))
	p.wantEvents("told", "reset 2 remote CANCEL", "closed 2", "reset 4 remote REFUSED_STREAM", "closed 4")
	p.flush()
	p.want("nothing more is sent")
	if p.c.NumStreams() != 1 || p.c.streams.local+p.c.streams.reserved != 0 {
		t.Errorf("%d streams, %d of them ours, %d reserved", p.c.NumStreams(), p.c.streams.local, p.c.streams.reserved)
	}
	p.send(h2test.RST(2, frame.Cancel), h2test.WindowUpdate(4, 10))
	p.wantQuiet("late frames")
	p.mustPush(1)
	p.c.Reset(p.stream(6), frame.Cancel)
	p.take()
	p.takeEvents()
	p.want("we cancel", "PUSH_PROMISE 1 6 :method=GET :scheme=https :authority=example.com :path=/", "RST_STREAM 6 CANCEL")
	p.wantEvents("we cancel", "reset 6 local CANCEL", "closed 6")
}

// The limit is lowered between the promise and its answer (RFC 9113 §5.1.2).
func TestServerPushLimitLowered(t *testing.T) {
	p := pusher(t, setting(frame.SettingMaxConcurrentStreams, 2))
	p.mustPush(1)
	p.mustPush(1)
	p.send(h2test.Settings(setting(frame.SettingMaxConcurrentStreams, 1)))
	p.answer(2, false)
	p.outcome()
	if err := p.c.SendHead(p.stream(4), ResponseHead{Fields: responseFields(), End: true}); !errors.Is(err, ErrNoStream) {
		t.Errorf("SendHead: %v", err)
	}
	p.take()
	p.takeEvents()
	p.want("the promise is taken back", "RST_STREAM 4 CANCEL")
	p.wantEvents("the promise is taken back", "reset 4 local CANCEL", "closed 4")
	if p.c.streams.local != 1 || p.c.streams.reserved != 0 {
		t.Errorf("%d streams, %d reserved", p.c.streams.local, p.c.streams.reserved)
	}
}

// What the client's frames on a pushed stream are.
func TestServerPushFrames(t *testing.T) {
	for _, tt := range []struct {
		name          string
		send          any
		reserved, run string
	}{
		{"HEADERS", h2test.Get(2), connProtocol, "RST_STREAM 2 STREAM_CLOSED; reset 2 local STREAM_CLOSED; closed 2"},
		{"DATA", h2test.Data(2, "x"), connProtocol, "RST_STREAM 2 STREAM_CLOSED; reset 2 local STREAM_CLOSED; closed 2"},
		{"WINDOW_UPDATE", h2test.WindowUpdate(2, 1), "", ""},
		{"PRIORITY", frame.Priority{StreamID: 2}, "", ""},
		{"PUSH_PROMISE", h2test.Promise(2, 4), protocolError("8.4"), protocolError("8.4")},
		{"a request on an even stream", h2test.GetOpen(4), badID, badID},
	} {
		for _, running := range []bool{false, true} {
			p := pusher(t)
			p.mustPush(1)
			want := tt.reserved
			if running {
				p.answer(2, false)
				want = tt.run
			}
			p.outcome()
			p.send(tt.send)
			if got := p.outcome(); got != want {
				t.Errorf("%s, running %v:\ngot  %q\nwant %q", tt.name, running, got, want)
			}
		}
	}
}

// A client that resets every push gets no more for a while, and nothing worse.
func TestServerPushUnwanted(t *testing.T) {
	p := pusher(t)
	n := 0
	for ; n < 10_000; n++ {
		id, err := p.push(1)
		if err != nil {
			if !errors.Is(err, ErrPushUnwanted) {
				t.Fatal(err)
			}
			break
		}
		p.send(h2test.RST(id, frame.Cancel))
	}
	if n != 200 {
		t.Errorf("%d pushes were reset, want 200", n)
	}
	p.outcome()
	p.alive("a client may refuse what it has not asked for")
	p.tick(1e9)
	for n = 0; n < 1000; n++ {
		id, err := p.push(1)
		if err != nil {
			break
		}
		p.send(h2test.RST(id, frame.Cancel))
	}
	if n != 50 {
		t.Errorf("%d pushes after a second, want 50", n)
	}
}

// An upgraded request can be answered with pushes, too, if HTTP2-Settings allow it.
func TestServerPushUpgrade(t *testing.T) {
	for _, push := range []uint32{0, 1} {
		p := newSilentPeer(t, Server)
		set := frame.AppendSettings(nil, setting(frame.SettingEnablePush, push))[frame.HeaderLen:]
		if err := p.c.Upgrade(set, header.Message{Method: "GET", Path: "/", ContentLength: -1}); err != nil {
			t.Fatal(err)
		}
		p.takeEvents()
		_, err := p.push(1)
		if (err == nil) != (push == 1) {
			t.Errorf("ENABLE_PUSH %d: %v", push, err)
		}
	}
}

// The same where every response is complete before it is reset. A client that goes on to reset
// streams that are closed gets GOAWAY.
func TestServerPushUnwantedLate(t *testing.T) {
	p := pusher(t)
	n, last := 0, uint32(0)
	for ; n < 10_000; n++ {
		id, err := p.push(1)
		if err != nil {
			break
		}
		last = id
		p.answer(id, true)
		p.send(h2test.RST(id, frame.Cancel))
	}
	if n != 200 {
		t.Errorf("%d pushes were reset, want 200", n)
	}
	p.outcome()
	p.alive("late resets")
	for n = 0; n < 10_000 && p.err == nil; n++ {
		p.send(h2test.RST(last, frame.Cancel))
	}
	p.wantDead("resets of closed streams", frame.EnhanceYourCalm, "glitches")
	if most := 1001 + maxCredit; n > most {
		t.Errorf("%d resets were taken, more than Limits.GlitchBurst and what the streams have paid for", n)
	}
}

// What is pushed waits for the page that needs it, whichever scheme the client speaks, and takes
// nothing from the share of other pages.
func TestServerPushBelowItsParent(t *testing.T) {
	tests := map[string][]any{
		"no priorities": {h2test.Get(1), h2test.Get(3)},
		"tree": {
			h2test.GetOpen(1).WithPriority(frame.PriorityParam{Weight: 15}).End(),
			h2test.GetOpen(3).WithPriority(frame.PriorityParam{Weight: 15}).End(),
		},
		"extensible": {
			h2test.Get(1, "priority: i"),
			h2test.Get(3, "priority: i"),
		},
		"no tree, by SETTINGS": {
			h2test.Settings(
				setting(frame.SettingNoRFC7540Priorities, 1),
			), h2test.Get(1), h2test.Get(3),
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			p := newSilentPeer(t, Server, func(cfg *Config) { cfg.Scheduler = priority.NewAuto() })
			if first, ok := send[0].(frame.Settings); ok {
				p.send(frame.Preface, first)
				send = send[1:]
			} else {
				p.greet()
			}
			p.send(frame.Settings{Ack: true}, h2test.WindowUpdate(0, 1<<20))
			p.send(send...)
			p.mustPush(1)
			for _, id := range []uint32{2, 1, 3} {
				p.answer(id, false)
				if err := p.c.Queue(p.stream(id), Content{Data: make([]byte, 60_000), End: true}); err != nil {
					t.Fatal(err)
				}
			}
			p.outcome()
			p.flush()
			last := map[byte]int{}
			for i, line := range p.out {
				last[line[len("DATA ")]] = i
				if line[len("DATA ")] == '2' && last['1'] == 0 {
					t.Errorf("the push goes before its page: %q", p.out)
				}
			}
			if last['2'] < last['1'] || last['3'] == 0 {
				t.Errorf("the push was not last: %q", p.out)
			}
		})
	}
}
