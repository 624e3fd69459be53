package conn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// writes returns how often the connection has written to its socket.
func (p *testPeer) writes() int {
	synctest.Wait()
	_, w := p.far.Calls()
	return w - p.made
}

// gets are n requests from stream id on.
func gets(id uint32, n int) (frames []any) {
	for ; n > 0; n-- {
		frames = append(frames, h2test.Get(id))
		id += 2
	}
	return frames
}

func answer(batch []*Stream) {
	for _, st := range batch {
		_ = st.Reply(status2(200), []byte("hello, world!"), nil)
		st.Release()
	}
}

func TestAnswersLeaveInOneWrite(t *testing.T) {
	needsLargeReads(t)
	handlers := map[string]func(p *testPeer) func([]*Stream){
		"on the read goroutine": func(p *testPeer) func([]*Stream) {
			return func(batch []*Stream) {
				answer(batch)
				p.c.Flush()
			}
		},
		"by one worker": func(p *testPeer) func([]*Stream) {
			return func(batch []*Stream) {
				batch = append([]*Stream(nil), batch...)
				go func() {
					answer(batch)
					p.c.Flush()
				}()
			}
		},
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				p.h.onStreams = h(p)
				before := p.writes()
				p.send(gets(1, 100)...)
				if n := p.writes() - before; n != 1 {
					t.Errorf("100 answers took %d writes", n)
				}
				if len(p.h.batches) != 1 {
					t.Errorf("100 requests of one read came in batches of %v", p.h.batches)
				}
				answers := 0
				for f := range p.frames() {
					if _, ok := f.(frame.Data); ok {
						answers++
					}
				}
				if answers != 100 {
					t.Errorf("%d answers have come", answers)
				}
			})
		})
	}
}

// What the handler has not caused does not wait for it: it may take its time over the streams of
// the same read.
func TestHandlerHoldsUpNoOtherOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{}, memconn.Options{})
		p.want(
			"first flight",
			firstSettings(),
			h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow),
		)
		p.send(h2test.Raw(frame.Preface), h2test.Settings(h2test.InitialWindow(5)), h2test.Get(1))
		p.want("SETTINGS are acknowledged", h2test.Ack)
		p.send(h2test.Ping("are you?"), h2test.Get(3))
		p.want("PING is answered", h2test.PingAck("are you?"))
		st := p.stream(1)
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		k := p.start(func() (int, error) { return st.Write([]byte("hello, world")) })
		p.want("the window lets pass", h2test.Response(1, 200), h2test.Data(1, "hello"))
		p.send(h2test.WindowUpdate(1, 7), h2test.Get(5))
		p.want("WINDOW_UPDATE lets a writer go on", h2test.Data(1, ", world"))
		k.want("all is sent", 12, nil)
		st.Release()
	})
}

// And where the handler answers at once, all leaves together.
func TestOtherOutputLeavesWithTheAnswers(t *testing.T) {
	needsLargeReads(t)
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		p.h.onStreams = func(batch []*Stream) {
			answer(batch)
			p.c.Flush()
		}
		before := p.writes()
		p.send(append([]any{h2test.Ping("are you?")}, gets(1, 10)...)...)
		if n := p.writes() - before; n != 1 {
			t.Errorf("it took %d writes", n)
		}
	})
}

// A peer that reads nothing.
func newBlockedPeer(t *testing.T, cfg Config) *testPeer {
	p := startTestPeer(t, core.Server, cfg, memconn.Options{Buffer: 1 << 12})
	p.greet(h2test.InitialWindow(1<<24), frame.Setting{ID: frame.SettingMaxFrameSize, Value: 1 << 20})
	p.send(h2test.WindowUpdate(0, 1<<24))
	return p
}

func TestBlockedSocketBlocksNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlockedPeer(t, Config{WriteByteTimeout: time.Hour})
		big := p.open(h2test.Get(1))
		check(t, "WriteHeaders", big.WriteHeaders(status2(200), false))
		k := p.start(func() (int, error) { return big.Write(make([]byte, 1<<20)) })
		k.wantWaiting("the peer does not read")
		if b := p.takeBlocked(); len(b) == 0 {
			t.Error("StreamBlocked was not called although the socket is blocked")
		}

		// Reading goes on.
		st := p.open(h2test.Post(3))
		p.send(h2test.DataEnd(3, "body"))
		p.start(func() (int, error) { return st.Read(make([]byte, 10)) }).want("DATA comes", 4, nil)
		p.start(func() (int, error) { return 0, st.Reply(status2(200), []byte("answer"), nil) }).
			want("Reply does not wait", 0, nil)
		p.start(func() (int, error) { p.c.Flush(); return 0, nil }).want("Flush has somebody who flushes", 0, nil)
		st.Release()
		p.start(func() (int, error) { return p.c.Stats().Streams, nil }).want("Stats do not wait", 2, nil)
		// And cancellation.
		st = p.open(h2test.Post(5))
		var ended onEnd
		ended.set(st)
		r := p.start(func() (int, error) { return st.Read(make([]byte, 10)) })
		p.send(h2test.RST(5, frame.Cancel))
		r.want("the reader is told", 0, frame.Cancel)
		ended.want(t, "cancelled", frame.Cancel)
		st.Release()
		p.send(h2test.RST(1, frame.Cancel))
		big.SetReadDeadline(time.Now())
		if err := big.Err(); !errors.Is(err, frame.Cancel) {
			t.Errorf("Err is %v", err)
		}
		_ = p.nc.Close()
		synctest.Wait()
		big.Release()
	})
}

