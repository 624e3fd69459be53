package capture

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// BenchmarkObservers has frames of a download seen by all observers.
func BenchmarkObservers(b *testing.B) {
	p := newScript(&testing.T{}, Options{})
	p.s.a.handler = func(Event) {}
	p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1)).server(h2.Response(1, 200))
	data := p.parse(Server, frame.Header{Type: frame.TypeData, StreamID: 1, Length: 16384}, make([]byte, 16384))
	conn := p.parse(Client, frame.Header{Type: frame.TypeWindowUpdate, Length: 4}, []byte{0, 0, 64, 0})
	own := p.parse(Client, frame.Header{Type: frame.TypeWindowUpdate, Length: 4, StreamID: 1}, []byte{0, 0, 64, 0})
	b.ReportAllocs()
	for b.Loop() {
		p.s.deliver(data)
		p.s.deliver(conn)
		p.s.deliver(own)
	}
}

// BenchmarkObserversRequests has small requests seen by all observers.
func BenchmarkObserversRequests(b *testing.B) {
	p := newScript(&testing.T{}, Options{})
	p.s.a.handler = func(Event) {}
	p.settle(h2.Settings(), h2.Settings())
	id := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		p.client(h2.Get(id)).server(h2.Response(id, 200), h2.DataEnd(id, "x"))
		id += 2
	}
}
