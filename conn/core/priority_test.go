package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// recorder is a round robin that writes down what it is told of priorities.
type recorder struct {
	priority.Scheduler
	noTree bool
	calls  []string
}

func (r *recorder) Open(n *priority.Node, p priority.Params) {
	r.calls = append(r.calls, fmt.Sprintf("open %d%s", n.ID, sayPriority(p)))
	r.Scheduler.Open(n, p)
}

func (r *recorder) Adjust(id uint32, p priority.Params) {
	r.calls = append(r.calls, fmt.Sprintf("adjust %d%s", id, sayPriority(p)))
	r.Scheduler.Adjust(id, p)
}

func (r *recorder) Decide(id uint32, p priority.Params) {
	r.calls = append(r.calls, fmt.Sprintf("decide %d%s", id, sayPriority(p)))
}

func (r *recorder) IgnoresTree() bool { return r.noTree }

func sayPriority(p priority.Params) (s string) {
	if p.Extensible {
		s += fmt.Sprintf(" u=%d", p.Urgency)
		if p.Incremental {
			s += ",i"
		}
	}
	if p.Tree {
		s += fmt.Sprintf(" on=%d weight=%d", p.DependsOn, int(p.Weight)+1)
		if p.Exclusive {
			s += " exclusive"
		}
	}
	return s
}

// recording makes the Conn of a peer use a recorder, which is returned once newPeer has been
// called.
func recording(change ...func(*Config)) (r *recorder, set func(*Config)) {
	r = &recorder{Scheduler: priority.NewRoundRobin()}
	return r, func(cfg *Config) {
		cfg.Scheduler = r
		for _, f := range change {
			f(cfg)
		}
	}
}

func (r *recorder) want(t *testing.T, why string, calls ...string) {
	t.Helper()
	got := r.calls
	r.calls = nil
	if !slices.Equal(got, calls) {
		t.Errorf("%s: the scheduler was told\n%q, want\n%q", why, got, calls)
	}
}

func priorityUpdate(id uint32, value string) frame.PriorityUpdate {
	return frame.PriorityUpdate{PrioritizedID: id, Value: []byte(value)}
}

func reprioritized(id, on uint32, weight int) frame.Priority {
	return frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: on, Weight: uint8(weight - 1)}}
}

