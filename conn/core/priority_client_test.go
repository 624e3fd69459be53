package core

import (
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// What a client says of priorities.
func TestClientSendsPriority(t *testing.T) {
	tree := priority.Params{Tree: true, DependsOn: 11, Exclusive: true, Weight: 41}
	both := tree
	both.Extensible, both.Urgency, both.Incremental = true, 1, true
	for _, tt := range []struct {
		name                  string
		sendsTree, ignored    bool
		open                  priority.Params
		then                  priority.Params
		wantOpen, wantUpdates string
	}{
		{"nothing", true, false, priority.Params{}, priority.Params{}, "", ""},
		{"both", true, false, both, both, "depends=11 weight=42 exclusive", "PRIORITY_UPDATE, PRIORITY"},
		{"tree", true, false, tree, tree, "depends=11 weight=42 exclusive", "PRIORITY"},
		{"tree, which the server ignores", true, true, both, both, "", "PRIORITY_UPDATE"},
		{"tree, which was ruled out", false, false, both, both, "", "PRIORITY_UPDATE"},
		{"on itself", true, false, priority.Params{Tree: true, DependsOn: 1}, priority.Params{}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newSilentPeer(t, Client, func(cfg *Config) { cfg.TreePriorities = tt.sendsTree })
			if tt.ignored {
				p.greet(setting(frame.SettingNoRFC7540Priorities, 1))
			} else {
				p.greet()
			}
			p.c.Output(nil)
			s, err := p.c.Open(Request{Fields: requestFields(), End: true, Priority: tt.open})
			if err != nil {
				t.Fatal(err)
			}
			h, b, _, err := frame.Split(p.c.Output(nil), frame.MinMaxFrameSize)
			if err != nil {
				t.Fatal(err)
			}
			f, err := frame.ParseHeaders(h, b)
			if err != nil {
				t.Fatal(err)
			}
			if !f.EndStream || !f.EndHeaders {
				t.Errorf("flags %v", h.Flags)
			}
			got := ""
			if f.HasPriority {
				got = f.Priority.String()
			}
			if got != tt.wantOpen {
				t.Errorf("HEADERS say %q, want %q", got, tt.wantOpen)
			}
			if fields, err := p.codec.Fields(f.Fragment); err != nil || len(fields) != 4 {
				t.Errorf("the block has %v, %v", fields, err)
			}

			if err := p.c.SetPriority(s, tt.then); err != nil {
				t.Error(err)
			}
			var types []string
			for b := p.c.Output(nil); len(b) > 0; {
				h, payload, n, err := frame.Split(b, frame.MinMaxFrameSize)
				if err != nil {
					t.Fatal(err)
				}
				types = append(types, h.Type.String())
				switch h.Type {
				case frame.TypePriorityUpdate:
					if f, err := frame.ParsePriorityUpdate(h, payload); err != nil || f.PrioritizedID != 1 ||
						string(f.Value) != "u=1, i" && string(f.Value) != "u=1,i" {
						t.Errorf("%v, %v", f, err)
					}
				case frame.TypePriority:
					if f, err := frame.ParsePriority(h, payload); err != nil || f.StreamID != 1 || f.DependsOn != 11 ||
						f.Weight != 41 || !f.Exclusive {
						t.Errorf("%v, %v", f, err)
					}
				default:
					t.Errorf("%v", h)
				}
				b = b[n:]
			}
			if got := strings.Join(types, ", "); got != tt.wantUpdates {
				t.Errorf("SetPriority sends %q, want %q", got, tt.wantUpdates)
			}
		})
	}
}

// After the response there is nothing to prioritize.
func TestClientPriorityAfterTheResponse(t *testing.T) {
	p := newPeer(t, Client)
	id := p.open(false)
	p.send(h2test.Response(id, 200), h2test.DataEnd(id, "x")) // our half goes on
	p.outcome()
	if err := p.c.SetPriority(p.stream(id), priority.Params{Extensible: true}); err != ErrClosed {
		t.Errorf("%v", err)
	}
	p.want("nothing")
}

// A pushed response can be reprioritized (RFC 9218 §7.1).
func TestClientPriorityOfPush(t *testing.T) {
	p := pushPeer(t)
	p.send(h2test.Promise(1, 2))
	p.outcome()
	if err := p.c.SetPriority(p.stream(2), priority.Params{Extensible: true, Urgency: 6}); err != nil {
		t.Error(err)
	}
	p.take()
	p.want(
		"PRIORITY_UPDATE for the pushed stream",
		frame.PriorityUpdate{PrioritizedID: 2, Value: []byte("u=6")}.String(),
	)
}

// A pushed stream is below its parent, whichever scheme is spoken.
func TestPriorityOfPushedStream(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []any
		on   uint32
		want []string
	}{
		{"nobody has spoken of RFC 9218", []any{h2test.GetOpen(1)}, 1, []string{"open 2 on=1 weight=16"}},
		{
			"the parent has",
			[]any{h2test.GetOpen(1, "priority: u=1, i")},
			1,
			[]string{"open 2 on=1 weight=16", "decide 2 u=2"},
		},
		{
			"there is nothing below",
			[]any{h2test.GetOpen(1, "priority: u=7")},
			1,
			[]string{"open 2 on=1 weight=16", "decide 2 u=7"},
		},
		{
			"another stream has",
			[]any{h2test.GetOpen(3, "priority: u=0"), h2test.GetOpen(5)},
			5,
			[]string{"open 2 on=5 weight=16", "decide 2 u=4"},
		},
	} {
		r, set := recording()
		p := newPeer(t, Server, set)
		p.send(tt.send...)
		r.calls = nil
		parent := p.stream(tt.on)
		if _, err := p.c.Push(parent, requestFields()); err != nil {
			t.Fatal(err)
		}
		r.want(t, tt.name, tt.want...)
		p.send(priorityUpdate(2, "u=0, i"))
		r.want(t, "the client may move it", "adjust 2 u=0,i")
	}
}
