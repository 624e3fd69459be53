package conn

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// keeper is a Scheduler that returns for ever the stream that was ready first.
type keeper struct {
	priority.Scheduler
	first *priority.Node
}

func (k *keeper) Ready(n *priority.Node) {
	if k.first == nil {
		k.first = n
	}
	k.Scheduler.Ready(n)
}

func (k *keeper) Next() *priority.Node {
	if k.first != nil {
		return k.first
	}
	return k.Scheduler.Next()
}

// A Scheduler that keeps returning the Node of a stream which has sent all, or is closed, ends its
// connection: the stream may serve another one by then.
func TestSchedulerThatKeepsAClosedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{Scheduler: func() priority.Scheduler {
			return &keeper{Scheduler: priority.NewRoundRobin()}
		}})
		st := p.open(h2test.Get(1))
		other := p.open(h2test.Get(3))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		check(t, "WriteHeaders", other.WriteHeaders(status2(200), false))
		if _, err := st.Write([]byte("some")); err != nil {
			t.Fatal(err)
		}
		p.c.Flush()
		_, err := other.Write([]byte("more")) // core finds the fault when the first has sent all
		var ce *frame.ConnError
		if !errors.As(err, &ce) || ce.Code != frame.InternalError || !errors.Is(err, priority.ErrContract) {
			t.Errorf("Write returned %v", err)
		}
		st.Release()
		other.Release()
		synctest.Wait()
		_ = p.nc.Close()
		if err := p.wantServed("the connection is over"); err == nil || !strings.Contains(err.Error(), "Scheduler") {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// counted is a Scheduler that counts calls.
type counted struct {
	priority.Scheduler
	calls int // guarded by Conn.mu
}

func (w *counted) Ready(n *priority.Node)   { w.calls++; w.Scheduler.Ready(n) }
func (w *counted) Unready(n *priority.Node) { w.calls++; w.Scheduler.Unready(n) }
func (w *counted) Close(n *priority.Node)   { w.calls++; w.Scheduler.Close(n) }
func (w *counted) Next() *priority.Node     { w.calls++; return w.Scheduler.Next() }

// The scheduler of a connection that is over is not called, since its Nodes may serve another one.
func TestSchedulerIsLeftAloneAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(p *testPeer){
		"closed":      func(p *testPeer) { _ = p.c.Close() },
		"lost":        func(p *testPeer) { _ = p.nc.Close() },
		"failed":      func(p *testPeer) { p.c.CloseWithError(frame.InternalError, "") },
		"wrong frame": func(p *testPeer) { p.send(h2test.WindowUpdate(0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &counted{Scheduler: priority.NewRoundRobin()}
				p := newTestPeer(t, Config{Scheduler: func() priority.Scheduler { return w }}, h2test.InitialWindow(1<<20))
				st := p.respondUnseen(1)
				p.start(func() (int, error) { return st.Write(make([]byte, 1<<20)) })
				for range p.frames() {
				}
				calls := func() int {
					p.c.mu.Lock()
					defer p.c.mu.Unlock()
					return w.calls
				}
				before := calls()
				if before == 0 {
					t.Fatal("the scheduler was not asked")
				}
				end(p)
				synctest.Wait()
				st.Release()
				p.c.Flush()
				if n := calls(); n != before {
					t.Errorf("the scheduler was called %d times", n-before)
				}
			})
		})
	}
}
