package conn

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
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
		st := p.open(get(1))
		other := p.open(get(3))
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
