package conn

import (
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

func TestConnState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{}, memconn.Options{})
		p.send(h2test.Raw(frame.Preface))
		p.wantStates("the preface is not enough", "")
		p.send(h2test.Settings(), h2test.Get(1), h2test.Get(3)) // one read
		p.wantStates("idle comes first", "idle active")
		p.stream(1).Release()
		p.wantStates("one is left", "idle active")
		p.stream(3).Release()
		p.wantStates("the last was reset", "idle active idle")
		st := p.open(h2test.Post(5))
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		p.wantStates("the request goes on", "idle active idle active")
		p.send(h2test.DataEnd(5, ""))
		p.wantStates("both sides have ended", "idle active idle active idle")
		st.Release()
		st = p.open(h2test.Get(7))
		p.send(h2test.RST(7, frame.Cancel))
		p.wantStates("reset by the peer", "idle active idle active idle active idle")
		st.Release()
		p.open(h2test.Get(9))
		_ = p.nc.Close()
		_ = p.wantServed("lost")
		p.wantStates("the end is not idleness", "idle active idle active idle active idle active")
	})
}

// A client's pool sends what has waited when it is told that the connection is idle.
func TestConnStateMayOpenStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Client, Config{}, memconn.Options{})
		opened := 0
		p.h.onState = func(idle bool) {
			if idle && opened < 3 {
				opened++
				st, err := openStream(p.client, h2test.Get(1).Fields, true)
				if err != nil {
					t.Error(err)
					return
				}
				st.Reset(frame.Cancel) // idle again, before this has returned
				st.Release()
			}
		}
		p.serve()
		p.greet()
		p.wantStates("idle at last", "idle")
		if opened != 1 {
			t.Errorf("%d streams were opened: changes that undo each other are told", opened)
		}
		p.h.onState = func(idle bool) {
			if !idle {
				p.c.Shutdown()
			}
		}
		st, err := openStream(p.client, h2test.Get(1).Fields, true)
		check(t, "OpenStream", err)
		p.wantStates("active", "idle active")
		st.Release()
		p.wantStates("idle", "idle active idle")
	})
}

func TestConnStateFromAllSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		var wg sync.WaitGroup
		p.h.onStreams = func(batch []*Stream) {
			for _, st := range batch {
				wg.Go(func() {
					_ = st.Reply(status2(200), nil, nil)
					st.Release()
				})
			}
		}
		for i := range 500 {
			p.send(h2test.Get(uint32(2*i + 1)))
		}
		wg.Wait()
		synctest.Wait()
		states := slices.Clone(p.h.states)
		if states[len(states)-1] != "idle" {
			t.Error("the last state is not idle")
		}
		for i := range states[1:] {
			if states[i] == states[i+1] {
				t.Fatalf("state %d, %s, was told twice", i, states[i])
			}
		}
	})
}

func TestStreamBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(1000))
		want := func(msg string, ids ...uint32) {
			t.Helper()
			if got := p.takeBlocked(); !slices.Equal(got, ids) {
				t.Errorf("%s: StreamBlocked was called for %v, want %v", msg, got, ids)
			}
		}
		st := p.open(h2test.Post(1))
		buf := make([]byte, 10)
		read := func() (int, error) { return st.Read(buf) }
		p.send(h2test.Data(1, "0123456789abc"))
		p.start(read).want("there is data", 10, nil)
		p.start(read).want("there is data", 3, nil)
		want("data was there")
		k := p.start(read)
		want("no data was there", 1)
		p.send(h2test.Data(1, ""), h2test.WindowUpdate(0, 1), h2test.Ping("wakes no"))
		want("it still waits")
		p.send(h2test.DataEnd(1, "x"))
		k.want("data", 1, nil)
		p.start(read).want("the end", 0, io.EOF)
		want("the end was there")

		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		write := func(n int) func() (int, error) {
			return func() (int, error) { return st.Write(make([]byte, n)) }
		}
		p.start(write(999)).want("within the window", 999, nil)
		want("the window was open")
		p.start(write(1)).want("within the window", 1, nil)
		want("the window was open")
		k = p.start(write(100))
		want("the window is closed", 1)
		p.send(h2test.WindowUpdate(1, 99))
		want("it still waits")
		p.send(h2test.WindowUpdate(1, 1))
		k.want("all is sent", 100, nil)
		check(t, "Finish", st.Finish([]byte("kept"), nil))
		want("Finish does not wait")
		st.Release()
	})
}
