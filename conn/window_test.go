package conn

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// takeData reads all frames that have come, which must be DATA, and adds them up by stream.
func (p *testPeer) takeData() (octets map[uint32][]byte, ended map[uint32]bool) {
	p.t.Helper()
	octets, ended = map[uint32][]byte{}, map[uint32]bool{}
	for f := range p.frames() {
		d, ok := f.(frame.Data)
		if !ok {
			p.t.Fatalf("%s among DATA", text.Line(f))
		}
		octets[d.StreamID] = append(octets[d.StreamID], d.Data...)
		ended[d.StreamID] = ended[d.StreamID] || d.EndStream
	}
	return octets, ended
}

// respond begins a response on a stream.
func (p *testPeer) respond(id uint32) *Stream {
	p.t.Helper()
	st := p.open(h2test.Get(id))
	check(p.t, "WriteHeaders", st.WriteHeaders(status2(200), false))
	p.c.Flush()
	p.want("the head", h2test.Response(id, 200))
	return st
}

func TestWriteWaitsForWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(5))
		st := p.respond(1)
		k := p.start(func() (int, error) { return st.Write([]byte("hello, world")) })
		k.wantWaiting("the window is 5")
		p.want("as much as there is room for", h2test.Data(1, "hello"))
		p.send(h2test.WindowUpdate(1, 3))
		p.want("some more", h2test.Data(1, ", w"))
		k.wantWaiting("there is more")
		p.send(h2test.Settings(h2test.InitialWindow(6)))
		p.want("SETTINGS move the window", h2test.Ack, h2test.Data(1, "o"))
		p.send(h2test.Settings(h2test.InitialWindow(0)))
		p.want("into the red", h2test.Ack)
		p.send(h2test.WindowUpdate(1, 6))
		p.want("which is paid back first") // 6-9+6+... = 0
		k.wantWaiting("the window is 0")
		p.send(h2test.WindowUpdate(1, 1<<20))
		k.want("all is sent", 12, nil)
		p.want("the rest", h2test.Data(1, "rld"))
		check(t, "Finish", st.Finish(nil, nil))
		st.Release()
		p.c.Flush()
		p.want("the end", h2test.DataEnd(1, ""))
	})
}

func TestWriteWaitsForConnectionWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(1<<20))
		st := p.respond(1)
		body := pattern(1, 100_000)
		k := p.start(func() (int, error) { return st.Write(body) })
		k.wantWaiting("the connection's window is 65535")
		got, _ := p.takeData()
		if !bytes.Equal(got[1], body[:65535]) {
			t.Fatalf("%d octets have come", len(got[1]))
		}
		if w := p.c.Stats().SendWindow; w != 0 {
			t.Errorf("SendWindow is %d", w)
		}
		p.send(h2test.WindowUpdate(0, 100_000))
		k.want("all is sent", len(body), nil)
		got, _ = p.takeData()
		if !bytes.Equal(got[1], body[65535:]) {
			t.Fatalf("%d octets have come", len(got[1]))
		}
		st.Release()
	})
}

func writeAll(st *Stream, n int) error {
	_, err := st.Write(make([]byte, n))
	return err
}

func TestStreamsShareTheConnectionWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(1<<24))
		const streams, size = 5, 1 << 20
		var calls [streams]*call
		for i := range calls {
			st := p.respond(uint32(2*i + 1))
			if i == 0 { // what the window has room for now would all be the first one's
				check(t, "Write", writeAll(st, 65535))
				p.c.Flush()
				for range p.frames() {
				}
			}
			calls[i] = p.start(func() (int, error) {
				n, err := st.Write(pattern(st.ID(), size))
				st.Release()
				return n, err
			})
		}
		total := map[uint32]int{}
		const rounds = 20
		for range rounds {
			p.send(h2test.WindowUpdate(0, 50_000))
			got, _ := p.takeData()
			for id, b := range got {
				total[id] += len(b)
			}
		}
		for i := range calls {
			id := uint32(2*i + 1)
			if n := total[id]; n < rounds*50_000/streams/2 || n > rounds*50_000/streams*2 {
				t.Errorf("stream %d has got %d octets of %d: not a fair share", id, n, rounds*50_000)
			}
		}
		p.send(h2test.WindowUpdate(0, 1<<26))
		for range p.frames() {
		}
		for i, k := range calls {
			k.want(text.Line(h2test.Get(uint32(2*i+1))), size, nil)
		}
	})
}

func TestFinishKeepsWhatHasNoWindow(t *testing.T) {
	for _, size := range []int{1, 100, keepLimit} {
		synctest.Test(t, func(t *testing.T) {
			p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
			st := p.respond(1)
			body := pattern(1, size)
			tr := h2test.Fields("sum: 1")
			check(t, "Finish does not wait", st.Finish(bytes.Clone(body), tr))
			tr[0].Value = "changed"
			p.c.Flush()
			p.wantIdle("the window is closed")
			if b := p.takeBlocked(); len(b) != 0 {
				t.Errorf("StreamBlocked was called for %v", b)
			}
			st.Release()
			if n := p.c.Stats().Streams; n != 1 {
				t.Errorf("%d streams are open", n)
			}
			if size > 1 {
				p.send(h2test.WindowUpdate(1, uint32(size-1)))
			}
			got, _ := p.takeData()
			if !bytes.Equal(got[1], body[:size-1]) {
				t.Fatalf("%d octets have come", len(got[1]))
			}
			p.send(h2test.WindowUpdate(1, 1))
			p.want("the last octet and the trailers", h2test.Data(1, string(body[size-1:])), h2test.Trailers(1, "sum: 1"))
			if n := p.c.Stats().Streams; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		})
	}
}

func TestFinishOfKeptDataStopsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(3))
		st := p.open(h2test.Post(1))
		check(t, "Reply", st.Reply(status2(200), []byte("enough"), nil))
		st.Release()
		p.c.Flush()
		p.want("as much as the window lets pass", h2test.Response(1, 200), h2test.Data(1, "eno"))
		p.send(h2test.Data(1, "more"), frame.Data{StreamID: 1, Data: make([]byte, 10000)})
		if u := p.c.Stats().Unread; u != 0 {
			t.Errorf("%d octets of a released stream count as unread", u)
		}
		p.send(h2test.WindowUpdate(1, 3))
		p.want("the end, then the request is stopped", h2test.DataEnd(1, "ugh"), h2test.RST(1, frame.NoError))
	})
}

func TestKeptDataEndsWithTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
		for id := uint32(1); id < 200; id += 2 {
			st := p.respond(id)
			check(t, "Finish", st.Finish([]byte("kept"), nil))
			st.Release()
			p.send(h2test.RST(id, frame.Cancel))
		}
		p.send(h2test.WindowUpdate(0, 1000))
		p.wantIdle("nothing is left to send")
		if n := p.c.Stats().Streams; n != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
}

func TestLargeFinishWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
		st := p.respond(1)
		body := pattern(1, keepLimit+1)
		k := p.start(func() (int, error) { return 0, st.Finish(body, nil) })
		k.wantWaiting("more than is kept")
		p.send(h2test.WindowUpdate(1, uint32(len(body))))
		k.want("all is sent", 0, nil)
		got, ended := p.takeData()
		if !bytes.Equal(got[1], body) || !ended[1] {
			t.Errorf("%d octets have come, ended: %v", len(got[1]), ended[1])
		}
		st.Release()
		p.wantIdle("a clean end")
	})
}

func TestWriteOfDeadStream(t *testing.T) {
	deaths := []struct {
		name string
		f    func(p *testPeer, st *Stream)
		want error
	}{
		{"reset by the peer", func(p *testPeer, _ *Stream) { p.send(h2test.RST(1, frame.Cancel)) }, frame.Cancel},
		{"reset by us", func(_ *testPeer, st *Stream) { st.Reset(frame.InternalError) }, frame.InternalError},
		{"fatal error", func(p *testPeer, _ *Stream) { p.send(h2test.Data(9, "")) }, frame.ProtocolError},
		{"lost", func(p *testPeer, _ *Stream) { _ = p.nc.Close() }, frame.NoError},
	}
	for _, tt := range deaths {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{}, h2test.InitialWindow(10))
				st := p.respond(1)
				k := p.start(func() (int, error) { return st.Write(make([]byte, 100)) })
				k.wantWaiting("the window is 10")
				for range p.frames() {
				}
				tt.f(p, st)
				k.want("it has sent what there was room for", 10, tt.want)
				if _, err := st.Write([]byte("x")); !errors.Is(err, tt.want) {
					t.Errorf("another Write: %v", err)
				}
				st.Release()
			})
		})
	}
}

func TestReadGivesCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{MaxReceiveBufferPerStream: 100_000})
		st := p.open(h2test.Post(1))
		for range 6 {
			p.send(frame.Data{StreamID: 1, Data: make([]byte, 16000)})
		}
		credit := map[uint32]uint32{}
		take := func() {
			for f := range p.frames() {
				if w, ok := f.(frame.WindowUpdate); ok {
					credit[w.StreamID] += w.Increment
				} else {
					t.Fatalf("%s has come", text.Line(f))
				}
			}
		}
		take()
		if credit[1] != 0 {
			t.Errorf("credit of %d for a stream that nobody reads", credit[1])
		}
		buf := make([]byte, 60_000)
		if n, err := st.Read(buf); n != len(buf) || err != nil {
			t.Fatalf("Read: %d, %v", n, err)
		}
		take() // without a call of Flush: the peer may wait for it
		if credit[1] < 50_000 {
			t.Errorf("credit of %d for 60,000 octets that were read", credit[1])
		}
		p.send(frame.Data{StreamID: 1, Data: make([]byte, 16000)}, h2test.DataEnd(1, ""))
		for n := 52_000; n > 0; {
			k, err := st.Read(buf)
			if n -= k; err != nil {
				t.Fatal(err)
			}
		}
		before := credit[1]
		take()
		if credit[1] != before {
			t.Error("credit for a stream that has ended")
		}
		st.Release()
	})
}

// One stream that is not read takes nothing from the others (and its own window is its limit).
func TestUnreadStreamHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 1 << 20})
		slow, fast := p.open(h2test.Post(1)), p.open(h2test.Post(3))
		window := 1 << 20
		send := func(id uint32) {
			p.send(frame.Data{StreamID: id, Data: make([]byte, 16384)})
			window -= 16384
			for f := range p.frames() {
				if w, ok := f.(frame.WindowUpdate); ok && w.StreamID == 0 {
					window += int(w.Increment)
				}
			}
			if window < 16384 {
				t.Fatal("the connection's window has closed")
			}
		}
		for range 1 << 20 / 16384 {
			send(1)
		}
		buf := make([]byte, 16384)
		for range 1 << 22 / 16384 {
			send(3)
			if n, err := fast.Read(buf); n != len(buf) || err != nil {
				t.Fatalf("Read: %d, %v", n, err)
			}
		}
		slow.Release()
		fast.Release()
	})
}
