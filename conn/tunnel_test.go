package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// connectTo is the head of a CONNECT request.
func connectTo(id uint32) h2test.Block {
	return h2test.Block{StreamID: id, Fields: h2test.Fields(":method: CONNECT", ":authority: db.test:5432")}
}

// tunnel makes a tunnel of stream 1, in either role.
func (p *testPeer) tunnel(id uint32) *Tunnel {
	p.t.Helper()
	if p.role == core.Server {
		st := p.open(connectTo(id))
		check(p.t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		p.c.Flush()
		p.want("the answer", h2test.Response(id, 200))
		return NewTunnel(st, nil)
	}
	st, err := p.client.OpenRequest(&Request{Fields: connectTo(id).Fields})
	check(p.t, "OpenRequest", err)
	p.want("the request", connectTo(id))
	p.send(h2test.Response(id, 200))
	_, err = headOf(st)
	check(p.t, "Head", err)
	return NewTunnel(st, nil)
}

// inBothRoles runs a test of a tunnel on a server's connection and on a client's.
func inBothRoles(t *testing.T, f func(t *testing.T, p *testPeer)) {
	for _, role := range []core.Role{core.Server, core.Client} {
		t.Run(role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(t, role, Config{}, memconn.Options{})
				p.greet(h2test.InitialWindow(10))
				f(t, p)
			})
		})
	}
}

func (p *testPeer) startRead(tun *Tunnel) *call {
	return p.start(func() (int, error) { return tun.Read(make([]byte, 100)) })
}

func (p *testPeer) startWrite(tun *Tunnel, s string) *call {
	return p.start(func() (int, error) { return tun.Write([]byte(s)) })
}

func TestTunnel(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		if tun.StreamID() != 1 || tun.Conn() != p.c || tun.LocalAddr() != p.far.LocalAddr() ||
			tun.RemoteAddr() != p.far.RemoteAddr() {
			t.Errorf("stream %d, from %v to %v", tun.StreamID(), tun.LocalAddr(), tun.RemoteAddr())
		}
		p.startWrite(tun, "ping").want("written", 4, nil)
		p.want("what is written goes out at once", h2test.Data(1, "ping"))
		k := p.startRead(tun)
		k.wantWaiting("nothing has come")
		p.send(h2test.Data(1, "pong"))
		k.want("it has come", 4, nil)

		check(t, "CloseWrite", tun.CloseWrite())
		check(t, "CloseWrite again", tun.CloseWrite())
		p.want("half closed", h2test.DataEnd(1, ""))
		p.startWrite(tun, "more").want("after CloseWrite", 0, core.ErrClosed)
		p.send(h2test.Data(1, "still "), h2test.DataEnd(1, "open"))
		p.startRead(tun).want("the other direction", 10, nil)
		p.startRead(tun).want("its end", 0, io.EOF)

		check(t, "Close", tun.Close())
		check(t, "Close again", tun.Close())
		p.wantIdle("both directions had ended")
		p.startRead(tun).want("closed", 0, net.ErrClosed)
		p.startWrite(tun, "x").want("closed", 0, net.ErrClosed)
		for name, f := range map[string]func() error{
			"CloseWrite": tun.CloseWrite, "CloseRead": tun.CloseRead,
			"SetDeadline": func() error { return tun.SetDeadline(time.Now()) },
		} {
			if err := f(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s of a closed tunnel: %v", name, err)
			}
		}
		if n := p.c.Stats().Streams; n != 0 || tun.StreamID() != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
}

// Close sends the end, wakes calls that wait, and resets a stream whose peer goes on: a server at
// once, a client when it must.
func TestTunnelClose(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		p.startWrite(tun, "last").want("written", 4, nil)
		read := p.startRead(tun)
		check(t, "Close", tun.Close())
		read.want("woken", 0, net.ErrClosed)
		if p.role == core.Server {
			p.want("the peer is to stop", h2test.Data(1, "last"), h2test.DataEnd(1, ""), h2test.RST(1, frame.NoError))
			return
		}
		p.want("the peer may end, too", h2test.Data(1, "last"), h2test.DataEnd(1, ""))
		p.send(h2test.DataEnd(1, ""))
		p.wantIdle("it has")

		tun = p.tunnel(3)
		check(t, "Close", tun.Close())
		p.want("the end", h2test.DataEnd(3, ""))
		p.send(h2test.Data(3, "more"))
		p.want("nobody reads it", h2test.RST(3, frame.Cancel))

		tun = p.tunnel(5)
		check(t, "Close", tun.Close())
		p.want("the end", h2test.DataEnd(5, ""))
		time.Sleep(DefaultTunnelCloseTimeout - 2)
		p.wantIdle("it is waited for")
		if taken, _ := p.client.Quota(); taken != 1 {
			t.Errorf("%d streams are taken", taken)
		}
		time.Sleep(2)
		p.want("not for ever", h2test.RST(5, frame.Cancel))
		if taken, _ := p.client.Quota(); taken != 0 {
			t.Errorf("%d streams are taken", taken)
		}
	})
}

