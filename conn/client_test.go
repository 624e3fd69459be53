package conn

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

func (p *testPeer) openStream(h h2test.Block) *Stream {
	p.t.Helper()
	st, err := openStream(p.client, h.Fields, h.EndStream)
	check(p.t, "OpenStream", err)
	return st
}

func TestClientExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		st := p.openStream(h2test.Post(1).With("a: b"))
		p.want("the request", h2test.Post(1).With("a: b"))
		if n, err := st.Write([]byte("hello")); n != 5 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		p.wantIdle("nothing was flushed")
		p.c.Flush()
		p.want("the content", h2test.Data(1, "hello"))
		k := p.start(func() (int, error) {
			m, err := headOf(st)
			if err != nil {
				return 0, err
			}
			return m.Status, nil
		})
		p.send(h2test.Response(1, 103).With("link: </a>"))
		k.wantWaiting("an interim response is not the head")
		p.send(h2test.Response(1, 200).With("c: d"))
		k.want("the head", 200, nil)
		if m := st.Message(); len(m.Fields) != 1 || m.Fields[0].Value != "d" {
			t.Errorf("the head is %+v", m)
		}
		check(t, "Finish", st.Finish([]byte("world"), h2test.Fields("e: f")))
		p.c.Flush()
		p.want("the rest of the request", h2test.Data(1, "world"), h2test.Trailers(1, "e: f"))
		p.send(h2test.Data(1, "answer"), h2test.Trailers(1, "g: h"))
		b, err := io.ReadAll(st)
		if string(b) != "answer" || err != nil {
			t.Errorf("the response is %q, %v", b, err)
		}
		if tr := st.Trailers(); len(tr) != 1 || tr[0].Value != "h" {
			t.Errorf("trailers are %v", tr)
		}
		st.Release()
		p.c.Flush()
		p.wantIdle("a clean end")
	})
}

func TestClientHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		headOf := func(st *Stream) func() (int, error) {
			return func() (int, error) { _, err := headOf(st); return 0, err }
		}
		st := p.openStream(h2test.Get(1))
		k := p.start(headOf(st))
		check(t, "SetReadDeadline", st.SetReadDeadline(time.Now().Add(time.Second)))
		k.wantWaiting("there is time left")
		time.Sleep(time.Second)
		k.want("no head in time", 0, os.ErrDeadlineExceeded)
		check(t, "SetReadDeadline", st.SetReadDeadline(time.Time{}))
		k = p.start(headOf(st))
		p.send(h2test.RST(1, frame.RefusedStream))
		k.want("refused", 0, frame.RefusedStream)
		st.Release()

		st = p.openStream(h2test.Get(3))
		k = p.start(headOf(st))
		_ = p.nc.Close()
		k.want("lost", 0, io.EOF)
		st.Release()
	})
}

func TestClientClosesReadBeforeTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		st := p.openStream(h2test.Get(1))
		p.c.Flush()
		k := p.start(func() (int, error) { _, err := headOf(st); return 0, err })
		st.CloseRead()
		k.want("there will be none", 0, frame.Cancel)
		st.Release()
	})
}

// What had arrived before a reset can still be read (it may be all that is wanted).
func TestClientReadsWhatCameBeforeTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		st := p.openStream(h2test.Post(1))
		p.c.Flush()
		p.send(h2test.Response(1, 413), h2test.DataEnd(1, "too much"), h2test.RST(1, frame.NoError))
		if _, err := st.Write([]byte("x")); !errors.Is(err, frame.NoError) {
			t.Errorf("Write: %v", err)
		}
		if b, err := io.ReadAll(st); string(b) != "too much" || err != nil {
			t.Errorf("ReadAll: %q, %v", b, err)
		}
		st.Release()
		st = p.openStream(h2test.Get(3))
		p.c.Flush()
		p.send(h2test.Response(3, 200), h2test.Data(3, "half"), h2test.RST(3, frame.InternalError))
		if b, err := io.ReadAll(st); string(b) != "half" || !errors.Is(err, frame.InternalError) {
			t.Errorf("ReadAll: %q, %v", b, err)
		}
		st.Release()
	})
}

