package conn

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// behaviour is what a client does to a stream that it has opened.
type behaviour int

const (
	readsAll     behaviour = iota // echoes all of it
	resetsIt                      // resets it at some point
	releasesIt                    // releases it at some point
	closesRead                    // closes reading, sends the rest
	hasDeadlines                  // has deadlines
	numOfBehaviours
)

// echoOrNot is echo that fails for some requests, in one of several ways.
func echoOrNot(rnd *rand.Rand, mu *sync.Mutex) func(*Stream) {
	return func(st *Stream) {
		mu.Lock()
		n := rnd.IntN(20)
		mu.Unlock()
		switch n {
		case 0:
			return // released without a word
		case 1:
			st.Reset(frame.InternalError)
			return
		case 2:
			_ = st.Reply(status2(200, "id", fmt.Sprint(st.ID())), pattern(st.ID(), 1000), nil)
			return
		case 3:
			st.CloseRead()
			_ = st.Reply(status2(204, "id", fmt.Sprint(st.ID())), nil, nil)
			return
		case 4:
			_ = st.SetReadDeadline(time.Now().Add(time.Millisecond))
			_ = st.SetWriteDeadline(time.Now().Add(2 * time.Millisecond))
		}
		echo(st)
	}
}

// misuse opens a stream, treats it as b says, and reports data that belongs to no stream or
// to another.
func misuse(c *Client, b behaviour, size, cut int) error {
	st, err := openStream(c, h2test.Post(0).Fields, false)
	if err != nil {
		return err
	}
	defer c.Flush()
	defer st.Release()
	id := st.ID()
	body := pattern(id, size)
	if b == hasDeadlines {
		_ = st.SetReadDeadline(time.Now().Add(3 * time.Millisecond))
		_ = st.SetWriteDeadline(time.Now().Add(time.Millisecond))
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for rest := body; ; rest = rest[min(len(rest), cut):] {
			if len(rest) <= cut {
				_ = st.Finish(rest, h2test.Fields("id: "+fmt.Sprint(id)))
				break
			}
			if _, err := st.Write(rest[:cut]); err != nil {
				break
			}
		}
		c.Flush()
	})
	if b == closesRead {
		st.CloseRead()
		return nil
	}
	h, err := headOf(st)
	if err != nil {
		return nil // the server's caprice
	}
	if len(h.Fields) != 1 || h.Fields[0].Value != fmt.Sprint(id) {
		return fmt.Errorf("stream %d has the head %v", id, h.Fields)
	}
	buf := make([]byte, cut)
	for got := 0; ; {
		n, err := st.Read(buf)
		want := pattern(id, max(size, 1000)) // the server may have sent a thousand octets of its own
		if got+n > len(want) || string(buf[:n]) != string(want[got:got+n]) {
			return fmt.Errorf("stream %d has octets of another at %d", id, got)
		}
		got += n
		switch {
		case errors.Is(err, io.EOF):
			for _, f := range st.Trailers() {
				if f.Name == "id" && f.Value != fmt.Sprint(id) {
					return fmt.Errorf("stream %d has trailers of %s", id, f.Value)
				}
			}
			return nil
		case err != nil:
			return nil
		case b == resetsIt && got > cut:
			st.Reset(frame.Cancel)
			return nil
		case b == releasesIt && got > cut:
			wg.Wait() // a stream that is released may not be used
			return nil
		}
	}
}

// However streams end, their memory begins the next one clean. The race detector watches.
func TestRecycledStreamsAreClean(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				var mu sync.Mutex
				cfg := Config{Limits: core.Limits{ResetBurst: -1, GlitchBurst: -1}, MaxReceiveBufferPerStream: 3000}
				var pairs [3]*pair // connections that exchange the memory of their streams
				for i := range pairs {
					cn, sn := testEnds(t, memconn.Options{MaxRead: 1 + rnd.IntN(5000), Latency: 100 * time.Microsecond})
					pairs[i] = newPair(t, cn, sn, cfg, cfg, echoOrNot(rand.New(rand.NewPCG(seed, uint64(i))), &mu))
				}
				var wg sync.WaitGroup
				slots := make(chan struct{}, 60)
				for range 800 {
					p, m := pairs[rnd.IntN(len(pairs))], behaviour(rnd.IntN(int(numOfBehaviours)))
					size, cut := rnd.IntN(1<<rnd.IntN(16)), 1+rnd.IntN(3000)
					slots <- struct{}{}
					wg.Go(func() {
						if err := misuse(p.client, m, size, cut); err != nil {
							t.Error(err)
						}
						<-slots
					})
				}
				wg.Wait()
				for _, p := range pairs {
					p.wantClean()
					for _, s := range []Stats{p.client.Stats(), p.server.Stats()} {
						if s.Streams != 0 || s.Unread != 0 {
							t.Errorf("streams are left: %+v", s)
						}
					}
				}
			})
		})
	}
}

