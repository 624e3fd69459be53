package conn

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/stream/priority"
)

// bomb panics once it is armed.
type bomb struct {
	armed  atomic.Bool
	goexit bool // it ends the goroutine in place of a panic
}

var errBomb = errors.New("BUG: a test")

func (b *bomb) visit() {
	if b.armed.Swap(false) {
		if b.goexit {
			runtime.Goexit()
		}
		panic(errBomb)
	}
}

// The places that a bomb is hidden in.
type (
	bombTracer struct {
		*bomb
		at Direction
	}
	bombScheduler struct {
		priority.Scheduler
		onAdjust, onClose *bomb
	}
	bombSocket struct {
		memconn.End
		*bomb
	}
)

func (b bombTracer) TraceFrame(_ *Conn, f FrameTrace) {
	if f.Direction == b.at {
		b.visit()
	}
}

func (b bombScheduler) Adjust(id uint32, p priority.Params) {
	b.onAdjust.visit()
	b.Scheduler.Adjust(id, p)
}

func (b bombScheduler) Close(n *priority.Node) {
	b.onClose.visit()
	b.Scheduler.Close(n)
}

// bombReader visits when a Read has brought something.
type bombReader struct {
	*memconn.Conn
	*bomb
}

func (b bombReader) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	b.visit()
	return n, err
}

func (b bombSocket) Write(p []byte) (int, error) {
	b.visit()
	return b.End.Write(p)
}

// wantBroken says that the connection, and nothing else, has ended for the bomb.
func (p *testPeer) wantBroken(b *bomb, reader *call) {
	p.t.Helper()
	if b.goexit {
		p.wantGone(reader)
		return
	}
	err := p.wantServed("a panic")
	var pe *PanicError
	if !errors.As(err, &pe) || !errors.Is(err, errBomb) || !errors.Is(err, frame.InternalError) {
		p.t.Fatalf("Serve returned %v", err)
	}
	if !strings.Contains(err.Error(), "BUG: a test") || !strings.Contains(string(pe.Stack), "bomb).visit") {
		p.t.Errorf("%v\n%s", err, pe.Stack)
	}
	reader.want("streams fail", 0, errBomb)
	if _, err := p.nc.Write([]byte("x")); err == nil {
		p.t.Error("the socket is open")
	}
}

// wantGone is wantBroken where the goroutine of Serve may be gone.
func (p *testPeer) wantGone(reader *call) {
	p.t.Helper()
	synctest.Wait()
	select {
	case <-p.c.Done():
	default:
		p.t.Fatal("Done is not closed")
	}
	var pe *PanicError
	if err := p.c.Err(); !errors.As(err, &pe) || !errors.Is(err, frame.InternalError) {
		p.t.Fatalf("the connection has ended with %v", err)
	}
	reader.want("streams fail", 0, pe)
	if _, err := p.nc.Write([]byte("x")); err == nil {
		p.t.Error("the socket is open")
	}
}

func TestPanicEndsTheConnection(t *testing.T)  { testPanic(t, false) }
func TestGoexitEndsTheConnection(t *testing.T) { testPanic(t, true) }

