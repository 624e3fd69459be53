package conn

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// tick is how long before a deadline a test looks: a moment, but longer than looking takes.
const tick = time.Millisecond

// wantDrain takes the two steps of a graceful shutdown, of which the peer answers the first.
func (p *testPeer) wantDrain(msg string, last uint32) {
	p.t.Helper()
	p.want(msg+": the first step", h2test.GoAway(frame.MaxStreamID, frame.NoError, ""), h2test.Ping("sluicego"))
	p.send(h2test.PingAck("sluicego"))
	second := []any{h2test.GoAway(last, frame.NoError, "")}
	if open, ended := p.c.Stats().Streams, last > 0; ended && open == 0 {
		second = append(second, h2test.Ping("sluiceby")) // whether all has arrived
	}
	p.want(msg+": the second step", second...)
}

func (p *testPeer) wantCleanEnd(msg string) {
	p.t.Helper()
	p.wantEOF(msg)
	_ = p.nc.Close()
	if err := p.wantServed(msg); err != nil {
		p.t.Errorf("%s: Serve returned %v", msg, err)
	}
}

func TestShutdownOfIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		p.c.Shutdown()
		p.c.Shutdown()
		p.wantDrain("shutdown", 0)
		p.wantCleanEnd("nothing was to be waited for")
	})
}

// What waits for the peer, a PING or its SETTINGS, ends with a connection that ends in good order,
// at whatever moment it was begun.
func TestWaitsEndWithADrain(t *testing.T) {
	for name, role := range map[string]core.Role{"client": core.Client, "server": core.Server} {
		for _, when := range []string{"before", "between", "in the close", "after"} {
			t.Run(name+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := startTestPeer(t, role, Config{}, memconn.Options{})
					p.greet()
					var k *call
					ping := func(now string) {
						if now == when {
							k = p.start(func() (int, error) { _, err := p.c.Ping(t.Context()); return 0, err })
						}
					}
					ping("before")
					p.c.Shutdown()
					synctest.Wait()
					ping("between")
					time.Sleep(time.Second - tick) // a server's PING is not answered, a client lingers
					if role == core.Client && testKind == memconn.NoCloseWrite {
						check(t, "Serve", p.wantServed("no half of it is left open to linger on"))
					} else {
						p.wantServing("the drain goes on")
					}
					time.Sleep(2 * tick)
					ping("in the close")
					_ = p.nc.Close()
					if err := p.wantServed("the peer has closed"); err != nil {
						t.Errorf("Serve returned %v", err)
					}
					ping("after")
					k.want("it is over", 0, net.ErrClosed)
				})
			})
		}
	}
	t.Run("GOAWAY", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newTestServer(t, Config{})
			k := p.start(func() (int, error) { _, err := p.c.Ping(t.Context()); return 0, err })
			p.send(h2test.GoAway(0, frame.NoError, ""))
			k.want("the peer has ended it", 0, net.ErrClosed)
		})
	})
	t.Run("SETTINGS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := startTestPeer(t, core.Client, Config{}, memconn.Options{})
			p.readPreface()
			k := p.start(func() (int, error) { _, err := p.client.AwaitSettings(t.Context()); return 0, err })
			p.c.Shutdown()
			time.Sleep(time.Second + tick)
			k.want("it is over", 0, net.ErrClosed)
		})
	})
}

func TestShutdownWithRunningStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		a, b := p.open(h2test.Get(1)), p.open(h2test.Post(3))
		p.c.Shutdown()
		p.want("the first step", h2test.GoAway(frame.MaxStreamID, frame.NoError, ""), h2test.Ping("sluicego"))
		c := p.open(h2test.Get(5)) // was on its way
		p.send(h2test.PingAck("sluicego"))
		p.want("the second step", h2test.GoAway(5, frame.NoError, ""))
		p.send(h2test.Get(7)) // too late
		if len(p.h.streams) != 3 {
			t.Error("a stream after the final GOAWAY was handed over")
		}
		for _, st := range []*Stream{a, c} {
			check(t, "Reply", st.Reply(status2(200), nil, nil))
			st.Release()
			p.c.Flush()
			p.wantServing("streams are running")
		}
		p.want("answers", h2test.Response(1, 200).End(), h2test.Response(5, 200).End())
		time.Sleep(time.Hour)
		p.wantIdle("there is no limit to the drain")
		p.send(h2test.DataEnd(3, "body"))
		check(t, "Reply", b.Reply(status2(200), []byte("last"), nil))
		b.Release()
		p.c.Flush()
		p.want("the last answer", h2test.Response(3, 200), h2test.DataEnd(3, "last"), h2test.Ping("sluiceby"))
		p.wantCleanEnd("all streams have ended")
	})
}

func TestShutdownWithoutAnswerToPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		p.c.Shutdown()
		p.want("the first step", h2test.GoAway(frame.MaxStreamID, frame.NoError, ""), h2test.Ping("sluicego"))
		time.Sleep(time.Second)
		p.want("the second step comes all the same", h2test.GoAway(0, frame.NoError, ""))
		p.wantCleanEnd("shutdown")
	})
}

// The last stream may end in any way: the connection must see that it is drained.
func TestDrainEndsHoweverTheLastStreamEnds(t *testing.T) {
	ends := map[string]func(p *testPeer, st *Stream){
		"reset by the peer": func(p *testPeer, _ *Stream) { p.send(h2test.RST(1, frame.Cancel)) },
		"reset by us":       func(_ *testPeer, st *Stream) { st.Reset(frame.InternalError) },
		"stream error": func(p *testPeer, _ *Stream) {
			p.send(h2test.WindowUpdate(1, 1<<31-1), h2test.WindowUpdate(1, 1))
		},
		"released": func(p *testPeer, st *Stream) {
			st.Release()
			p.c.Flush()
		},
		"END_STREAM of the peer": func(p *testPeer, st *Stream) {
			_ = st.Reply(status2(200), nil, nil)
			p.c.Flush()
			p.send(h2test.DataEnd(1, "end"))
		},
		"kept data goes out": func(p *testPeer, st *Stream) {
			p.send(h2test.DataEnd(1, ""))
			_ = st.Reply(status2(200), []byte("x"), nil)
			p.c.Flush()
			p.send(h2test.WindowUpdate(1, 1))
		},
		"stalled": func(p *testPeer, st *Stream) {
			_ = st.Reply(status2(200), []byte("x"), nil)
			p.c.Flush()
			time.Sleep(DefaultStallTimeout)
		},
		"write deadline": func(p *testPeer, st *Stream) {
			_ = st.Reply(status2(200), []byte("x"), nil)
			_ = st.SetWriteDeadline(time.Now().Add(time.Second))
			st.Release()
			time.Sleep(time.Second)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
				st := p.open(h2test.Post(1))
				p.c.Shutdown()
				p.wantDrain("shutdown", 1)
				end(p, st)
				for range p.frames() {
				}
				p.wantCleanEnd(name)
			})
		})
	}
}

func TestGraceOfShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{MaxConnectionAgeGrace: 10 * time.Second})
		st := p.open(h2test.Get(1))
		p.c.Shutdown()
		p.wantDrain("shutdown", 1)
		time.Sleep(10*time.Second - tick)
		p.wantServing("there is time left")
		time.Sleep(tick)
		p.want(
			"the grace is over",
			h2test.GoAway(1, frame.NoError, "streams still ran when the grace of the shutdown was over"),
		)
		p.wantEOF("the connection ends")
		if err := st.Err(); !errors.Is(err, frame.NoError) {
			t.Errorf("Err is %v", err)
		}
		st.Release()
	})
}

func TestMaxConnectionAge(t *testing.T) {
	const age = 10 * time.Minute
	earliest, latest := 2*age, time.Duration(0)
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := newTestPeer(t, Config{MaxConnectionAge: age})
			st := p.open(h2test.Get(1))
			for p.far.Buffered() == 0 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			at := time.Since(start)
			earliest, latest = min(earliest, at), max(latest, at)
			p.wantDrain("age", 1)
			check(t, "Reply", st.Reply(status2(200), nil, nil))
			st.Release()
			p.c.Flush()
			p.want("the stream may end", h2test.Response(1, 200).End(), h2test.Ping("sluiceby"))
			p.wantCleanEnd("age")
		})
	}
	if earliest < age*9/10 || latest > age*11/10+time.Second || latest-earliest < age/20 {
		t.Errorf("connections were drained %v to %v old, want %v and a random tenth", earliest, latest, age)
	}
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 30 * time.Second
		p := newTestPeer(t, Config{IdleTimeout: timeout})
		time.Sleep(timeout - time.Second)
		p.wantIdle("there is time left")

		// A request that takes its time, with no frame from the peer.
		st := p.open(h2test.Get(1))
		time.Sleep(time.Hour)
		p.wantIdle("a stream is open")
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		st.Release()
		p.c.Flush()
		p.want("the answer", h2test.Response(1, 200).End())
		time.Sleep(timeout - time.Second)
		p.wantIdle("idleness begins with the end of the stream")

		p.send(h2test.Ping("not work"))
		p.want("PING is answered", h2test.PingAck("not work"))
		time.Sleep(time.Second)
		p.wantDrain("PING does not count as use", 1)
		p.wantCleanEnd("idle")
	})
}

func TestIdleTimeoutAfterResetByTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{IdleTimeout: time.Minute}, h2test.InitialWindow(0))
		st := p.open(h2test.Get(1))
		time.Sleep(time.Hour)
		_ = st.Reply(status2(200), []byte("x"), nil)
		st.Release()
		p.c.Flush()
		for range p.frames() {
		}
		time.Sleep(DefaultStallTimeout)
		p.want("the stream has stalled", h2test.RST(1, frame.Cancel))
		time.Sleep(time.Minute - tick)
		p.wantIdle("idleness begins then")
		time.Sleep(tick)
		p.wantDrain("idle", 1)
		p.wantCleanEnd("idle")
	})
}

func TestKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{SendPingTimeout: 10 * time.Second, PingTimeout: 3 * time.Second})
		for range 3 {
			time.Sleep(10*time.Second - tick)
			p.wantIdle("the peer was heard of lately")
			time.Sleep(tick)
			p.want("PING", h2test.Ping("sluiceka"))
			time.Sleep(3*time.Second - tick)
			p.send(h2test.PingAck("sluiceka"))
		}
		p.send(h2test.Ping("hello"))
		p.want("answer", h2test.PingAck("hello"))
		time.Sleep(10 * time.Second)
		p.want("PING", h2test.Ping("sluiceka"))
		time.Sleep(3*time.Second - tick)
		p.wantServing("there is time left")
		time.Sleep(tick)
		p.want("no answer", h2test.GoAway(0, frame.NoError, "PING not answered in time (RFC 9113 §6.7)"))
		p.wantEOF("the connection ends")
		time.Sleep(lingerTime)
		if err := p.wantServed("the peer is gone"); err == nil {
			t.Error("Serve returned no error")
		}
	})
}

func TestClientIsDrainedByServersGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		var st [3]*Stream
		for i := range st {
			var err error
			if st[i], err = openStream(p.client, h2test.Get(1).Fields, true); err != nil {
				t.Fatal(err)
			}
		}
		p.c.Flush()
		for range p.frames() {
		}
		p.send(h2test.GoAway(3, frame.NoError, "bye"))
		if err := st[2].Err(); !errors.Is(err, frame.RefusedStream) {
			t.Errorf("Err of a stream above the last is %v", err)
		}
		if _, err := openStream(p.client, h2test.Get(1).Fields, true); !errors.Is(err, core.ErrNoMoreStreams) {
			t.Errorf("OpenStream after GOAWAY: %v", err)
		}
		st[2].Release()
		p.send(h2test.Response(1, 200).End())
		st[0].Release()
		p.wantServing("one is left")
		p.send(h2test.Response(3, 200), h2test.DataEnd(3, "x"))
		st[1].Release()
		p.wantCleanEnd("drained")
	})
}

func TestShutdownAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{IdleTimeout: time.Hour}, memconn.Options{})
		_ = p.nc.Close()
		_ = p.wantServed("lost")
		p.c.Shutdown()
		p.c.CloseWithError(frame.InternalError, "late")
		p.c.Flush()
		if s := p.c.Stats(); s.Streams != 0 {
			t.Errorf("Stats: %+v", s)
		}
	})
}

// A timer that fires late, since the process was stopped, lets the reader go first.
func TestTimerRingsLate(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newTestPeer(t, Config{SendPingTimeout: 10 * time.Second, PingTimeout: 3 * time.Second})
			time.Sleep(10 * time.Second)
			p.want("silence", h2test.Ping("sluiceka"))
			p.c.mu.Lock()
			p.c.mu.timer.t.Stop()
			p.c.mu.Unlock()
			time.Sleep(time.Hour)
			p.c.timerFired()
			if answers {
				p.send(h2test.PingAck("sluiceka"))
			}
			time.Sleep(2 * time.Second)
			if answers {
				p.want("it was not the peer that was late")
			} else {
				p.want("no answer", h2test.GoAway(0, frame.NoError, "PING not answered in time (RFC 9113 §6.7)"))
			}
			_ = p.nc.Close()
			synctest.Wait()
		})
	}
}