func TestWriteStallEndsTheConnection(t *testing.T) {
	if testKind == memconn.FatalTimeouts {
		t.Skip("the connection has its own error for it")
	}
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		p := newBlockedPeer(t, Config{WriteByteTimeout: limit})
		st := p.open(h2test.Get(1))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		k := p.start(func() (int, error) {
			_, err := st.Write(make([]byte, 1<<20))
			return 0, err
		})
		time.Sleep(limit - tick)
		k.wantWaiting("there is time left")
		p.wantServing("there is time left")
		time.Sleep(2*limit + 2*tick) // three times the limit where deadlines do not work
		k.want("the peer has read nothing", 0, os.ErrDeadlineExceeded)
		if err := p.wantServed("the connection is over"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Serve returned %v", err)
		}
		st.Release()
	})
}

func TestSlowButSteadyPeer(t *testing.T) {
	if testKind == memconn.FatalTimeouts {
		t.Skip("it is closed by a deadline even where a part was written")
	}
	if testKind == memconn.TLS {
		t.Skip("the peer's TLS reads whole records: see TestSlowButSteadyPeerOnTLS")
	}
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		p := newBlockedPeer(t, Config{WriteByteTimeout: limit})
		st := p.open(h2test.Get(1))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		k := p.start(func() (int, error) {
			defer p.c.Flush()
			return st.Write(make([]byte, 300_000))
		})
		var buf [1000]byte
		for range 290 { // five octets in a hundred seconds would do, too
			time.Sleep(limit / 2)
			n, err := p.nc.Read(buf[:])
			check(t, "Read", err)
			p.in = append(p.in, buf[:n]...)
		}
		got := 0
		for f := range p.frames() {
			if d, ok := f.(frame.Data); ok {
				got += len(d.Data)
			}
		}
		k.want("all is sent", 300_000, nil)
		if got != 300_000 {
			t.Errorf("%d octets have come", got)
		}
		st.Release()
	})
}

// The same on TLS, where what is written in one call must be taken in one timeout.
func TestSlowButSteadyPeerOnTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, size = 10 * time.Second, 300_000
		cn, sn := testEnds(t, memconn.Options{Buffer: 4096, Bandwidth: 2000})
		client, server := overTLS(t, cn, sn)
		p := newPair(
			t,
			client,
			server,
			Config{MaxReceiveBufferPerStream: size},
			Config{WriteByteTimeout: limit},
			func(st *Stream) {
				_ = st.Reply(status2(200), make([]byte, size), nil)
			},
		)
		st, err := openStream(p.client, h2test.Get(1).Fields, true)
		check(t, "OpenStream", err)
		p.client.Flush()
		got, err := io.ReadAll(st)
		if len(got) != size || err != nil {
			t.Errorf("%d octets have come, %v", len(got), err)
		}
		st.Release()
		p.wantClean()
	})
}

// While the peer lets answers pile up, its requests are not read.
func TestOutputHighWater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlockedPeer(t, Config{WriteByteTimeout: time.Hour, MaxConcurrentStreams: 1 << 20})
		body := make([]byte, keepLimit)
		p.h.onStreams = func(batch []*Stream) {
			for _, st := range batch {
				_ = st.Reply(status2(200, "x-large", string(body)), nil, nil)
				st.Release()
			}
			go p.c.Flush()
		}
		var sent sync.WaitGroup
		const requests = 2000
		sent.Go(func() {
			for i := range requests {
				if _, err := p.nc.Write(p.codec.Append(nil, h2test.Get(uint32(2*i+1)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		synctest.Wait()
		s := p.c.Stats()
		if s.StreamsOpened < 10 || s.StreamsOpened > requests/2 {
			t.Errorf("%d requests were read from a peer that reads nothing", s.StreamsOpened)
		}
		time.Sleep(time.Minute) // a frame that was read in part waits without blame
		answers := 0
		for range p.frames() {
			answers++
		}
		sent.Wait()
		for range p.frames() {
			answers++
		}
		if answers != requests {
			t.Errorf("%d answers have come", answers)
		}
	})
}

func TestManyWritersOneSocket(t *testing.T) {
	for _, chunk := range []int{100, 5000, 40_000} {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(t, core.Server, Config{}, memconn.Options{Buffer: 20_000})
				p.greet(h2test.InitialWindow(1 << 24))
				p.send(h2test.WindowUpdate(0, 1<<30))
				const streams, size = 10, 400_000
				p.h.onStreams = func(batch []*Stream) {
					for _, st := range batch {
						go func() {
							_ = st.WriteHeaders(status2(200), false)
							body := pattern(st.ID(), size)
							for len(body) > chunk {
								if _, err := st.Write(body[:chunk]); err != nil {
									t.Error(err)
								}
								body = body[chunk:]
							}
							if err := st.Finish(body, nil); err != nil {
								t.Error(err)
							}
							st.Release()
							p.c.Flush()
						}()
					}
				}
				p.send(gets(1, streams)...)
				got := map[uint32][]byte{}
				for f := range p.frames() {
					if d, ok := f.(frame.Data); ok {
						got[d.StreamID] = append(got[d.StreamID], d.Data...)
					}
				}
				for id := uint32(1); id < 2*streams; id += 2 {
					if string(got[id]) != string(pattern(id, size)) {
						t.Errorf("stream %d: %d octets have come, not those that were sent", id, len(got[id]))
					}
				}
			})
		})
	}
}
