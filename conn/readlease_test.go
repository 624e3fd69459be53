package conn

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// sendBackToBack has requests follow one another until they read for themselves, and returns the
// next stream's identifier.
func (p *testPeer) sendBackToBack() uint32 {
	p.t.Helper()
	for id := uint32(1); id <= 7; id += 2 {
		st := p.openRequest(h2test.Get(id), "")
		k := p.start(func() (int, error) { _, err := st.AwaitHead(); return 0, err })
		p.want("the request", h2test.Get(id))
		p.send(h2test.Response(id, 204).End())
		k.want("the response", 0, nil)
		st.Release()
		time.Sleep(backToBackGap / 2)
	}
	if holder, grants, _ := p.lease(); grants == 0 || holder != leaseFree {
		p.t.Fatalf("no request reads for itself: %v, %d times", holder, grants)
	}
	return 9
}

// lease returns the holder of the read lease, how often requests had it, and the request that has
// it.
func (p *testPeer) lease() (leaseHolder, uint64, *Stream) {
	synctest.Wait()
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	t := &p.c.client.lease
	return t.holder, t.grants, t.inlineReader
}

// startInlineRequest begins a request whose goroutine reads.
func (p *testPeer) startInlineRequest(id uint32) (*Stream, *call) {
	p.t.Helper()
	st := p.openRequest(h2test.Get(id), "")
	k := p.start(func() (int, error) { _, err := st.AwaitHead(); return 0, err })
	p.want("the request", h2test.Get(id))
	if _, _, reader := p.lease(); reader != st {
		p.t.Fatal("the request does not read for itself")
	}
	return st, k
}

// Whatever ends the wait of a request that reads for itself leaves a connection that is read.
func TestReadLease(t *testing.T) {
	needsSocket(t)
	tests := []struct {
		name string
		end  func(p *testPeer, st *Stream)
		want error
		dead bool
	}{
		{"response", func(p *testPeer, st *Stream) { p.send(h2test.Response(st.ID(), 204).End()) }, nil, false},
		{"head only", func(p *testPeer, st *Stream) { p.send(h2test.Response(st.ID(), 200)) }, nil, false},
		{"cut response", func(p *testPeer, st *Stream) {
			b := p.codec.Append(nil, h2test.Response(st.ID(), 200))
			p.send(h2test.Raw(b[:5]))
			p.send(h2test.Raw(b[5:]))
		}, nil, false},
		{
			"reset by the peer",
			func(p *testPeer, st *Stream) { p.send(h2test.RST(st.ID(), frame.InternalError)) },
			frame.InternalError,
			false,
		},
		{"reset by us", func(p *testPeer, st *Stream) { st.Reset(frame.Cancel) }, frame.Cancel, false},
		{"deadline", func(p *testPeer, st *Stream) {
			_ = st.SetReadDeadline(time.Now().Add(time.Second))
			time.Sleep(time.Second)
		}, os.ErrDeadlineExceeded, false},
		{
			"deadline in the past",
			func(p *testPeer, st *Stream) { _ = st.SetReadDeadline(time.Now()) },
			os.ErrDeadlineExceeded,
			false,
		},
		{
			"GOAWAY",
			func(p *testPeer, st *Stream) { p.send(h2test.GoAway(st.ID()-2, frame.NoError, "")) },
			frame.RefusedStream,
			true,
		},
		{"fault", func(p *testPeer, st *Stream) { p.send(h2test.Data(0, "x")) }, frame.ProtocolError, true},
		{"end", func(p *testPeer, st *Stream) { _ = p.nc.Close() }, frame.NoError, true},
		{"Close", func(p *testPeer, st *Stream) { _ = p.c.Close() }, frame.NoError, true},
		{
			"CloseWithError",
			func(p *testPeer, st *Stream) { p.c.CloseWithError(frame.InternalError, "") },
			frame.InternalError,
			true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestServer(t, Config{})
				st, k := p.startInlineRequest(p.sendBackToBack())
				tt.end(p, st)
				k.want("AwaitHead", 0, tt.want)
				st.Release()
				p.c.FlushNoWait()
				time.Sleep(2 * leaseFreeTime)
				p.read()
				p.in = nil
				if tt.dead {
					_ = p.nc.Close()
					time.Sleep(closeGrace + lingerTime)
					p.wantServed("the connection is over")
					return
				}
				p.send(h2test.Ping("are you?"))
				p.want("the connection is read", h2test.PingAck("are you?"))
			})
		})
	}
}

// Another request that comes while one reads gets its response from that one, and then from Serve.
func TestReadLeaseShared(t *testing.T) {
	needsSocket(t)
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		id := p.sendBackToBack()
		a, first := p.startInlineRequest(id)
		b := p.openRequest(h2test.Get(id+2), "")
		second := p.start(func() (int, error) { _, err := b.AwaitHead(); return 0, err })
		p.want("the second", h2test.Get(id+2))
		p.send(h2test.Response(id+2, 204).End())
		second.want("answered first", 0, nil)
		first.wantWaiting("not yet")
		c := p.openRequest(h2test.Get(id+4), "")
		third := p.start(func() (int, error) { _, err := c.AwaitHead(); return 0, err })
		p.want("the third", h2test.Get(id+4))
		p.send(h2test.Response(id, 204).End())
		first.want("answered", 0, nil)
		p.send(h2test.Response(id+4, 204).End())
		third.want("answered by Serve", 0, nil)
		for _, st := range []*Stream{a, b, c} {
			st.Release()
		}
	})
}