// A Write that Close cuts off must not look complete to the peer.
func TestTunnelCloseDuringWrite(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		first := p.startWrite(tun, "0123456789abcdef")
		p.want("as much as the window has room for", h2test.Data(1, "0123456789"))
		second := p.startWrite(tun, "second")
		first.wantWaiting("the window is closed")
		check(t, "Close", tun.Close())
		first.want("cut off", 10, net.ErrClosed)
		second.want("not begun", 0, net.ErrClosed)
		p.want("reset", h2test.RST(1, frame.Cancel))
	})
}

// Writes of several goroutines do not mix, and CloseWrite comes after them.
func TestTunnelWritesOneAfterAnother(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		first := p.startWrite(tun, "first first first")
		second := p.startWrite(tun, "second")
		p.want("the window", h2test.Data(1, "first firs"))
		p.send(h2test.WindowUpdate(1, 7))
		p.want("the rest of the first", h2test.Data(1, "t first"))
		first.want("written", 17, nil)
		end := p.start(func() (int, error) { return 0, tun.CloseWrite() })
		end.wantWaiting("the second is being written")
		p.send(h2test.WindowUpdate(1, 100))
		second.want("written", 6, nil)
		end.want("closed", 0, nil)
		p.want("the second and the end", h2test.Data(1, "second"), h2test.DataEnd(1, ""))
	})
}

func TestTunnelAbort(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		read, write := p.startRead(tun), p.startWrite(tun, "0123456789abcdef")
		p.want("the window", h2test.Data(1, "0123456789"))
		check(t, "Abort", tun.Abort(frame.ConnectError))
		check(t, "Abort again", tun.Abort(frame.Cancel))
		check(t, "Close", tun.Close())
		p.want("RFC 9113 §8.5", h2test.RST(1, frame.ConnectError))
		read.want("woken", 0, net.ErrClosed)
		write.want("woken", 10, net.ErrClosed)
	})
}

// What ends a tunnel from outside is reported by its methods.
func TestTunnelDies(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		read, write := p.startRead(tun), p.startWrite(tun, "0123456789abcdef")
		p.want("the window", h2test.Data(1, "0123456789"))
		p.send(h2test.RST(1, frame.ConnectError))
		reset := &frame.StreamError{StreamID: 1, Code: frame.ConnectError, Initiator: frame.Remote}
		read.want("reset", 0, reset)
		write.want("reset", 10, reset)
		if err := tun.CloseWrite(); !errors.Is(err, frame.ConnectError) {
			t.Errorf("CloseWrite: %v", err)
		}
		check(t, "Close", tun.Close())
		p.wantIdle("RST_STREAM is not answered")

		tun = p.tunnel(3)
		read = p.startRead(tun)
		check(t, "the peer closes", p.nc.Close())
		read.want("lost", 0, io.ErrUnexpectedEOF)
		var ce *frame.ConnError
		if _, err := tun.Write([]byte("x")); !errors.As(err, &ce) || errors.Is(err, io.EOF) {
			t.Errorf("Write: %v", err)
		}
		check(t, "Close", tun.Close())
	})
}

func TestTunnelDeadlines(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		check(t, "SetDeadline", tun.SetDeadline(time.Now().Add(time.Second)))
		read, write := p.startRead(tun), p.startWrite(tun, "0123456789abcdef")
		p.want("the window", h2test.Data(1, "0123456789"))
		waits := p.startWrite(tun, "second")
		time.Sleep(time.Second)
		read.want("time is up", 0, os.ErrDeadlineExceeded)
		write.want("time is up", 10, os.ErrDeadlineExceeded)
		waits.want("time is up", 0, os.ErrDeadlineExceeded)

		check(t, "SetReadDeadline", tun.SetReadDeadline(time.Time{}))
		p.send(h2test.Data(1, "late"))
		p.startRead(tun).want("one direction has no deadline any more", 4, nil)
		p.startWrite(tun, "x").want("the other has", 0, os.ErrDeadlineExceeded)
		check(t, "SetWriteDeadline", tun.SetWriteDeadline(time.Time{}))
		p.send(h2test.WindowUpdate(1, 10))
		p.startWrite(tun, "abcdef").want("the rest", 6, nil)
		p.want("nothing is sent twice", h2test.Data(1, "abcdef"))
		check(t, "SetWriteDeadline", tun.SetWriteDeadline(time.Now()))
		check(t, "CloseWrite needs no time", tun.CloseWrite())
		p.want("the end", h2test.DataEnd(1, ""))
		_ = tun.Abort(frame.Cancel)
	})
}

