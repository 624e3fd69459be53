package benchmarks

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// A pair is two connections back to back in one goroutine: what one sends is
// what the other receives.
type pair struct {
	tb             testing.TB
	client, server core.Driver
	now            time.Time
	toServer       []byte
	toClient       []byte
	spare          []byte

	answer []header.Field // of the server
	body   []byte         // of the server's answers; empty for none
	free   []*core.Stream
	closed int   // streams that have ended, seen by the client
	bytes  int64 // of DATA, received by the client
}

const window = 8 << 20

func newPair(tb testing.TB) *pair {
	p := &pair{tb: tb, now: time.Unix(1_000_000_000, 0)}
	cfg := core.Config{
		MaxConcurrentStreams: 1000,
		DecoderTableSize:     4096,
		EncoderTableSize:     4096,
		MaxReadFrameSize:     frame.MinMaxFrameSize,
		StreamWindow:         window,
		ConnWindow:           window,
		MaxUnread:            window,
		MaxHeaderBytes:       64 << 10,
		MaxHeaderFields:      200,
		NewStream:            p.newStream,
		// The clock of a benchmark stands still, so nothing is refilled.
		Limits: core.Limits{GlitchBurst: -1, EmptyBurst: -1, ResetBurst: -1},
	}
	p.server = core.New(cfg).Driver()
	cfg.Role = core.Client
	p.client = core.New(cfg).Driver()
	p.client.Start(p.now)
	p.server.Start(p.now)
	p.pump()
	return p
}

// newStream reuses the memory of closed streams, as package conn does.
func (p *pair) newStream() *core.Stream {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	return new(core.Stream)
}

// pump carries octets both ways until both connections have none to send.
func (p *pair) pump() {
	for {
		moved := p.carry(p.client, p.server, &p.toServer)
		moved = p.carry(p.server, p.client, &p.toClient) || moved
		if !moved {
			return
		}
	}
}

// carry takes what from wants to send and gives it to to. wire keeps what is
// not a whole frame yet.
func (p *pair) carry(from, to core.Driver, wire *[]byte) bool {
	from.Fill(256 << 10)
	p.events(from)
	if from.OutputLen() == 0 {
		return false
	}
	out := from.Output(p.spare)
	*wire = append(*wire, out...)
	p.spare = out[:0]
	b := *wire
	for {
		n, more, err := to.Receive(b, p.now)
		if err != nil {
			p.tb.Fatal(err)
		}
		b = b[n:]
		p.events(to)
		if !more {
			break
		}
	}
	*wire = append((*wire)[:0], b...)
	return true
}

func (p *pair) events(c core.Driver) {
	for {
		e, ok := c.NextEvent()
		if !ok {
			return
		}
		switch {
		case e.Kind == core.EventReset:
			p.tb.Fatal(e.Err)
		case e.Kind == core.EventHeaders && c == p.server:
			p.respond(e.Stream)
		case e.Kind == core.EventData:
			p.bytes += int64(len(e.Data))
			c.Consume(e.Stream, len(e.Data))
		case e.Kind == core.EventClosed:
			p.free = append(p.free, e.Stream)
			if c == p.client {
				p.closed++
			}
		}
	}
}

func (p *pair) respond(s *core.Stream) {
	if err := p.server.SendHead(s, core.ResponseHead{Fields: p.answer, End: len(p.body) == 0}); err != nil {
		p.tb.Fatal(err)
	}
	if len(p.body) == 0 {
		return
	}
	if err := p.server.Queue(s, core.Content{Data: p.body, End: true}); err != nil {
		p.tb.Fatal(err)
	}
}

var (
	request = []header.Field{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "localhost:8080"},
		{Name: ":path", Value: "/"},
		{Name: "user-agent", Value: "benchmark/1.0"},
		{Name: "accept", Value: "*/*"},
	}
	response = []header.Field{
		{Name: ":status", Value: "200"},
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: "13"},
		{Name: "date", Value: "Sun, 06 Nov 1994 08:49:37 GMT"},
	}
)

// requests makes n requests at once and waits for their answers.
func (p *pair) requests(n int) {
	p.closed = 0
	for range n {
		if _, err := p.client.Open(core.Request{Fields: request, End: true}); err != nil {
			p.tb.Fatal(err)
		}
	}
	p.pump()
	if p.closed != n {
		p.tb.Fatalf("%d of %d streams have ended", p.closed, n)
	}
}

// maxRequests is how many requests a pair makes before its stream identifiers
// run low (RFC 9113 §5.1.1) and another takes its place.
const maxRequests = 1 << 29

// BenchmarkRequests is both ends' work for a whole request and its answer of
// 13 octets, so many in flight at once. One operation is one request.
func BenchmarkRequests(b *testing.B) {
	for _, inFlight := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(inFlight)+"-in-flight", func(b *testing.B) {
			p := newPair(b)
			p.answer, p.body = response, body[:13]
			p.requests(inFlight)
			b.ReportAllocs()
			b.ResetTimer()
			made := 0
			for done := 0; done < b.N; {
				n := min(inFlight, b.N-done)
				if made += n; made > maxRequests {
					p, made = newPair(b), n
					p.answer, p.body = response, body[:13]
				}
				p.requests(n)
				done += n
			}
		})
	}
}

// BenchmarkDownload is both ends' work for a large answer, flow control
// included.
func BenchmarkDownload(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			p := newPair(b)
			p.answer, p.body = response[:2], make([]byte, size)
			p.requests(1)
			p.bytes = 0
			b.ReportAllocs()
			b.SetBytes(int64(size))
			n := 0
			for b.Loop() {
				p.requests(1)
				n++
			}
			if p.bytes != int64(n)*int64(size) {
				b.Fatalf("%d octets arrived, want %d", p.bytes, int64(n)*int64(size))
			}
		})
	}
}

// BenchmarkPing is a PING and its acknowledgement.
func BenchmarkPing(b *testing.B) {
	p := newPair(b)
	b.ReportAllocs()
	for b.Loop() {
		p.client.Ping([8]byte{1, 2, 3})
		p.pump()
	}
}

// The pair does what the benchmarks say.
func TestPair(t *testing.T) {
	p := newPair(t)
	p.answer, p.body = response[:2], make([]byte, 3*window/2)
	p.requests(3)
	if want := int64(3 * len(p.body)); p.bytes != want {
		t.Errorf("%d octets arrived, want %d", p.bytes, want)
	}
	if n := p.server.NumStreams(); n != 0 {
		t.Errorf("the server has %d streams left", n)
	}
	if n := p.server.State().Unread + p.client.State().Unread; n != 0 {
		t.Errorf("%d octets were not given back", n)
	}
}
