package conn

import (
	"errors"
	"fmt"
	"slices"
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

// frameLog is a Tracer that keeps a line for each frame.
type frameLog struct {
	mu    sync.Mutex
	conns map[*Conn]bool
	times []time.Time
	lines [2][]string // by direction
	raw   [2][]byte
}

func (l *frameLog) TraceFrame(c *Conn, f FrameTrace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = map[*Conn]bool{}
	}
	l.conns[c] = true
	l.times = append(l.times, f.Time)
	l.lines[f.Direction] = append(
		l.lines[f.Direction],
		fmt.Sprintf("%v %d %d+%d", f.Header.Type, f.Header.StreamID, f.Header.Length, len(f.Payload)),
	)
	l.raw[f.Direction] = append(f.Header.Append(l.raw[f.Direction]), f.Payload...)
}

func (l *frameLog) take(d Direction) []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines[d]
	l.lines[d] = nil
	return lines
}

func TestTracer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l frameLog
		want := func(msg string, d Direction, lines ...string) {
			t.Helper()
			if got := l.take(d); !slices.Equal(got, lines) {
				t.Errorf("%s: traced %v: %q, want %q", msg, d, got, lines)
			}
		}
		time.Sleep(time.Hour)
		p := startTestPeer(t, core.Server, Config{Tracer: &l}, memconn.Options{})
		want("first flight", Out, "SETTINGS 0 18+18", "WINDOW_UPDATE 0 4+4")
		p.send(h2test.Raw(frame.Preface[:3]))
		p.send(h2test.Raw(frame.Preface[3:23]))
		want("pieces of the preface are no frames", In)
		p.send(h2test.Raw(frame.Preface[23:]), h2test.Settings(), h2test.Ack, h2test.Post(1), h2test.Data(1, "hello"))
		lines := l.take(In)
		if len(lines) != 4 || lines[0] != "SETTINGS 0 0+0" || lines[3] != "DATA 1 5+5" {
			t.Errorf("traced %q", lines)
		}
		want("SETTINGS", Out, "SETTINGS 0 0+0")
		st := p.stream(1)
		check(t, "Reply", st.Reply(status2(200), []byte("answer"), h2test.Fields("a: b")))
		want("nothing is sent yet", Out)
		p.c.Flush()
		if got := l.take(Out); len(got) != 3 || got[1] != "DATA 1 6+6" {
			t.Errorf("traced %q", got)
		}
		st.Release()
		p.c.Flush()
		want("NO_ERROR", Out, "RST_STREAM 1 4+4")
		b := p.codec.Append(nil, h2test.Data(0, "fault"))
		p.send(h2test.Raw(b[:11]))
		want("half a frame", In)
		p.send(h2test.Raw(b[11:]), h2test.Ping("not seen"))
		want("the frame that ends the connection is seen, but none after it", In, "DATA 0 5+5")
		if got := l.take(Out); len(got) != 1 {
			t.Errorf("traced %q", got)
		}
		p.send(frame.Headers{StreamID: 3, Fragment: []byte("not seen")})
		want("nothing is handled any more", In)
		if len(l.conns) != 1 || !l.conns[p.c] {
			t.Errorf("traced for %v", l.conns)
		}
		for _, at := range l.times {
			if d := time.Since(at); d < 0 || d > time.Second {
				t.Errorf("a frame was traced %v ago", d)
			}
		}
	})
}

// What cannot be decoded is what one wants to see.
func TestTracerSeesFramesThatAreWrong(t *testing.T) {
	for _, bad := range []any{
		frame.Headers{StreamID: 1, EndHeaders: true, Fragment: []byte{0x80}},
		frame.Continuation{StreamID: 1, Fragment: []byte("x")},
		h2test.Raw("\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00"), // HEADERS on stream 0
	} {
		synctest.Test(t, func(t *testing.T) {
			var l frameLog
			p := newTestPeer(t, Config{Tracer: &l})
			_ = l.take(In)
			p.send(bad, h2test.Ping("not seen"))
			if got := l.take(In); len(got) != 1 {
				t.Errorf("traced %q", got)
			}
		})
	}
}

