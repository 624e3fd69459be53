package core

import (
	"testing"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// BenchmarkRequestResponse is what a request and a response of 13 octets cost both ends together,
// so many at once: two Conns whose outputs are each other's input.
func BenchmarkRequestResponse(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(itoa(uint32(n))+"-in-flight", func(b *testing.B) {
			d := newDuo(b)
			d.exchange(n)
			b.ReportAllocs()
			for b.Loop() {
				if d.ends[Client].streams.ids.LastLocal() > frame.MaxStreamID/2 {
					d = newDuo(b)
				}
				d.exchange(n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/request")
		})
	}
}

// A duo is a client and a server back to back.
type duo struct {
	tb   testing.TB
	ends [2]Driver // by Role
	out  [2][]byte // what they have sent
	free []*Stream
	head []header.Field // of responses
	body []byte
	left int // streams that the client has open
}

func newDuo(tb testing.TB) *duo {
	d := &duo{tb: tb, head: duoResponse, body: []byte("Hello, world!")}
	for role := range d.ends {
		cfg := testConfig(Role(role))
		cfg.NewStream = func() *Stream {
			if n := len(d.free); n > 0 {
				s := d.free[n-1]
				d.free = d.free[:n-1]
				return s
			}
			return new(Stream)
		}
		cfg.Limits = Limits{GlitchBurst: -1} // the clock stands still
		d.ends[role] = New(cfg).Driver()
		d.ends[role].Start(epoch)
	}
	d.carry()
	return d
}

var (
	duoRequest  = requestFields("user-agent: benchmark/1.0", "accept: */*")
	duoResponse = responseFields("content-type: text/plain; charset=utf-8", "content-length: 13")
)

// exchange is n requests at once and their responses.
func (d *duo) exchange(n int) {
	for range n {
		if _, err := d.ends[Client].Open(Request{Fields: duoRequest, End: true}); err != nil {
			d.tb.Fatal(err)
		}
	}
	d.left += n
	d.carry()
	if d.left != 0 {
		d.tb.Fatalf("%d streams are left", d.left)
	}
}

// carry brings octets to the other side until none are left.
func (d *duo) carry() {
	for d.ends[Client].OutputLen()+d.ends[Server].OutputLen() > 0 {
		for role, c := range d.ends {
			d.out[role] = c.Output(d.out[role])
			other := d.ends[1-role]
			for b, more := d.out[role], true; more; {
				n, again, err := other.Receive(b, epoch)
				if err != nil {
					d.tb.Fatal(err)
				}
				b, more = b[n:], again
				d.events(other)
			}
			other.Fill(1 << 20)
			d.events(other)
		}
	}
}

func (d *duo) events(c Driver) {
	for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
		switch {
		case e.Kind == EventHeaders && c.cfg.Role == Server:
			err := c.SendHead(e.Stream, ResponseHead{Fields: d.head})
			if err == nil {
				err = c.Queue(e.Stream, Content{Data: d.body, End: true})
			}
			if err != nil {
				d.tb.Fatal(err)
			}
		case e.Kind == EventData:
			c.Consume(e.Stream, len(e.Data))
		case e.Kind == EventReset:
			d.tb.Fatal(e.Err)
		case e.Kind == EventClosed:
			d.free = append(d.free, e.Stream)
			if c.cfg.Role == Client {
				d.left--
			}
		}
	}
}