// A free lease is returned soon, at once where a Ping waits for its answer, and when the
// connection is closed.
func TestReadLeaseTakenBack(t *testing.T) {
	needsSocket(t)
	for name, do := range map[string]func(p *testPeer){
		"time": func(p *testPeer) {
			p.send(h2test.Ping("anybody?"))
			p.want("nobody reads for a moment")
			time.Sleep(leaseFreeTime)
			p.want("a moment later", h2test.PingAck("anybody?"))
		},
		"Ping": func(p *testPeer) {
			k := p.start(func() (int, error) { _, err := p.c.Ping(p.t.Context()); return 0, err })
			for f := range p.frames() {
				f := f.(frame.Ping)
				f.Ack = true
				p.send(f)
			}
			k.want("answered at once", 0, nil)
		},
		"Close": func(p *testPeer) {
			_ = p.c.Close()
			p.wantServed("at once")
		},
		"Shutdown": func(p *testPeer) {
			p.c.Shutdown()
			p.want("drained", h2test.GoAway(0, frame.NoError, ""))
			_ = p.nc.Close()
			time.Sleep(lingerTime)
			p.wantServed("closed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestServer(t, Config{})
				p.sendBackToBack()
				do(p)
			})
		})
	}
}

// Requests that do not follow closely leave reading to Serve.
func TestReadLeaseNotForSlowRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Client, Config{}, memconn.Options{})
		p.greet()
		for id := uint32(1); id <= 9; id += 2 {
			st := p.openRequest(h2test.Get(id), "")
			p.want("the request", h2test.Get(id))
			p.send(h2test.Response(id, 204).End())
			_, err := st.AwaitHead()
			check(t, "AwaitHead", err)
			st.Release()
			time.Sleep(2 * backToBackGap)
		}
		if _, n, _ := p.lease(); n != 0 {
			t.Errorf("%d requests read for themselves", n)
		}
	})
}

// What the server has said, or done, while nothing was read is known before a stream is opened.
func TestReadLeaseCatchesUp(t *testing.T) {
	needsSocket(t)
	for name, leave := range map[string]func(p *testPeer){
		"GOAWAY": func(p *testPeer) { p.send(h2test.GoAway(7, frame.NoError, "")) },
		"end":    func(p *testPeer) { _ = p.nc.CloseWrite() },
	} {
		for _, open := range []func(p *testPeer) error{
			func(p *testPeer) error {
				_, err := p.client.OpenRequest(&Request{Fields: h2test.Get(0).Fields, End: true})
				return err
			},
			func(p *testPeer) error { _, err := openStream(p.client, h2test.Get(0).Fields, true); return err },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newTestServer(t, Config{})
					p.sendBackToBack()
					leave(p)
					time.Sleep(6 * time.Millisecond)
					if holder, _, _ := p.lease(); holder != leaseFree {
						t.Fatalf("somebody reads: %v", holder)
					}
					if err := open(p); !errors.Is(err, core.ErrNoMoreStreams) {
						t.Errorf("opening a stream: %v", err)
					}
				})
			})
		}
	}
}

// The same over TLS, where what came may be read already together with the last response.
func TestReadLeaseCatchesUpOnTLS(t *testing.T) {
	needsSocket(t)
	for _, together := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, b := memconn.Pipe(memconn.Options{})
			cn, sn := overTLS(t, a, b)
			p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
				_ = st.Reply(status2(204), nil, nil)
				if together && st.ID() == 39 {
					go st.Conn().Shutdown() // the GOAWAY follows at once
				}
			})
			get := func() error {
				st, err := p.client.OpenRequest(&Request{Fields: h2test.Get(0).Fields, End: true})
				if err != nil {
					return err
				}
				_, err = st.AwaitHead()
				st.Release()
				p.client.FlushNoWait()
				time.Sleep(backToBackGap / 2)
				return err
			}
			for range 20 {
				check(t, "GET", get())
			}
			if p.client.client.lease.grants == 0 {
				t.Fatal("no request has read for itself")
			}
			if !together {
				p.server.Shutdown()
			}
			time.Sleep(5 * time.Millisecond)
			if err := get(); !errors.Is(err, core.ErrNoMoreStreams) {
				t.Errorf("opening a stream: %v", err)
			}
		})
	}
}

// A request that reads for itself does not wait for room in the output, where nothing would reach
// it.
func TestReadLeaseReturnedWhileOutputIsFull(t *testing.T) {
	needsSocket(t)
	for name, giveUp := range map[string]func(st *Stream){
		"reset":    func(st *Stream) { st.Reset(frame.Cancel) },
		"deadline": func(st *Stream) { _ = st.SetReadDeadline(time.Now()) },
		"Close":    func(st *Stream) { _ = st.Conn().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestServer(t, Config{})
				st, k := p.startInlineRequest(p.sendBackToBack())
				for range 50_000 { // more than the socket takes and the output may hold
					if _, err := p.c.startPing(func(error) {}); err != nil {
						t.Fatal(err)
					}
				}
				p.send(h2test.Ping("anybody?"))
				k.wantWaiting("no response")
				start := time.Now()
				giveUp(st)
				synctest.Wait()
				k.mu.Lock()
				done := k.done
				k.mu.Unlock()
				if !done || time.Since(start) > 0 {
					t.Error("the request still waits")
				}
				_ = p.c.Close()
				st.Release()
			})
		})
	}
}
