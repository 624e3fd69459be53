package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// faulty is a Scheduler that returns from Next what a test wants.
type faulty struct {
	priority.Scheduler
	next func() *priority.Node // nil: that of Scheduler
}

func (f *faulty) Next() *priority.Node {
	if f.next != nil {
		return f.next()
	}
	return f.Scheduler.Next()
}

var faultsOfTheSchedulerTests = []struct {
	name string
	next func(p *peer, other *priority.Node) func() *priority.Node
	want string
}{
	{"nil", func(*peer, *priority.Node) func() *priority.Node {
		return func() *priority.Node { return nil }
	}, "nil while 1 streams are ready"},
	{"of another connection", func(_ *peer, other *priority.Node) func() *priority.Node {
		return func() *priority.Node { return other }
	}, "not of this connection"},
	{"without a stream", func(*peer, *priority.Node) func() *priority.Node {
		return func() *priority.Node { return &priority.Node{ID: 1} }
	}, "not of this connection"},
	{"closed", func(p *peer, _ *priority.Node) func() *priority.Node {
		n := &p.stream(5).node
		p.c.Reset(p.stream(5), frame.Cancel)
		return func() *priority.Node { return n }
	}, "was closed"},
	{"not ready", func(p *peer, _ *priority.Node) func() *priority.Node {
		return func() *priority.Node { return &p.stream(3).node }
	}, "stream 3, which is not ready"},
	{"always the same", func(p *peer, _ *priority.Node) func() *priority.Node {
		return func() *priority.Node { return &p.stream(1).node }
	}, "stream 1, which is not ready"},
}

// A Scheduler that returns what cannot be sent ends the connection, and nothing of another one's is
// sent.
func TestFaultsOfTheScheduler(t *testing.T) {
	for _, tt := range faultsOfTheSchedulerTests {
		t.Run(tt.name, func(t *testing.T) {
			sched := &faulty{Scheduler: priority.NewRoundRobin()}
			p := newPeer(t, Server, func(cfg *Config) { cfg.Scheduler = sched })
			q := newPeer(t, Server, func(*Config) {})
			for _, x := range []*peer{p, q} {
				x.send(h2test.GetOpen(1), h2test.GetOpen(3), h2test.GetOpen(5))
				x.answer(1, false)
			}
			q.queue(1, 1000, false)
			q.outcome()
			if err := q.c.Queue(q.stream(1), Content{Data: make([]byte, 2000)}); err != nil {
				t.Fatal(err)
			}
			p.outcome()
			sched.next = tt.next(p, &q.stream(1).node)
			if err := p.c.Queue(p.stream(1), Content{Data: make([]byte, 1000)}); err != nil {
				t.Fatal(err)
			}
			p.c.Fill(1 << 20)
			err := p.c.Err()
			var ce *frame.ConnError
			if !errors.As(err, &ce) || ce.Code != frame.InternalError || !errors.Is(err, priority.ErrContract) {
				t.Fatalf("the connection ends with %v", err)
			}
			if !strings.Contains(err.Error(), "Scheduler") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %q, and does not say %q", err, tt.want)
			}
			if n := len(q.stream(1).out.data); n != 2000 {
				t.Errorf("%d octets of the other connection wait, of 2000", n)
			}
			if !strings.Contains(string(p.c.Output(nil)), "Scheduler") {
				t.Error("GOAWAY does not say what is wrong")
			}
		})
	}
}

// What is left waiting on a connection that is over is taken back without the scheduler: its ring
// may lead to memory that serves another connection by then.
func TestAbandonedStreamsTouchNoOther(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.Scheduler = priority.NewRoundRobin() })
	p.send(
		h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<20)),
		h2test.GetOpen(1),
		h2test.GetOpen(3),
	)
	p.answer(1, false)
	p.answer(3, false)
	p.c.SetBackpressure(true)
	p.queue(1, 65_535, false) // all of the connection's window: stream 1 is awaited from then on
	if err := p.c.Queue(p.stream(3), Content{Data: make([]byte, 100)}); err != nil {
		t.Fatal(err)
	}
	lost, waiting := p.stream(1), p.stream(3)
	if lost.readiness != awaited || waiting.readiness != ready {
		t.Fatalf("the turns are %v and %v", lost.readiness, waiting.readiness)
	}
	p.c.Abandon()

	given := false
	q := newPeer(t, Server, func(cfg *Config) {
		cfg.Scheduler = priority.NewRoundRobin()
		cfg.NewStream = func() *Stream {
			if given {
				return new(Stream)
			}
			given = true
			return lost
		}
	})
	q.send(h2test.GetOpen(1), h2test.GetOpen(3))
	q.answer(1, false)
	q.answer(3, false)
	for _, id := range []uint32{1, 3} {
		if err := q.c.Queue(q.stream(id), Content{Data: make([]byte, 1000), End: true}); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.c.Unqueue(waiting); n != 100 {
		t.Errorf("%d octets were taken back", n)
	}
	if p.c.Awaits() || p.c.Sendable() {
		t.Error("something is to be sent on a connection that is over")
	}
	q.c.Fill(1 << 20)
	q.takeEvents()
	if err := q.c.Err(); err != nil {
		t.Errorf("the other connection: %v", err)
	}
	if n := q.c.NumStreams(); n != 2 || q.c.Sendable() { // half-closed (local)
		t.Errorf("%d streams, and what they have to send is not all sent", n)
	}
}