// What a client says of priorities, and what the scheduler hears of it.
func TestPrioritySignals(t *testing.T) {
	onTree := frame.PriorityParam{DependsOn: 7, Weight: 9, Exclusive: true}
	noTree := h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 1))
	for _, tt := range []struct {
		name string
		send []any
		want string
	}{
		{"none", []any{h2test.GetOpen(1)}, "open 1"},
		{"RFC 7540 §6.2: HEADERS", []any{h2test.GetOpen(1).WithPriority(onTree)}, "open 1 on=7 weight=10 exclusive"},
		{
			"RFC 7540 §6.2: trailers",
			[]any{h2test.GetOpen(1), h2test.Trailers(1).WithPriority(onTree)},
			"open 1; adjust 1 on=7 weight=10 exclusive",
		},
		{"RFC 7540 §6.3: PRIORITY", []any{h2test.GetOpen(1), reprioritized(1, 0, 256)}, "open 1; adjust 1 on=0 weight=256"},
		{"RFC 7540 §5.3.4: of an idle stream", []any{reprioritized(11, 3, 1)}, "adjust 11 on=3 weight=1"},
		{
			"RFC 7540 §5.3.4: of a closed stream",
			[]any{h2test.GetOpen(1), h2test.RST(1, frame.Cancel), reprioritized(1, 3, 1)},
			"open 1; adjust 1 on=3 weight=1",
		},

		{"RFC 9218 §5: the field", []any{h2test.GetOpen(1, "priority: u=5, i")}, "open 1 u=5,i"},
		{"RFC 9218 §4: what is left out has its default", []any{h2test.GetOpen(1, "priority: i")}, "open 1 u=3,i"},
		{"RFC 9218 §5: not valid", []any{h2test.GetOpen(1, "priority: u=")}, "open 1"},
		{"RFC 9218 §5: two lines", []any{h2test.GetOpen(1, "priority: u=5, i", "a: b", "priority: u=2")}, "open 1 u=2,i"},
		{"RFC 9218 §5: two lines, one not valid", []any{h2test.GetOpen(1, "priority: u=", "priority: u=2")}, "open 1 u=2"},
		{"both", []any{h2test.GetOpen(1, "priority: u=1").WithPriority(onTree)}, "open 1 u=1 on=7 weight=10 exclusive"},
		{"trailers have no priority", []any{h2test.GetOpen(1), h2test.Trailers(1, "priority: u=0")}, "open 1"},

		{
			"RFC 9218 §7.1: an open stream",
			[]any{h2test.GetOpen(1, "priority: u=5, i"), priorityUpdate(1, "u=1")},
			"open 1 u=5,i; adjust 1 u=1",
		},
		{
			"RFC 9218 §7: nothing stated is the defaults",
			[]any{h2test.GetOpen(1, "priority: u=5, i"), priorityUpdate(1, "")},
			"open 1 u=5,i; adjust 1 u=3",
		},
		{"RFC 9218 §7.1: not valid", []any{h2test.GetOpen(1), priorityUpdate(1, "u=")}, "open 1"},
		{
			"RFC 9218 §7.1: a closed stream",
			[]any{h2test.GetOpen(1), h2test.RST(1, frame.Cancel), priorityUpdate(1, "u=1")},
			"open 1",
		},
		{
			"RFC 9218 §7: an idle stream",
			[]any{priorityUpdate(1, "u=1"), h2test.GetOpen(1, "priority: u=5, i")},
			"open 1 u=1",
		},
		{
			"RFC 9218 §7: the latest counts",
			[]any{priorityUpdate(1, "u=1"), priorityUpdate(1, "u=2, i"), h2test.GetOpen(1)},
			"open 1 u=2,i",
		},
		{
			"RFC 9218 §7: idle, and not valid",
			[]any{priorityUpdate(1, "u=1"), priorityUpdate(1, "u="), h2test.GetOpen(1)},
			"open 1 u=1",
		},
		{
			"RFC 9218 §7: idle streams in any order",
			[]any{
				priorityUpdate(5, "u=5"), priorityUpdate(1, "u=1"), priorityUpdate(3, "u=3"), h2test.GetOpen(1), h2test.GetOpen(5),
				h2test.GetOpen(7),
			},
			"open 1 u=1; open 5 u=5; open 7",
		},
		{
			"idle, with a place in the tree",
			[]any{priorityUpdate(1, "u=1"), h2test.GetOpen(1).WithPriority(onTree)},
			"open 1 u=1 on=7 weight=10 exclusive",
		},

		{
			"RFC 9218 §2.1: tree signals are ignored",
			[]any{
				noTree, h2test.GetOpen(1, "priority: u=1").WithPriority(onTree), reprioritized(1, 0, 3),
				reprioritized(5, 0, 3), h2test.Trailers(1).WithPriority(onTree),
			},
			"open 1 u=1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, set := recording()
			p := newSilentPeer(t, Server, set)
			if tt.want == "open 1 u=1" && len(tt.send) == 5 {
				p.send(frame.Preface)
			} else {
				p.greet()
			}
			p.send(tt.send...)
			p.alive(tt.name)
			if got := strings.Join(r.calls, "; "); got != tt.want {
				t.Errorf("the scheduler was told\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

// The rules of RFC 9218 on frames.
var priorityFrameTests = []frameTest{
	{
		"7.1 on a stream", Server, true,
		[]any{h2test.Frame(frame.TypePriorityUpdate, 0, 1, 0, 0, 0, 1)},
		goAway(frame.ProtocolError, "RFC 9218 §7.1"),
	},
	{"7.1 for stream 0", Server, true, []any{priorityUpdate(0, "u=1")}, goAway(frame.ProtocolError, "RFC 9218 §7.1")},
	{
		"7.1 for stream 0 with the reserved bit", Server, true,
		[]any{h2test.Frame(frame.TypePriorityUpdate, 0, 0, 0x80, 0, 0, 0)},
		goAway(frame.ProtocolError, "RFC 9218 §7.1"),
	},
	{
		"7.1 too short", Server, true,
		[]any{h2test.Frame(frame.TypePriorityUpdate, 0, 0, 0, 0, 1)},
		goAway(frame.FrameSizeError, "RFC 9218 §7.1"),
	},
	{
		"7.1 for an idle push stream", Server, true,
		[]any{priorityUpdate(2, "u=1")},
		goAway(frame.ProtocolError, "RFC 9218 §7.1"),
	},
	{"7.1 from a server", Client, true, []any{priorityUpdate(1, "u=1")}, goAway(frame.ProtocolError, "RFC 9218 §7.1")},
	{"7.1 for an open stream", Server, true, []any{priorityUpdate(1, "u=1")}, ""},
	{"7.1 unused flags", Server, true, []any{h2test.Frame(frame.TypePriorityUpdate, 0xff, 0, 0, 0, 0, 1, 'i')}, ""},
	{"7.1 any octets", Server, true, []any{priorityUpdate(1, "\xff\x00=;"), priorityUpdate(5, "\xff")}, ""},
	{
		"2.1 neither 0 nor 1", Server, true,
		[]any{h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 2))},
		goAway(frame.ProtocolError, "RFC 9218 §2.1"),
	},
	{
		"2.1 changed", Server, true,
		[]any{h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 1))},
		goAway(frame.ProtocolError, "RFC 9218 §2.1"),
	},
	{
		"2.1 changed by a server", Client, true,
		[]any{h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 1))},
		goAway(frame.ProtocolError, "RFC 9218 §2.1"),
	},
	{
		"2.1 said again", Server, true,
		[]any{h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 0))},
		"SETTINGS ack; settings",
	},
}