func testPanic(t *testing.T, goexit bool) {
	scheduler := func(s bombScheduler) func() priority.Scheduler {
		s.Scheduler = priority.NewRoundRobin()
		if s.onAdjust == nil {
			s.onAdjust = &bomb{}
		}
		if s.onClose == nil {
			s.onClose = &bomb{}
		}
		return func() priority.Scheduler { return s }
	}
	for _, tt := range []struct {
		name string
		hide func(b *bomb, cfg *Config) // one of the two
		put  func(b *bomb, p *testPeer) // before Serve
		step func(p *testPeer)          // nil: a PING comes, and its answer goes
	}{
		{"a frame comes", func(b *bomb, cfg *Config) { cfg.Tracer = bombTracer{b, In} }, nil, nil},
		{"a frame goes", func(b *bomb, cfg *Config) { cfg.Tracer = bombTracer{b, Out} }, nil, nil},
		{"the policy", func(b *bomb, cfg *Config) {
			cfg.FramePolicy = func(*Conn, frame.Header, []byte) error { b.visit(); return nil }
		}, nil, nil},
		{"the socket", nil, func(b *bomb, p *testPeer) {
			p.c.writer.rawConn = bombSocket{p.end, b}
		}, nil},
		{"a frame takes effect", func(b *bomb, cfg *Config) {
			cfg.Scheduler = scheduler(bombScheduler{onAdjust: b})
		}, nil, func(p *testPeer) { p.send(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u=1")}) }},
		{"data goes on", func(b *bomb, cfg *Config) {
			cfg.Padding = func(frame.Header) int { b.visit(); return 0 }
		}, nil, func(p *testPeer) {
			p.send(h2test.WindowUpdate(3, 10))
		}},
		{"a fault is counted", func(b *bomb, cfg *Config) {
			cfg.CountError = func(string) { b.visit() }
		}, nil, func(p *testPeer) { p.send(h2test.WindowUpdate(3, 0)) }},
		{"streams are handed over", nil, func(b *bomb, p *testPeer) {
			p.h.onStreams = func([]*Stream) { b.visit() }
		}, func(p *testPeer) { p.send(h2test.Get(5)) }},
		{"the state changes", nil, func(b *bomb, p *testPeer) {
			p.h.onState = func(idle bool) {
				if idle {
					b.visit()
				}
			}
		}, func(p *testPeer) { p.send(h2test.RST(1, frame.Cancel), h2test.RST(3, frame.Cancel)) }},
		{"time passes", func(b *bomb, cfg *Config) {
			cfg.Scheduler = scheduler(bombScheduler{onClose: b})
			cfg.StallTimeout = time.Minute
		}, nil, func(*testPeer) { time.Sleep(10 * time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bomb{goexit: goexit}
				cfg := Config{}
				if tt.hide != nil {
					tt.hide(b, &cfg)
				}
				p := makeTestPeer(t, core.Server, cfg, memconn.Options{})
				if tt.put != nil {
					tt.put(b, p)
				}
				p.serve()
				p.greet(h2test.InitialWindow(0))
				one, three := p.open(h2test.Post(1)), p.open(h2test.Get(3))
				check(t, "WriteHeaders", three.WriteHeaders(status2(200), false))
				reader := p.start(func() (int, error) { return one.Read(make([]byte, 1)) })
				writer := p.start(func() (int, error) { return three.Write([]byte("hello")) })
				writer.wantWaiting("no window")
				b.armed.Store(true)
				if tt.step != nil {
					tt.step(p)
				} else {
					p.send(h2test.Ping("12345678"))
				}
				if b.armed.Load() {
					t.Fatal("nothing has touched it")
				}
				if tt.name == "the state changes" {
					reader.want("reset", 0, frame.Cancel)
					reader = p.start(func() (int, error) { return 0, p.c.Err() })
				}
				p.wantBroken(b, reader)
				one.Release()
				three.Release()
			})
		})
	}
}

// What was read before the connection was made is handled before anything is read.
func TestPanicAtTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, start := range []bool{false, true} {
			b := &bomb{}
			b.armed.Store(true)
			_, far := testEnds(t, memconn.Options{})
			c := NewServer(
				far,
				Config{Tracer: bombTracer{b, In}, Received: frame.AppendSettings([]byte(frame.Preface))},
				&testHandler{},
			)
			var err error
			if start {
				ended := make(chan error)
				c.Start(func(err error) { ended <- err })
				err = <-ended
			} else {
				err = c.Serve()
			}
			if !errors.Is(err, errBomb) {
				t.Errorf("started: %v: the connection has ended with %v", start, err)
			}
		}
	})
}

// Whatever goroutine reads for a client, its requests fail with an error that says why.
func TestPanicOfClient(t *testing.T) {
	needsSocket(t)
	for _, quickly := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := &bomb{}
			p := makeTestPeer(t, core.Client, Config{}, memconn.Options{})
			p.c.nc = bombReader{p.far, b}
			p.serve()
			p.greet()
			var st *Stream
			var k *call
			if quickly {
				st, k = p.startInlineRequest(p.sendBackToBack())
			} else {
				st = p.openRequest(h2test.Get(1), "")
				k = p.start(func() (int, error) { _, err := st.AwaitHead(); return 0, err })
				p.want("the request", h2test.Get(1))
			}
			b.armed.Store(true)
			p.send(h2test.Response(st.ID(), 204).End())
			p.wantBroken(b, k)
			st.Release()
		})
	}
}
