package conn

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		read := func() (int, error) { return st.Read(make([]byte, 10)) }

		check(t, "past", st.SetReadDeadline(time.Now().Add(-time.Second)))
		p.start(read).want("a deadline in the past", 0, os.ErrDeadlineExceeded)

		check(t, "future", st.SetReadDeadline(time.Now().Add(time.Second)))
		k := p.start(read)
		time.Sleep(time.Second - 1)
		k.wantWaiting("it has not passed")
		time.Sleep(1)
		k.want("it has passed", 0, os.ErrDeadlineExceeded)
		p.send(h2test.Data(1, "abc"))
		p.start(read).want("it stays", 0, os.ErrDeadlineExceeded)

		check(t, "none", st.SetReadDeadline(time.Time{}))
		p.start(read).want("it was taken away", 3, nil)

		check(t, "future", st.SetReadDeadline(time.Now().Add(time.Second)))
		k = p.start(read)
		check(t, "later", st.SetReadDeadline(time.Now().Add(time.Minute)))
		time.Sleep(59 * time.Second)
		k.wantWaiting("it was moved")
		check(t, "now", st.SetReadDeadline(time.Now()))
		k.want("it was moved to now", 0, os.ErrDeadlineExceeded)

		check(t, "future", st.SetReadDeadline(time.Now().Add(time.Second)))
		p.send(h2test.DataEnd(1, "end"))
		p.start(read).want("in time", 3, nil)
		time.Sleep(time.Minute)
		if err := st.Err(); err != nil {
			t.Errorf("a read deadline ended the stream: %v", err)
		}
		st.Release()
	})
}

func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
		st := p.respond(1)
		write := func() (int, error) { return st.Write([]byte("hello")) }

		check(t, "past", st.SetWriteDeadline(time.Now()))
		p.start(write).want("a deadline in the past", 0, os.ErrDeadlineExceeded)

		check(t, "future", st.SetWriteDeadline(time.Now().Add(time.Second)))
		k := p.start(write)
		p.send(h2test.WindowUpdate(1, 2))
		p.want("two octets", h2test.Data(1, "he"))
		time.Sleep(time.Second - 1)
		k.wantWaiting("it has not passed")
		time.Sleep(1)
		k.want("it has passed, with two octets sent", 2, os.ErrDeadlineExceeded)
		if err := st.Finish([]byte("x"), nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Finish: %v", err)
		}
		if err := st.WriteHeaders(status2(200), false); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteHeaders: %v", err)
		}

		check(t, "none", st.SetWriteDeadline(time.Time{}))
		k = p.start(func() (int, error) { return st.Write([]byte("llo")) })
		k.wantWaiting("it was taken away")
		p.send(h2test.WindowUpdate(1, 10))
		k.want("all is sent", 3, nil)
		p.want("what was given up is not sent", h2test.Data(1, "llo"))
		check(t, "Finish", st.Finish(nil, nil))
		st.Release()
		p.c.Flush()
		p.want("the end", h2test.DataEnd(1, ""))
	})
}

// A Finish that has given up is not our end: Release resets the stream.
func TestWriteDeadlineOfLargeFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(10))
		st := p.respond(1)
		check(t, "SetWriteDeadline", st.SetWriteDeadline(time.Now().Add(time.Second)))
		k := p.start(func() (int, error) { return 0, st.Finish(make([]byte, 2*keepLimit), nil) })
		p.want("as much as there is room for", h2test.Data(1, string(make([]byte, 10))))
		time.Sleep(time.Second)
		k.want("it has passed", 0, os.ErrDeadlineExceeded)
		st.Release()
		p.c.Flush()
		p.want("the response is not complete", h2test.RST(1, frame.Cancel))
	})
}

func TestWriteDeadlineAfterRelease(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
			st := p.respond(1)
			check(t, "SetWriteDeadline", st.SetWriteDeadline(time.Now().Add(time.Minute)))
			check(t, "Finish", st.Finish([]byte("kept"), nil))
			st.Release()
			time.Sleep(time.Minute - 1)
			if late {
				time.Sleep(1)
				p.want("the peer had a minute", h2test.RST(1, frame.InternalError))
			} else {
				p.send(h2test.WindowUpdate(1, 4))
				p.want("in time", h2test.DataEnd(1, "kept"))
			}
			// The memory serves the next stream, to which the deadline means nothing.
			next := p.respond(3)
			time.Sleep(time.Hour)
			p.send(h2test.WindowUpdate(3, 1))
			check(t, "Finish", next.Finish([]byte("x"), nil))
			next.Release()
			p.c.Flush()
			p.want("the next stream", h2test.DataEnd(3, "x"))
			if n := p.c.Stats().Streams; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		})
	}
}

func TestDeadlineOfDeadStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		p.send(h2test.RST(1, frame.Cancel))
		if err := st.SetReadDeadline(time.Now().Add(time.Hour)); !errors.Is(err, frame.Cancel) {
			t.Errorf("SetReadDeadline: %v", err)
		}
		if err := st.SetWriteDeadline(time.Now()); !errors.Is(err, frame.Cancel) {
			t.Errorf("SetWriteDeadline: %v", err)
		}
		st.Release()
	})
}

// Deadlines that pass at the moment at which their stream is released must not touch the stream
// that has its memory next. The race detector watches.
func TestDeadlinePassesDuringRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		q := newTestPeer(t, Config{})
		for i := range 300 {
			id := uint32(2*i + 1)
			st := p.open(h2test.Get(id))
			at := time.Now().Add(time.Millisecond)
			check(t, "SetReadDeadline", st.SetReadDeadline(at))
			check(t, "SetWriteDeadline", st.SetWriteDeadline(at))
			time.Sleep(time.Millisecond) // this goroutine and both timers wake at once
			st.Release()
			q.send(h2test.Get(id))
			next := q.stream(id)
			if err := next.Reply(status2(200), nil, nil); err != nil {
				t.Fatal(err)
			}
			next.Release()
		}
	})
}

// Deadlines and resets reach a writer and a reader whose socket is blocked.
func TestDeadlineWithBlockedSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlockedPeer(t, Config{WriteByteTimeout: time.Hour, MaxReceiveBufferPerStream: 1000})
		big, other, up := p.respondUnseen(1), p.respondUnseen(3), p.open(h2test.Post(5))
		check(t, "SetWriteDeadline", big.SetWriteDeadline(time.Now().Add(time.Second)))
		k1 := p.start(func() (int, error) {
			_, err := big.Write(make([]byte, 1<<20))
			return 0, err
		})
		k2 := p.start(func() (int, error) {
			_, err := other.Write(make([]byte, 1<<20))
			return 0, err
		})
		p.send(h2test.Data(5, string(make([]byte, 900))))
		p.start(func() (int, error) { return up.Read(make([]byte, 900)) }).
			want("Read does not wait for its WINDOW_UPDATE", 900, nil)
		time.Sleep(time.Second)
		k1.want("the deadline", 0, os.ErrDeadlineExceeded)
		p.send(h2test.RST(3, frame.Cancel))
		k2.want("the reset", 0, frame.Cancel)
		_ = p.nc.Close()
		synctest.Wait()
		for _, st := range []*Stream{big, other, up} {
			st.Release()
		}
	})
}

// respondUnseen begins a response that the peer does not read yet.
func (p *testPeer) respondUnseen(id uint32) *Stream {
	p.t.Helper()
	st := p.open(h2test.Get(id))
	check(p.t, "WriteHeaders", st.WriteHeaders(status2(200), false))
	return st
}

// ResetAt ends a stream on which no Write waits, and cannot be moved once it has passed; nor does
// it disturb what is complete.
func TestResetAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		st.ResetAt(time.Now().Add(time.Second), frame.InternalError)
		st.ResetAt(time.Now().Add(time.Minute), frame.InternalError)
		time.Sleep(time.Minute - 1)
		p.wantIdle("it was moved in time")
		time.Sleep(1)
		p.want("at the time", h2test.RST(1, frame.InternalError))
		st.ResetAt(time.Time{}, frame.InternalError)
		if err := st.WriteHeaders(status2(200), true); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteHeaders: %v", err)
		}
		st.Release()

		st = p.open(h2test.Post(3))
		st.ResetAt(time.Now().Add(time.Second), frame.InternalError)
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		p.c.Flush()
		for range p.frames() {
		}
		time.Sleep(time.Minute)
		p.wantIdle("our side is complete")
		if err := st.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
		st.Release()
	})
}

// EndReadAt lets what has arrived be read, and nothing that comes later.
func TestEndReadAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		read := func(st *Stream) func() (int, error) {
			return func() (int, error) { return st.Read(make([]byte, 10)) }
		}
		st := p.open(h2test.Post(1))
		st.EndReadAt(time.Now().Add(time.Second))
		p.send(h2test.Data(1, "part"))
		time.Sleep(2 * time.Second)
		p.send(h2test.DataEnd(1, "late"))
		p.start(read(st)).want("what had arrived", 4, nil)
		p.start(read(st)).want("and no more", 0, os.ErrDeadlineExceeded)
		st.EndReadAt(time.Time{})
		p.start(read(st)).want("it cannot be moved", 0, os.ErrDeadlineExceeded)
		st.Release()

		st = p.open(h2test.Post(3))
		st.EndReadAt(time.Now().Add(time.Second))
		p.send(h2test.DataEnd(3, "whole"))
		time.Sleep(2 * time.Second)
		p.start(read(st)).want("all", 5, nil)
		p.start(read(st)).want("the end", 0, io.EOF)
		st.Release()
	})
}
