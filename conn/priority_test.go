package conn

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/stream/priority"
)

func noTree() frame.Setting { return frame.Setting{ID: frame.SettingNoRFC7540Priorities, Value: 1} }

func extensible(urgency uint8, incremental bool) priority.Params {
	return priority.Params{Extensible: true, Urgency: urgency, Incremental: incremental}
}

func (p *testPeer) prioritized(r *Request) *Stream {
	p.t.Helper()
	st, err := p.client.OpenRequest(r)
	check(p.t, "OpenRequest", err)
	return st
}

func TestServerPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1).With("priority: u=5, i"))
		if got, want := st.Priority(), extensible(5, true); got != want {
			t.Errorf("the request asks for %+v, want %+v", got, want)
		}
		st.MergePriority("u=1")
		p.send(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u=7")})
		if got, want := st.Priority(), extensible(1, false); got != want {
			t.Errorf("the response has %+v, want %+v", got, want)
		}
		check(t, "SetPriority", st.SetPriority(extensible(4, true)))
		p.send(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u=7")})
		if got, want := st.Priority(), extensible(4, true); got != want {
			t.Errorf("the response has %+v, want %+v", got, want)
		}
		if err := st.SetPriority(priority.Params{Tree: true, DependsOn: 1}); !errors.Is(err, core.ErrPriority) {
			t.Errorf("a stream that depends on itself: %v", err)
		}
		p.wantIdle("a client is not told")
		p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel})
		if err := st.SetPriority(extensible(4, true)); !errors.Is(err, frame.Cancel) {
			t.Errorf("after a reset: %v", err)
		}
		st.MergePriority("u=0")
		st.Release()
	})
}

func TestClientPriority(t *testing.T) {
	tree := priority.Params{Tree: true, DependsOn: 9, Weight: 7}
	both := extensible(2, false)
	both.Tree, both.DependsOn, both.Weight = true, 9, 7
	for _, tt := range []struct {
		name     string
		cfg      Config
		settings []frame.Setting
		p        priority.Params
		field    string
		then     []any
	}{
		{name: "none"},
		{name: "field", p: extensible(2, true), field: "u=2, i", then: []any{update9218(1, "u=2, i")}},
		{name: "tree", cfg: Config{TreePriorities: true}, p: tree, then: []any{
			frame.Priority{StreamID: 1, PriorityParam: frame.PriorityParam{DependsOn: 9, Weight: 7}},
		}},
		{
			name: "tree, ignored", cfg: Config{TreePriorities: true}, settings: []frame.Setting{noTree()}, p: both,
			field: "u=2", then: []any{update9218(1, "u=2")},
		},
		{name: "tree, ruled out", p: tree},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestServer(t, tt.cfg, tt.settings...)
				fields := h2test.Get(1).Fields
				st := p.prioritized(&Request{Fields: fields[:len(fields):len(fields)], End: true, Priority: tt.p})
				want := h2test.Get(1)
				if tt.field != "" {
					want = want.With("priority: " + tt.field)
				}
				p.want("the request", want)
				check(t, "SetPriority", st.SetPriority(tt.p))
				p.want("said again", tt.then...)
				p.send(h2test.Response(1, 200).End())
				if err := st.SetPriority(tt.p); !errors.Is(err, core.ErrClosed) {
					t.Errorf("after the response: %v", err)
				}
				st.Release()
				p.wantIdle("a clean end")
			})
		})
	}
}

func update9218(id uint32, value string) frame.PriorityUpdate {
	return frame.PriorityUpdate{PrioritizedID: id, Value: []byte(value)}
}

// A field of the caller's own is sent as it is.
func TestClientPriorityField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		own := h2test.Get(1).With("priority: u=0, x=1")
		st := p.prioritized(&Request{Fields: own.Fields, End: true, Priority: extensible(2, true)})
		p.want("the request", own)
		st.Release()
	})
}

// What a client says arrives, in both forms, and so does a change.
func TestPriorityBetweenClientAndServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cn, sn := testEnds(t, memconn.Options{})
		var seen []priority.Params
		more := make(chan bool)
		pr := newPair(t, cn, sn, Config{TreePriorities: true}, Config{}, func(st *Stream) {
			seen = append(seen, st.Priority())
			<-more
			seen = append(seen, st.Priority())
			_ = st.Reply(status2(200), nil, nil)
		})
		p := extensible(6, true)
		p.Tree, p.DependsOn, p.Exclusive, p.Weight = true, 3, true, 99
		st, err := pr.client.OpenRequest(&Request{Fields: h2test.Get(1).Fields, End: true, Priority: p})
		check(t, "OpenRequest", err)
		synctest.Wait()
		q := extensible(0, false)
		q.Tree, q.DependsOn, q.Weight = true, 0, 0
		check(t, "SetPriority", st.SetPriority(q))
		synctest.Wait()
		more <- true
		_, err = headOf(st)
		check(t, "Head", err)
		st.Release()
		pr.wantClean()
		if want := []priority.Params{p, q}; !slices.Equal(seen, want) {
			t.Errorf("the server has seen\n%+v, want\n%+v", seen, want)
		}
	})
}