func TestPriorityFrames(t *testing.T) { runFrameTests(t, priorityFrameTests) }

// "The number of streams that have been prioritized but remain in the "idle" state plus the number
// of active streams […] MUST NOT exceed the value of the SETTINGS_MAX_CONCURRENT_STREAMS parameter"
// (RFC 9218 §7.1).
func TestPriorityOfIdleStreamsIsBounded(t *testing.T) {
	_, set := recording(func(cfg *Config) { cfg.MaxConcurrentStreams = 5 })
	p := newPeer(t, Server, set)
	p.send(h2test.GetOpen(1), h2test.Get(3))
	p.send(priorityUpdate(9, "u=1"), priorityUpdate(5, "u=1"), priorityUpdate(7, "u=1"))
	p.send(priorityUpdate(9, "u=2"), priorityUpdate(1, "u=2")) // known
	p.outcome()
	p.send(priorityUpdate(11, "u=1"))
	if got, want := p.outcome(), goAway(frame.ProtocolError, "RFC 9218 §7.1"); got != want {
		t.Errorf("one more idle stream: %q, want %q", got, want)
	}

	// What is no longer idle counts no more, whether it was opened, refused or skipped.
	r, set := recording(func(cfg *Config) { cfg.MaxConcurrentStreams = 2 })
	p = newPeer(t, Server, set)
	p.send(priorityUpdate(1, "u=1"), priorityUpdate(3, "u=3"))
	p.send(h2test.Get(5), h2test.Get(7))
	p.send(h2test.GetOpen(9)) // refused
	p.answer(5, true)
	p.answer(7, true)
	p.send(priorityUpdate(11, "u=6"), priorityUpdate(13, "u=6"))
	p.alive("two idle streams and no other")
	p.send(h2test.GetOpen(13))
	r.want(t, "opened", "open 5", "open 7", "open 13 u=6")
	if n := cap(p.c.sched.pendingUpdates); n != 0 {
		t.Errorf("memory for %d idle streams is kept", n)
	}

	// A client that has not acknowledged our SETTINGS may not know the limit.
	r, set = recording(func(cfg *Config) { cfg.MaxConcurrentStreams = 2 })
	p = newSilentPeer(t, Server, set)
	p.greet()
	for id := range uint32(100) {
		p.send(priorityUpdate(2*id+1, "u=1"))
	}
	p.alive("the limit may not be known")
	if n := len(p.c.sched.pendingUpdates); n != 2 {
		t.Errorf("%d priorities are kept", n)
	}
	r.want(t, "nothing is open")
}

// A browser that reprioritizes what it loads is not punished, one that does nothing else is.
func TestPriorityChangesAreFreePerStream(t *testing.T) {
	for _, f := range []frame.Frame{reprioritized(1, 3, 9), priorityUpdate(1, "u=1")} {
		p := newPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 1000 })
		n := 0
		for i := range uint32(300) {
			p.send(h2test.Get(2*i + 1))
			p.outcome()
			for range 10 {
				p.send(f)
				n++
			}
		}
		p.alive("ten for each stream")
		p.c.limit.glitchCredit = 0
		for n = 0; p.err == nil && n < 5000; n++ {
			p.send(f)
		}
		if n != 1001 {
			t.Errorf("%v: ended by number %d of the useless ones", f, n)
		}
	}
}