// Connections that die in all ways, in the middle of everything, give the memory of their streams
// to those that live.
func TestDyingConnectionsHarmNoOthers(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				var mu sync.Mutex
				limits := core.Limits{ResetBurst: -1, GlitchBurst: -1}
				connect := func(handler func(*Stream)) (*pair, net.Conn) {
					cn, sn := testEnds(t, memconn.Options{MaxRead: 2000, Latency: 50 * time.Microsecond})
					cfg := Config{Limits: limits, MaxReceiveBufferPerStream: 3000}
					return newPair(t, cn, sn, cfg, cfg, handler), cn
				}
				survivor, _ := connect(echo)
				var wg sync.WaitGroup
				for i := range 40 {
					p, cn := connect(echoOrNot(rand.New(rand.NewPCG(seed, uint64(i))), &mu))
					for range 10 {
						m, size := behaviour(rnd.IntN(int(numOfBehaviours))), rnd.IntN(20_000)
						wg.Go(func() { _ = misuse(p.client, m, size, 700) })
					}
					wg.Go(func() { survivor.roundTrip(pattern(uint32(i), 100*i)) })
					time.Sleep(time.Duration(rnd.IntN(1500)) * time.Microsecond)
					switch rnd.IntN(6) {
					case 0:
						_ = cn.Close()
					case 1:
						_ = p.server.Close()
					case 2:
						p.server.CloseWithError(frame.InternalError, "whim")
					case 3:
						p.client.CloseWithError(frame.NoError, "")
					case 4:
						_, _ = cn.Write(make([]byte, 9)) // DATA on stream 0, in the middle of something
					case 5:
						p.server.Shutdown()
					}
				}
				wg.Wait()
				survivor.wantClean()
			})
		})
	}
}

// Thousands of requests, of which many are reset, leave nothing behind. What a burst has made grow
// may stay, so not every round must end with what it began with; what requests leave behind would
// be there after each.
func TestManyRequestsLeakNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Limits: core.Limits{ResetBurst: -1}}
		cn, sn := testEnds(t, memconn.Options{})
		var running atomic.Int64
		p := newPair(t, cn, sn, cfg, cfg, func(st *Stream) {
			running.Add(1)
			defer running.Add(-1)
			if st.ID()%7 == 0 {
				_, _ = st.Read(make([]byte, 1)) // until the reset
				return
			}
			_ = st.Reply(status2(200), []byte("hello, world!"), nil)
		})
		one := func(rnd *rand.Rand) {
			h := h2test.Get(0)
			h.EndStream = rnd.IntN(2) == 0
			st, err := openStream(p.client, h.Fields, h.EndStream)
			if err != nil {
				t.Error(err)
				return
			}
			p.client.Flush()
			if rnd.IntN(3) == 0 || st.ID()%7 == 0 {
				st.Reset(frame.Cancel)
			} else if _, err := headOf(st); err != nil {
				t.Error(err)
			}
			st.Release()
			p.client.Flush()
		}
		round := func(n int) {
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(n), uint64(i)))
					for range n / 10 {
						one(rnd)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
		}
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		const requests = 5000
		round(requests)
		grown := int64(math.MaxInt64)
		before := heap()
		for range 4 {
			round(requests)
			after := heap()
			grown, before = min(grown, int64(after)-int64(before)), after
		}
		if n := running.Load(); n != 0 {
			t.Errorf("%d handlers are still running", n)
		}
		if grown > requests*8 {
			t.Errorf("%d requests leave %d octets of memory", requests, grown)
		}
		for _, c := range []*Conn{&p.client.Conn, &p.server.Conn} {
			if s := c.Stats(); s.Streams != 0 || s.Unread != 0 {
				t.Errorf("Stats: %+v", s)
			}
		}
		p.wantClean()
	})
}
