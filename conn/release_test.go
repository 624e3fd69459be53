package conn

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

func TestRelease(t *testing.T) {
	head200 := func(st *Stream) { _ = st.WriteHeaders(status2(200), false) }
	tests := []struct {
		name string
		req  h2test.Block
		do   func(st *Stream)
		want []any
	}{
		{"nothing done", h2test.Get(1), func(*Stream) {}, []any{h2test.RST(1, frame.Cancel)}},
		{"nothing done, body to come", h2test.Post(1), func(*Stream) {}, []any{h2test.RST(1, frame.Cancel)}},
		{"after the head", h2test.Get(1), head200, []any{h2test.Response(1, 200), h2test.RST(1, frame.Cancel)}},
		{"after some data", h2test.Get(1), func(st *Stream) {
			head200(st)
			_, _ = st.Write([]byte("half"))
		}, []any{h2test.Response(1, 200), h2test.Data(1, "half"), h2test.RST(1, frame.Cancel)}},
		{"finished", h2test.Get(1), func(st *Stream) {
			_ = st.Reply(status2(200), nil, nil)
		}, []any{h2test.Response(1, 200).End()}},
		{"finished, body to come", h2test.Post(1), func(st *Stream) {
			_ = st.Reply(status2(200), []byte("enough"), nil)
		}, []any{h2test.Response(1, 200), h2test.DataEnd(1, "enough"), h2test.RST(1, frame.NoError)}},
		{"finished without body, body to come", h2test.Post(1), func(st *Stream) {
			_ = st.Reply(status2(413), nil, nil)
		}, []any{h2test.Response(1, 413).End(), h2test.RST(1, frame.NoError)}},
		{
			"reset",
			h2test.Get(1),
			func(st *Stream) { st.Reset(frame.InternalError) },
			[]any{h2test.RST(1, frame.InternalError)},
		},
		{"reset twice", h2test.Post(1), func(st *Stream) {
			st.Reset(frame.InternalError)
			st.Reset(frame.Cancel)
		}, []any{h2test.RST(1, frame.InternalError)}},
		{"read closed, finished", h2test.Post(1), func(st *Stream) {
			st.CloseRead()
			_ = st.Reply(status2(200), nil, nil)
		}, []any{h2test.Response(1, 200).End(), h2test.RST(1, frame.NoError)}},
		{"finished, read closed", h2test.Post(1), func(st *Stream) {
			_ = st.Reply(status2(200), nil, nil)
			st.CloseRead()
		}, []any{h2test.Response(1, 200).End(), h2test.RST(1, frame.NoError)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				st := p.open(tt.req)
				tt.do(st)
				st.Release()
				p.c.Flush()
				p.want("after Release", tt.want...)
				if n := p.c.Stats().Streams; n != 0 {
					t.Errorf("%d streams are left", n)
				}
				if !tt.req.EndStream {
					p.send(h2test.DataEnd(1, "late")) // may have crossed our RST_STREAM
					p.wantIdle("late DATA is dropped")
				}
			})
		})
	}
}

func TestCloseReadStopsThePeerAfterOurEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		for i, reply := range []func(*Stream) error{
			func(st *Stream) error { return st.Reply(status2(200), nil, nil) },
			func(st *Stream) error { return st.Reply(status2(200), nil, h2test.Fields("a: b")) },
			func(st *Stream) error { return st.Reply(status2(200), []byte("x"), nil) },
		} {
			id := uint32(2*i + 1)
			st := p.open(h2test.Post(id))
			st.CloseRead()
			check(t, "Reply", reply(st))
			p.c.Flush()
			var last any
			for last = range p.frames() {
			}
			if last != h2test.RST(id, frame.NoError) {
				t.Errorf("the last frame on stream %d is %v", id, last)
			}
			st.Release()
		}
		p.c.Flush()
		p.wantIdle("all is said")
	})
}

func TestReleaseAfterPeersReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		p.send(h2test.Data(1, "part"), h2test.RST(1, frame.Cancel))
		if err := st.Err(); !errors.Is(err, frame.Cancel) {
			t.Errorf("Err is %v", err)
		}
		var se *frame.StreamError
		buf := make([]byte, 10)
		if n, err := st.Read(buf); string(buf[:n]) != "part" || err != nil {
			t.Errorf("Read of what had arrived: %q, %v", buf[:n], err)
		}
		if _, err := st.Read(buf); !errors.As(err, &se) || se.Initiator != frame.Remote || se.StreamID != 1 {
			t.Errorf("Read: %v", err)
		}
		if err := st.WriteHeaders(status2(200), true); !errors.As(err, &se) {
			t.Errorf("WriteHeaders: %v", err)
		}
		if err := st.Finish(nil, nil); !errors.As(err, &se) {
			t.Errorf("Finish: %v", err)
		}
		st.Reset(frame.InternalError)
		st.Release()
		p.c.Flush()
		p.wantIdle("RST_STREAM is never answered with RST_STREAM")
	})
}

func TestReleaseTwicePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
		st := p.open(h2test.Get(1))
		check(t, "Reply", st.Reply(status2(200), []byte("kept"), nil))
		st.Release()
		defer func() {
			if recover() == nil {
				t.Error("the second Release of a stream that still sends did not panic")
			}
		}()
		st.Release()
	})
}

func TestCloseRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		k := p.start(func() (int, error) { return st.Read(make([]byte, 10)) })
		st.CloseRead()
		k.want("a Read that waits", 0, ErrReadClosed)
		p.start(func() (int, error) { return st.Read(make([]byte, 10)) }).want("a later Read", 0, ErrReadClosed)
		st.CloseRead()

		// What arrives is dropped, and its credit goes back: the peer can send without end.
		for range 3 * DefaultMaxReceiveBufferPerStream / 16384 {
			p.send(frame.Data{StreamID: 1, Data: make([]byte, 16384)})
		}
		credit := 0
		for f := range p.frames() {
			if w, ok := f.(frame.WindowUpdate); ok && w.StreamID == 1 {
				credit += int(w.Increment)
			}
		}
		if credit < 2*DefaultMaxReceiveBufferPerStream {
			t.Errorf("%d octets of credit came back for %d", credit, 3*DefaultMaxReceiveBufferPerStream)
		}
		if u := p.c.Stats().Unread; u != 0 {
			t.Errorf("%d octets count as unread", u)
		}
		check(t, "Reply", st.Reply(status2(200), []byte("done"), nil))
		p.c.Flush()
		p.want(
			"a response is still possible",
			h2test.Response(1, 200),
			h2test.DataEnd(1, "done"),
			h2test.RST(1, frame.NoError),
		)
		if err := st.Err(); err != nil {
			t.Errorf("the exchange was complete, Err is %v", err)
		}
		st.Release()
	})
}

func TestCloseReadDropsWhatHasArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		p.send(frame.Data{StreamID: 1, Data: make([]byte, 10000)})
		if u := p.c.Stats().Unread; u != 10000 {
			t.Errorf("%d octets count as unread", u)
		}
		st.CloseRead()
		if u := p.c.Stats().Unread; u != 0 {
			t.Errorf("%d octets count as unread", u)
		}
		p.send(h2test.DataEnd(1, "rest"))
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		st.Release()
		p.c.Flush()
		p.want("nothing need be stopped: the request has ended", h2test.Response(1, 200).End())
	})
}

// onEnd notes the calls of an OnEnd function.
type onEnd struct {
	calls int
	err   error
}

func (e *onEnd) set(st *Stream) { st.OnEnd(func(err error) { e.calls++; e.err = err }) }

func (e *onEnd) want(t *testing.T, msg string, target error) {
	t.Helper()
	synctest.Wait()
	if e.calls != 1 || !errors.Is(e.err, target) {
		t.Errorf("%s: OnEnd was called %d times with %v, want once with %v", msg, e.calls, e.err, target)
	}
}

func TestOnEnd(t *testing.T) {
	ends := []struct {
		name string
		f    func(p *testPeer, st *Stream)
		want error
	}{
		{"peer's reset", func(p *testPeer, _ *Stream) { p.send(h2test.RST(1, frame.Cancel)) }, frame.Cancel},
		{"own reset", func(_ *testPeer, st *Stream) { st.Reset(frame.InternalError) }, frame.InternalError},
		{"stream error", func(p *testPeer, _ *Stream) { p.send(h2test.WindowUpdate(1, 1<<31-1)) }, frame.FlowControlError},
		{"connection error", func(p *testPeer, _ *Stream) { p.send(h2test.Data(3, "idle")) }, frame.ProtocolError},
		{"connection lost", func(p *testPeer, _ *Stream) { _ = p.nc.Close() }, io.EOF},
		{"connection closed", func(p *testPeer, _ *Stream) { _ = p.c.Close() }, net.ErrClosed},
		{
			"closed with an error",
			func(p *testPeer, _ *Stream) { p.c.CloseWithError(frame.EnhanceYourCalm, "") },
			frame.EnhanceYourCalm,
		},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				st := p.open(h2test.Post(1))
				var first, second onEnd
				first.set(st)
				tt.f(p, st)
				first.want(t, "set before", tt.want)
				second.set(st)
				second.want(t, "set after", tt.want)
				if err := st.Err(); !errors.Is(err, tt.want) {
					t.Errorf("Err is %v", err)
				}
				_ = p.nc.Close()
				time.Sleep(2 * lingerTime)
				_ = p.c.Close()
				st.Release()
				first.want(t, "after all", tt.want)
			})
		})
	}
}

func TestNoOnEndAfterCleanEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		var ended [4]onEnd
		// Both sides end, in either order.
		a, b := p.open(h2test.Post(1)), p.open(h2test.Post(3))
		ended[0].set(a)
		ended[1].set(b)
		p.send(h2test.DataEnd(1, ""))
		check(t, "Reply", a.Reply(status2(200), nil, nil))
		check(t, "Reply", b.Reply(status2(200), nil, nil))
		p.send(h2test.DataEnd(3, ""))
		// We end and want no more.
		c := p.open(h2test.Post(5))
		ended[2].set(c)
		c.CloseRead()
		check(t, "Reply", c.Reply(status2(200), nil, nil))
		// Released, and then lost.
		d := p.open(h2test.Post(7))
		ended[3].set(d)
		d.Release()
		_ = p.nc.Close()
		synctest.Wait()
		for i, st := range []*Stream{a, b, c} {
			if err := st.Err(); err != nil {
				t.Errorf("Err of stream %d is %v", st.ID(), err)
			}
			if ended[i].calls != 0 {
				t.Errorf("OnEnd of stream %d was called with %v", st.ID(), ended[i].err)
			}
			st.Release()
		}
		if ended[3].calls != 0 {
			t.Errorf("OnEnd was called with %v after Release", ended[3].err)
		}
	})
}

// A stream whose connection has died is released by its owner, and its memory may serve another
// connection at once. The dead connection must have nothing to do with it any more.
func TestReleasedStreamOfDeadConnectionIsFree(t *testing.T) {
	deaths := map[string]func(p *testPeer){
		"fatal error": func(p *testPeer) { p.send(h2test.Data(9, "idle")) },
		"closed":      func(p *testPeer) { _ = p.c.Close() },
		"lost":        func(p *testPeer) { _ = p.nc.Close() },
	}
	for name, die := range deaths {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				old := p.open(h2test.Post(1))
				die(p)
				synctest.Wait()
				old.Release()
				var live [4]*Stream // one of them in the memory of old
				q := newTestPeer(t, Config{})
				for i := range live {
					live[i] = q.open(h2test.Post(uint32(2*i + 1)))
				}
				time.Sleep(time.Minute) // the old connection lingers and closes
				_ = p.wantServed("long ago")
				for _, st := range live {
					if err := st.Err(); err != nil {
						t.Fatalf("stream %d of another connection died with the old one: %v", st.ID(), err)
					}
					check(t, "Reply", st.Reply(status2(200), nil, nil))
					st.Release()
				}
			})
		})
	}
}

func TestReleaseWhileConnectionLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{}, memconn.Options{})
		p.greet(h2test.InitialWindow(0))
		kept, open := p.open(h2test.Get(1)), p.open(h2test.Post(3))
		check(t, "Reply", kept.Reply(status2(200), []byte("kept"), nil))
		kept.Release() // its data waits
		p.c.CloseWithError(frame.InternalError, "enough")
		synctest.Wait()
		open.Release()
		p.send(h2test.WindowUpdate(1, 100), h2test.WindowUpdate(3, 100), h2test.Data(3, "x"))
		p.want(
			"nothing is sent on streams after GOAWAY",
			h2test.Response(1, 200),
			h2test.GoAway(3, frame.InternalError, "enough"),
		)
		time.Sleep(lingerTime)
		_ = p.wantServed("after lingering")
	})
}

// A stream that is used after Release says so, instead of failing somewhere.
func TestUseAfterRelease(t *testing.T) {
	for name, use := range map[string]func(*Stream){
		"Release": (*Stream).Release,
		"Flush":   func(st *Stream) { st.Conn().Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG: stream ") {
					t.Errorf("recovered %v", s)
				}
			}()
			use(new(Stream)) // as one is whose memory was given back
		})
	}
}