// 100,000 frames in a minute, as fast as is allowed: what they leave behind is bounded.
func TestPriorityFloodLeavesLittle(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 50 })
	for i := range 100_000 {
		p.now = p.now.Add(10 * time.Millisecond)
		p.send(priorityUpdate(uint32(2*(i%50)+1), "u=1"))
	}
	p.alive("within the rate")
	if n := cap(p.c.sched.pendingUpdates); n > 100 {
		t.Errorf("room for %d priorities is kept", n)
	}
}

// What the server decides holds, whatever the client says after it (RFC 9218 §8).
func TestServerDecidesPriority(t *testing.T) {
	r, set := recording()
	p := newPeer(t, Server, set)
	p.send(h2test.GetOpen(1, "priority: u=5, i"))
	s := p.stream(1)

	p.c.MergePriority(s, "u=1")
	r.want(t, "the example of RFC 9218 §8", "open 1 u=5,i", "decide 1 u=1,i")
	p.send(priorityUpdate(1, "u=7"))
	r.want(t, "the client may still change what the server has not", "adjust 1 u=1")
	p.c.MergePriority(s, "x=1")
	p.c.MergePriority(s, "u=")
	r.want(t, "nothing is stated")
	p.c.MergePriority(s, "i=?1")
	p.send(priorityUpdate(1, "u=7, i=?0"))
	r.want(t, "both are decided", "decide 1 u=1,i", "adjust 1 u=1,i")
	if err := p.c.SetPriority(s, priority.Params{Extensible: true, Urgency: 200}); err != nil {
		t.Error(err)
	}
	r.want(t, "urgency ends at 7", "decide 1 u=7")
	p.send(reprioritized(1, 9, 10))
	if err := p.c.SetPriority(s, priority.Params{Tree: true, DependsOn: 3, Weight: 99}); err != nil {
		t.Error(err)
	}
	p.send(reprioritized(1, 9, 11))
	r.want(t, "in the tree", "adjust 1 on=9 weight=10", "decide 1 on=3 weight=100")
	want := priority.Params{Extensible: true, Urgency: 7, Tree: true, DependsOn: 3, Weight: 99}
	if got := s.Priority(); got != want {
		t.Errorf("Priority() = %+v, want %+v", got, want)
	}
	if err := p.c.SetPriority(s, priority.Params{Tree: true, DependsOn: 1}); err != ErrPriority {
		t.Errorf("a stream that depends on itself: %v", err)
	}
	p.want("a server tells nobody")

	p.send(h2test.GetOpen(3))
	p.c.MergePriority(p.stream(3), "i")
	r.want(t, "a request that states nothing", "open 3", "decide 3 u=3,i")

	p.c.Reset(s, frame.Cancel)
	if err := p.c.SetPriority(s, want); err != ErrClosed {
		t.Errorf("a closed stream: %v", err)
	}
	p.c.MergePriority(s, "u=1")
	r.want(t, "a closed stream")
}

// The block of a request with a place in the tree can need CONTINUATION like any other.
func TestPrioritizedBlockIsSplit(t *testing.T) {
	p := newPeer(t, Client, func(cfg *Config) { cfg.TreePriorities = true })
	fields := requestFields("x: " + strings.Repeat("~", 20_000))
	tree := priority.Params{Tree: true, Weight: 3}
	if _, err := p.c.Open(Request{Fields: fields, End: true, Priority: tree}); err != nil {
		t.Fatal(err)
	}
	server := newPeer(t, Server)
	server.send(p.c.Output(nil))
	server.alive("a prioritized request")
	if got, want := server.stream(1).Priority(), (priority.Params{Tree: true, Weight: 3}); got != want {
		t.Errorf("priority %+v, want %+v", got, want)
	}
	if n := len(server.stream(1).Head.Fields[0].Value); n != 20_000 {
		t.Errorf("the field has %d octets", n)
	}
}

// An h2c upgrade has its priority in the request's fields.
func TestPriorityOfUpgrade(t *testing.T) {
	r, set := recording()
	p := newSilentPeer(t, Server, set)
	if err := p.c.Upgrade(nil, header.Message{
		Method: "GET", Path: "/", Fields: h2test.Fields("a: b", "priority: u=6, i"),
		ContentLength: -1,
	}); err != nil {
		t.Fatal(err)
	}
	r.want(t, "the field", "open 1 u=6,i")
}
