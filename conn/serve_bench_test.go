package conn

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/netconn"
)

// scripted is a net.Conn on which requests come as fast as they are read, batch after batch, until
// there have been enough. What is written to it is counted and dropped.
type scripted struct {
	first   []byte // preface, SETTINGS, acknowledgement
	batch   []byte // HEADERS frames, whose stream identifiers rise from batch to batch
	places  []int  // of the identifiers
	next    uint32
	batches int
	rest    []byte
	written int
}

func newScripted(streams, batches int) *scripted {
	p := &testPeer{codec: h2test.NewCodec()}
	s := &scripted{next: 1, batches: batches}
	s.first = p.codec.Append(nil, h2test.Raw(frame.Preface))
	s.first = p.codec.Append(s.first, h2test.Settings(h2test.InitialWindow(1<<30)))
	s.first = p.codec.Append(s.first, h2test.Ack)
	s.first = p.codec.Append(s.first, h2test.WindowUpdate(0, 1<<30))
	s.first = p.codec.Append(s.first, h2test.Get(1)) // fills the HPACK table
	s.next = 3
	for range streams {
		s.places = append(s.places, len(s.batch)+5)
		s.batch = p.codec.Append(s.batch, h2test.Get(1))
	}
	s.rest = s.first
	return s
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if s.batches == 0 {
			return 0, io.EOF
		}
		s.batches--
		for _, at := range s.places {
			s.batch[at], s.batch[at+1], s.batch[at+2], s.batch[at+3] = byte(
				s.next>>24,
			), byte(
				s.next>>16,
			), byte(
				s.next>>8,
			), byte(
				s.next,
			)
			s.next += 2
		}
		s.rest = s.batch
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *scripted) Write(b []byte) (int, error)      { s.written += len(b); return len(b), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) LocalAddr() net.Addr              { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// InterruptibleRead has it written to as a socket is, by the goroutine that flushes.
func (s *scripted) InterruptibleRead(netconn.Mark) bool { return true }

// replier answers on the read goroutine, as the fastest handler would.
type replier struct {
	fields []header.Field
	body   []byte
	each   func() // if set, called for each batch
}

func (r *replier) HandleStreams(batch []*Stream) {
	c := batch[0].Conn()
	for _, st := range batch {
		if err := st.ReplyAndRelease(r.fields, r.body, nil); err != nil {
			panic(err)
		}
	}
	c.Flush()
	if r.each != nil {
		r.each()
	}
}
func (*replier) StreamBlocked(*Stream) {}
func (*replier) ConnState(bool)        {}

func newReplier() *replier {
	return &replier{
		fields: status2(200, "content-type", "text/plain; charset=utf-8", "content-length", "13", "server", "sluice"),
		body:   []byte("hello, world!"),
	}
}

// The low-level way of a request, head to Release, allocates nothing once memory has grown.
func TestRequestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const streams, warm, rounds = 100, 50, 200
	h := newReplier()
	s := newScripted(streams, warm+rounds+1)
	tokens, done := make(chan bool), make(chan bool)
	h.each = func() {
		done <- true
		<-tokens
	}
	c := NewServer(s, Config{}, h)
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	batch := func() {
		tokens <- true
		<-done
	}
	<-done
	for range warm {
		batch()
	}
	allocs := testing.AllocsPerRun(rounds-1, batch)
	close(tokens)
	go func() { // the last batches
		for range done {
		}
	}()
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	close(done)
	if allocs > 0 {
		t.Errorf("%v allocations for %d requests", allocs, streams)
	}
}

func BenchmarkServe(b *testing.B) {
	for _, streams := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			b.ReportAllocs()
			s := newScripted(streams, (b.N+streams-1)/streams)
			c := NewServer(s, Config{}, newReplier())
			b.ResetTimer()
			if err := c.Serve(); err != nil {
				b.Fatal(err)
			}
			st := c.Stats()
			b.ReportMetric(float64(st.StreamsOpened)/float64(st.Writes), "requests/write")
		})
	}
}

// BenchmarkWrite is a large response in pieces, over TCP, to a client that drops it.
func BenchmarkWrite(b *testing.B) {
	for _, piece := range []int{4 << 10, 32 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("piece=%d", piece), func(b *testing.B) {
			b.SetBytes(int64(piece))
			b.ReportAllocs()
			cn, sn := tcpPair(b)
			n := b.N
			c := NewServer(sn, Config{}, handlerFunc(func(st *Stream) {
				_ = st.WriteHeaders(status2(200), false)
				buf := make([]byte, piece)
				for range n {
					if _, err := st.Write(buf); err != nil {
						return // the client has had enough: it counts frame headers, too
					}
				}
				_ = st.Finish(nil, nil)
			}))
			served := make(chan error, 1)
			go func() { served <- c.Serve() }()
			p := &testPeer{codec: h2test.NewCodec()}
			first := p.codec.Append(nil, h2test.Raw(frame.Preface))
			first = p.codec.Append(first, h2test.Settings(h2test.InitialWindow(1<<31-1)))
			first = p.codec.Append(first, h2test.WindowUpdate(0, 1<<31-1-65535))
			first = p.codec.Append(first, h2test.Get(1))
			b.ResetTimer()
			_, _ = cn.Write(first)
			want := int64(n) * int64(piece)
			more := frame.WindowUpdate{
				Increment: 1 << 29,
			}.Append(
				frame.WindowUpdate{StreamID: 1, Increment: 1 << 29}.Append(nil),
			)
			buf := make([]byte, 256<<10)
			for got, granted := int64(0), int64(1<<30); got < want; {
				k, err := cn.Read(buf)
				if err != nil {
					b.Fatal(err)
				}
				if got += int64(k); got > granted {
					granted += 1 << 29
					_, _ = cn.Write(more)
				}
			}
			b.StopTimer()
			_ = cn.Close()
			<-served
		})
	}
}
