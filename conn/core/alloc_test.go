package core

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A loop makes requests on one Conn with frames that were built before, so that what allocates is
// the Conn.
type loop struct {
	tb      testing.TB
	c       Driver
	now     time.Time
	in, out []byte // frames of the peer for one stream, whose identifiers are put in; memory for the output
	id      uint32
	free    []*Stream
	body    []byte
	fields  []header.Field
	closed  int
}

func newLoop(tb testing.TB, role Role, frames ...any) *loop {
	l := &loop{tb: tb, now: epoch, id: 1, body: make([]byte, 13)}
	p := newPeer(tb, role, func(cfg *Config) {
		cfg.NewStream = l.newStream
		cfg.StallTimeout, cfg.IdleTimeout, cfg.PingInterval = time.Minute, time.Minute, time.Minute
	})
	p.send(h2test.WindowUpdate(0, 1<<30))
	l.c, l.fields = p.c, responseFields("content-type: text/plain", "x-custom: value")
	if role == Client {
		l.fields = requestFields("x-custom: value")
	}
	for range 3 { // until both tables have all fields
		l.in = p.codec.Append(nil, frames...)
		l.exchange()
	}
	return l
}

func (l *loop) newStream() *Stream {
	if n := len(l.free); n > 0 {
		s := l.free[n-1]
		l.free = l.free[:n-1]
		return s
	}
	return new(Stream)
}

// exchange is one request and its response.
func (l *loop) exchange() {
	if l.c.cfg.Role == Client {
		if _, err := l.c.Open(Request{Fields: l.fields, End: true}); err != nil {
			l.tb.Fatal(err)
		}
		l.events()
	}
	for b := l.in; len(b) > 0; b = b[frame.HeaderLen+frame.ParseHeader(b).Length:] {
		binary.BigEndian.PutUint32(b[5:], l.id)
	}
	l.id += 2
	rest := l.in
	for more := true; more; {
		var n int
		var err error
		if n, more, err = l.c.Receive(rest, l.now); err != nil {
			l.tb.Fatal(err)
		}
		rest = rest[n:]
		l.events()
	}
	l.c.Fill(1 << 20)
	l.events()
	l.out = l.c.Output(l.out)
}

func (l *loop) events() {
	for {
		e, ok := l.c.NextEvent()
		if !ok {
			return
		}
		switch e.Kind {
		case EventHeaders:
			if l.c.cfg.Role == Server {
				if err := l.c.SendHead(e.Stream, ResponseHead{Fields: l.fields}); err != nil {
					l.tb.Fatal(err)
				}
				if err := l.c.Queue(e.Stream, Content{Data: l.body, End: true}); err != nil {
					l.tb.Fatal(err)
				}
			}
		case EventData:
			l.c.Consume(e.Stream, len(e.Data))
		case EventClosed:
			l.closed++
			l.free = append(l.free, e.Stream)
		default:
		}
	}
}

var (
	getFrames  = []any{h2test.Get(1, "x-custom: value")}
	postFrames = []any{
		h2test.GetOpen(1, "x-custom: value"),
		h2test.Data(1, "some content"),
		h2test.DataEnd(1, "and more"),
	}
	answerFrames = []any{h2test.Response(1, 200, "x-custom: value"), h2test.DataEnd(1, "Hello, world!")}
)

// A request and its response allocate nothing, once everything has grown.
func TestNoAllocations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		role   Role
		frames []any
	}{
		{"GET", Server, getFrames},
		{"POST", Server, postFrames},
		{"client", Client, answerFrames},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoop(t, tt.role, tt.frames...)
			for range 500 { // so that the record of closed streams is full, too
				l.exchange()
			}
			before := l.closed
			if n := testing.AllocsPerRun(1000, l.exchange); n != 0 {
				t.Errorf("%v allocations for one exchange", n)
			}
			if l.closed != before+1001 {
				t.Errorf("%d streams have ended", l.closed-before)
			}
		})
	}
}

// A hundred at once allocate nothing either.
func TestNoAllocationsTogether(t *testing.T) {
	d := newDuo(t)
	d.head = responseFields("content-type: text/plain")
	for range 10 {
		d.exchange(100)
	}
	if n := testing.AllocsPerRun(50, func() { d.exchange(100) }); n != 0 {
		t.Errorf("%v allocations for a hundred exchanges", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, tt := range []struct {
		name   string
		role   Role
		frames []any
	}{{"server/GET", Server, getFrames}, {"server/POST", Server, postFrames}, {"client", Client, answerFrames}} {
		b.Run(tt.name, func(b *testing.B) {
			l := newLoop(b, tt.role, tt.frames...)
			b.ReportAllocs()
			for b.Loop() {
				if l.id > 1<<30 { // identifiers end
					l = newLoop(b, tt.role, tt.frames...)
				}
				l.exchange()
			}
		})
	}
}
