package capture

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// GOAWAY frames, of which a capture may have a million, do not sort the requests that are open.
func TestRequestsManyGoAways(t *testing.T) {
	p := http2Played(t, Options{})
	for i := range uint32(1000) {
		p.send(Client, h2test.Get(2*i+1))
	}
	p.send(Server, h2test.Response(1, 200)) // which GOAWAY does not end
	f := &Frame{Dir: Server, Parsed: frame.GoAway{LastStreamID: 999}}
	o := p.s.observers[1].(*requests)
	o.goAway(f)
	p.s.flush()
	if n := len(p.requests()); n != 500 {
		t.Errorf("%d requests were not processed, want 500", n)
	}
	if n := testing.AllocsPerRun(10, func() { o.goAway(f) }); n != 0 {
		t.Errorf("another GOAWAY takes %v allocations", n)
	}
}

// Priorities of streams that never begin take little memory, of all connections together.
func TestRequestsManyPriorities(t *testing.T) {
	p := http2Played(t, Options{})
	before := heap()
	for i := range uint32(2 * maxEarly) {
		p.send(Client, frame.Priority{StreamID: 2*i + 1001, PriorityParam: frame.PriorityParam{Weight: 15}})
	}
	o := p.s.observers[1].(*requests)
	if n := heap() - before; len(o.early) != maxEarly || n > maxEarly*earlyOctets {
		t.Errorf("%d priorities take %d octets, at most %d are counted", len(o.early), n, maxEarly*earlyOctets)
	}
	p.send(Client, h2test.Get(1001).End())
	p.send(Server, h2test.Response(1001, 200).End())
	if r := p.requests(); len(r) != 1 || r[0].Weight != 16 {
		t.Errorf("%d requests, the first %+v; want one with a weight of 16", len(r), r)
	}
	p.s.end(p.now, wire.Closed)
	if n := p.s.a.held.used.Load(); n != 0 {
		t.Errorf("%d octets are still held", n)
	}
	runtime.KeepAlive(p)
}

// A long grpc-message behind the first trailers, to which HPACK refers with an octet, is not kept:
// nothing would count it.
func TestRequestsTrailersAgain(t *testing.T) {
	p := http2Played(t, Options{})
	p.send(Client, h2test.Post(1).With("content-type: application/grpc"))
	p.send(Server, h2test.Response(1, 200, "content-type: application/grpc"))
	p.send(Server, h2test.Trailers(1, "grpc-status: 3", "grpc-message: a%20b"))
	o := p.s.observers[1].(*requests)
	if x := o.open[1]; x != nil {
		x.trailers(Server, fieldsOf("grpc-status: 4", "grpc-message: "+strings.Repeat("%20", 1<<16)))
		if x.GRPC.Status != 3 || x.GRPC.Message != "a b" {
			t.Errorf("status %d, message of %d octets; want those of the first trailers", x.GRPC.Status, len(x.GRPC.Message))
		}
	} else {
		t.Error("the request is over")
	}
}