func TestTunnelCloseRead(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		tun := p.tunnel(1)
		read := p.startRead(tun)
		check(t, "CloseRead", tun.CloseRead())
		read.want("woken", 0, ErrReadClosed)
		p.send(h2test.Data(1, "dropped"))
		p.startWrite(tun, "ok").want("the other direction goes on", 2, nil)
		p.want("so it does", h2test.Data(1, "ok"))
		if n := p.c.Stats().Unread; n != 0 {
			t.Errorf("%d octets are kept", n)
		}
		check(t, "Close", tun.Close())
		code := frame.Cancel
		if p.role == core.Server {
			code = frame.NoError
		}
		p.want("the peer is told", h2test.DataEnd(1, ""), h2test.RST(1, code))
	})
}

// A goroutine that waits elsewhere learns of a tunnel's death, unless it has closed the tunnel
// itself.
func TestTunnelOnEnd(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		var got []error
		note := func(err error) { got = append(got, err) }
		want := func(why string, codes ...frame.Code) {
			t.Helper()
			synctest.Wait()
			if len(got) != len(codes) || len(codes) == 1 && !errors.Is(got[0], codes[0]) {
				t.Errorf("%s: told %v", why, got)
			}
			got = nil
		}
		tun := p.tunnel(1)
		tun.OnEnd(note)
		p.send(h2test.DataEnd(1, ""), h2test.RST(1, frame.ConnectError))
		want("reset after its end", frame.ConnectError)
		tun.OnEnd(note)
		want("dead already", frame.ConnectError)
		check(t, "Close", tun.Close())
		tun.OnEnd(note)

		tun = p.tunnel(3)
		tun.OnEnd(note)
		p.send(h2test.DataEnd(3, ""))
		check(t, "Close", tun.Close())
		p.want("both ends", h2test.DataEnd(3, ""))
		tun = p.tunnel(5)
		tun.OnEnd(note)
		check(t, "Abort", tun.Abort(frame.Cancel))
		want("its user's doing")

		p.want("told", h2test.RST(5, frame.Cancel))
		tun = p.tunnel(7)
		tun.OnEnd(note)
		check(t, "the peer closes", p.nc.Close())
		want("lost", frame.NoError)
		check(t, "Close", tun.Close())
	})
}

// The stream's memory is not used again while a call still has it.
func TestTunnelReleasedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(10))
		st := p.open(connectTo(1))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		released := 0
		tun := NewTunnel(st, func() { released++; st.Release() })
		if st.Tunnel() != tun {
			t.Error("the stream does not know its tunnel")
		}
		if !tun.enter() {
			t.Fatal("enter")
		}
		check(t, "Close", tun.Close())
		if released != 0 {
			t.Fatal("released while it is used")
		}
		tun.leave()
		if released != 1 {
			t.Fatalf("released %d times", released)
		}
	})
}

func TestAwaitSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		await := func(p *testPeer, ctx context.Context) *call {
			return p.start(func() (int, error) {
				s, err := p.client.AwaitSettings(ctx)
				if s.EnableConnectProtocol {
					return 1, err
				}
				return 0, err
			})
		}
		p := startTestPeer(t, core.Client, Config{}, memconn.Options{})
		p.readPreface()
		ctx, cancel := context.WithCancel(t.Context())
		first, given := await(p, t.Context()), await(p, ctx)
		cancel()
		given.want("its context has ended", 0, context.Canceled)
		first.wantWaiting("nothing has come")
		p.send(h2test.Settings(frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1}))
		first.want("they have come", 1, nil)
		await(p, t.Context()).want("they are there", 1, nil)

		p = startTestPeer(t, core.Client, Config{}, memconn.Options{})
		p.readPreface()
		lost := await(p, t.Context())
		check(t, "Close", p.c.Close())
		lost.want("closed", 0, net.ErrClosed)
		await(p, t.Context()).want("closed", 0, net.ErrClosed)
	})
}