func TestClientCancels(t *testing.T) {
	cancel := map[string]func(st *Stream){
		"Release":   func(st *Stream) { st.Release() },
		"CloseRead": func(st *Stream) { st.CloseRead(); st.Release() },
		"Reset":     func(st *Stream) { st.Reset(frame.Cancel); st.Release() },
	}
	for name, f := range cancel {
		for _, h := range []h2test.Block{h2test.Get(1), h2test.Post(1)} {
			t.Run(fmt.Sprint(name, h.EndStream), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newTestServer(t, Config{})
					st := p.openStream(h)
					p.c.Flush()
					p.want("the request", h)
					p.send(h2test.Response(1, 200), h2test.Data(1, "unwanted"))
					f(st)
					p.c.Flush()
					p.want("a client says CANCEL", h2test.RST(1, frame.Cancel))
					p.send(h2test.DataEnd(1, "late"))
					p.wantIdle("late DATA is dropped")
				})
			})
		}
	}
}

func TestClientLimitOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{}, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 2})
		a, b := p.openStream(h2test.Get(1)), p.openStream(h2test.Get(3))
		if _, err := openStream(p.client, h2test.Get(5).Fields, true); !errors.Is(err, core.ErrNoStream) {
			t.Errorf("a third stream: %v", err)
		}
		p.c.Flush()
		p.send(h2test.Response(1, 204).End())
		c := p.openStream(h2test.Get(5))
		for _, st := range []*Stream{a, b, c} {
			st.Release()
		}
		p.c.Flush()
		p.want(
			"streams are numbered in order",
			h2test.Get(1),
			h2test.Get(3),
			h2test.Get(5),
			h2test.RST(3, frame.Cancel),
			h2test.RST(5, frame.Cancel),
		)
		if s := p.c.PeerSettings(); s.MaxConcurrentStreams != 2 {
			t.Errorf("PeerSettings: %+v", s)
		}
		_ = p.c.Close()
		if _, err := openStream(p.client, h2test.Get(7).Fields, true); !errors.Is(err, core.ErrNoMoreStreams) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestClientRefusesPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{EnablePush: true})
		st := p.openStream(h2test.Get(1))
		p.c.Flush()
		p.want("the request", h2test.Get(1))
		p.send(
			frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: p.codec.Block(h2test.Get(2).Fields...)},
		)
		p.want("nobody has asked for it", h2test.RST(2, frame.RefusedStream))
		st.Release()
	})
}

// Client and server of our own, in all circumstances of the network between them.
func TestPair(t *testing.T) {
	networks := map[string]memconn.Options{
		"plain":      {},
		"cut":        {MaxRead: 7},
		"narrow":     {Buffer: 100},
		"far":        {Latency: 100 * time.Millisecond},
		"far, slow":  {Latency: 50 * time.Millisecond, Bandwidth: 1 << 20},
		"everything": {Latency: time.Millisecond, Bandwidth: 1 << 24, MaxRead: 1000, Buffer: 5000},
	}
	configs := map[string]Config{
		"defaults": {},
		"small": {
			MaxReceiveBufferPerStream: 100, MaxReceiveBufferPerConnection: 65535, MaxUnreadPerConnection: 1000,
			Limits: core.Limits{GlitchBurst: -1}, // credit comes in small pieces
		},
		"large": {MaxReadFrameSize: 1 << 20, MaxReceiveBufferPerStream: 1 << 22, MaxReceiveBufferPerConnection: 1 << 22},
	}
	for netName, o := range networks {
		for cfgName, cfg := range configs {
			t.Run(netName+"/"+cfgName, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					cn, sn := testEnds(t, o)
					p := newPair(t, cn, sn, cfg, cfg, echo)
					rnd := rand.New(rand.NewPCG(1, uint64(len(netName+cfgName))))
					var wg sync.WaitGroup
					for i := range 8 {
						size := rnd.IntN(1 << (4 + 2*i))
						if strings.Contains(netName, "narrow") || strings.Contains(netName, "cut") {
							size = min(size, 20_000)
						}
						wg.Go(func() { p.roundTrip(pattern(uint32(i), size)) })
					}
					wg.Wait()
					p.wantClean()
				})
			})
		}
	}
}

func TestPairOfManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cn, sn := testEnds(t, memconn.Options{Latency: time.Millisecond})
		p := newPair(t, cn, sn, Config{}, Config{}, echo)
		slots := make(chan struct{}, 100)
		var wg sync.WaitGroup
		for i := range 1000 {
			slots <- struct{}{}
			wg.Go(func() {
				p.roundTrip(pattern(uint32(i), i))
				<-slots
			})
		}
		wg.Wait()
		if s := p.server.Stats(); s.Streams != 0 || s.Unread != 0 || s.StreamsOpened != 1000 {
			t.Errorf("Stats of the server: %+v", s)
		}
		p.wantClean()
	})
}