// Both ends have seen the same.
func TestTracersOfBothEndsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up, down frameLog
		cn, sn := testEnds(t, memconn.Options{MaxRead: 1000})
		pair := newPair(t, cn, sn, Config{Tracer: &up}, Config{Tracer: &down}, echo)
		for i := range 20 {
			pair.roundTrip(pattern(uint32(i), i*3000))
		}
		pair.close()
		for _, d := range []struct {
			name      string
			sent, got []byte
		}{{"up", up.raw[Out], down.raw[In]}, {"down", down.raw[Out], up.raw[In]}} {
			// The receiver may have stopped before the last frames.
			if len(d.got) == 0 || len(d.got) > len(d.sent) || string(d.sent[:len(d.got)]) != string(d.got) {
				t.Errorf("%s: sent %d octets of frames, received %d, not the same", d.name, len(d.sent), len(d.got))
			}
		}
	})
}

// endLog is a frameLog that is an EndTracer.
type endLog struct {
	frameLog
	ends   []error
	after  int           // frames that came behind the end
	block  chan struct{} // while it is open and blocks is set, frames that are sent wait for it
	blocks atomic.Bool
}

func (l *endLog) TraceFrame(c *Conn, f FrameTrace) {
	if f.Direction == Out && l.blocks.Load() {
		<-l.block
	}
	l.mu.Lock()
	if len(l.ends) > 0 {
		l.after++
	}
	l.mu.Unlock()
	l.frameLog.TraceFrame(c, f)
}

func (l *endLog) TraceEnd(c *Conn, err error) {
	select {
	case <-c.Done():
		err = errors.New("it came behind Done")
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, err)
}

func (l *endLog) wantEnds(t *testing.T, want ...error) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.ends, want) || l.after > 0 {
		t.Errorf("TraceEnd was called with %v, and %d frames came behind; want %v", l.ends, l.after, want)
	}
}

// Both sides tell the end once, with what Serve returns.
func TestTraceEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up, down endLog
		cn, sn := testEnds(t, memconn.Options{})
		pair := newPair(t, cn, sn, Config{Tracer: &up}, Config{Tracer: &down}, echo)
		pair.roundTrip(pattern(1, 3000))
		if !pair.client.IsClient() || pair.server.IsClient() {
			t.Error("IsClient is wrong")
		}
		up.wantEnds(t)
		pair.wantClean()
		up.wantEnds(t, nil)
		down.wantEnds(t, nil)
	})
	synctest.Test(t, func(t *testing.T) {
		var l endLog
		p := newTestPeer(t, Config{Tracer: &l})
		p.send(frame.WindowUpdate{StreamID: 1, Increment: 1}) // the stream is idle
		p.nc.Close()
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.serveErr == nil {
			t.Error("Serve has returned nil")
		}
		l.wantEnds(t, p.serveErr)
	})
}

// A stream's writer may still be within TraceFrame when the connection has ended.
func TestTraceEndAwaitsTheFlusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		needsNoSockets(t)
		l := endLog{block: make(chan struct{})}
		p := newTestPeer(t, Config{Tracer: &l})
		p.send(h2test.Get(1))
		st := p.stream(1)
		l.blocks.Store(true)
		go func() {
			_ = st.WriteHeaders(status2(200), true)
			p.c.Flush()
		}()
		synctest.Wait()
		p.c.Close()
		synctest.Wait()
		l.wantEnds(t)
		close(l.block)
		synctest.Wait()
		l.mu.Lock()
		ends := len(l.ends)
		l.mu.Unlock()
		if ends != 1 {
			t.Errorf("TraceEnd was called %d times", ends)
		}
		st.Release()
	})
}

// upgradeLog is a frameLog that is an UpgradeTracer.
type upgradeLog struct {
	frameLog
	upgrades []string
}

func (l *upgradeLog) TraceUpgrade(c *Conn, u *Upgrade) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) > 0 {
		l.upgrades = append(l.upgrades, "behind a frame:")
	}
	l.upgrades = append(l.upgrades, fmt.Sprint(c.IsClient(), u.Request.Path, len(u.Settings)))
}

func TestTraceUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l upgradeLog
		p := startTestPeer(t, core.Server, Config{Tracer: &l, Upgrade: &Upgrade{
			Settings: upgradeSettings(h2test.InitialWindow(3)), Request: upgradeRequest(),
		}}, memconn.Options{})
		p.greet()
		if want := []string{"false/6"}; !slices.Equal(l.upgrades, want) {
			t.Errorf("TraceUpgrade was called with %q, want %q", l.upgrades, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var l upgradeLog
		newTestPeer(t, Config{Tracer: &l})
		if len(l.upgrades) > 0 {
			t.Errorf("TraceUpgrade was called with %q", l.upgrades)
		}
	})
}
