package capture

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// at is a time in milliseconds since played connections begin.
func msAt(ms int) time.Time { return at0.Add(time.Duration(ms) * time.Millisecond) }

// A request has the times and octets of its frames, in milliseconds one after the other.
func TestRequestTimes(t *testing.T) {
	p := http2Played(t, Options{})
	p.send(Client, h2test.Post(1).With("content-type: a/b"))      // 1
	p.send(Client, h2test.DataEnd(1, "12345"))                    // 2
	p.send(Server, h2test.Response(1, 103))                       // 3
	p.send(Server, h2test.Response(1, 200, "content-type: text")) // 4
	p.send(Client, h2test.WindowUpdate(1, 5), h2test.Ping("x"))   // 5, 6
	p.send(Server, frame.Data{StreamID: 1, Data: []byte("abc"), Padded: true, PadLength: 9})
	p.send(Server, h2test.DataEnd(1, "de"))
	p.s.end(p.now, wire.Closed)
	if len(p.requests()) != 1 {
		t.Fatalf("%d requests, want 1", len(p.requests()))
	}
	got := p.requests()[0]
	want := &Request{
		Conn: 1, Stream: 1, Version: "HTTP/2", Method: "POST", Scheme: "https", Authority: "example.com", Path: "/",
		Status: 200, ContentType: "text", Start: msAt(1), RequestEnd: msAt(2), Response: msAt(4), FirstData: msAt(7),
		End: msAt(8), Body: [2]int64{5, 5}, Wire: [2]int64{19 + 14 + 13, 19 + 19 + 22 + 11},
		DataChunks: []Chunk{{msAt(7), 3}, {msAt(8), 2}}, Complete: true,
		Wait: Wait{Server: 2 * time.Millisecond}, Fields: got.Fields, Interim: got.Interim,
	}
	want.Scheme, want.Authority = got.Scheme, got.Authority // those of h2test
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(got.Interim) != 1 || got.Interim[0].Time != msAt(3) || got.Interim[0].Status != 103 {
		t.Errorf("interim responses %v, want 103 at 3 ms", got.Interim)
	}
	if got.Field(Client, "Content-Type") != "a/b" || got.Field(Server, "x") != "" {
		t.Errorf("fields %v", got.Fields)
	}
}

// The oldest requests are given up where there are too many.
func TestRequestsTooMany(t *testing.T) {
	p := http2Played(t, Options{})
	for i := range uint32(maxOpenRequests + 10) {
		p.send(Client, h2test.Get(2*i+1))
	}
	given := p.requests()
	if len(given) != 10 || given[9].Stream != 19 || !strings.HasPrefix(given[9].Problem, "too many requests") {
		t.Fatalf("%d requests were given up", len(given))
	}
	p.send(Server, h2test.Response(19, 200).End()) // is no longer followed
	p.s.end(p.now, wire.Open)
	if n, held := len(p.requests()), p.s.a.requestsHeld.Load(); n != maxOpenRequests+10 || held != 0 {
		t.Errorf("%d requests, and %d octets are still held; want %d and 0", n, held, maxOpenRequests+10)
	}
}

// Fields and lists are dropped where they are too many octets, the oldest first.
func TestRequestsTooMuch(t *testing.T) {
	p := http2Played(t, Options{})
	long := strings.Repeat("x", 1<<20)
	for i := range uint32(20) {
		p.send(Client, h2test.Get(2*i+1, "long: "+long))
	}
	if held := p.s.a.requestsHeld.Load(); held > maxHeldByConn {
		t.Errorf("%d octets are held, at most %d may", held, maxHeldByConn)
	}
	p.send(Server, h2test.Response(1, 200, "a: b"))
	p.s.end(p.now, wire.Open)
	requests := p.requests()
	first, last := requests[0], requests[19]
	if first.Stream != 1 || first.Fields[Client] != nil || first.Fields[Server] != nil || first.Method != "GET" ||
		first.Status != 200 || first.Problem == "" {
		t.Errorf("the oldest is %s with fields, problem %q", line(first), first.Problem)
	}
	if last.Field(Client, "long") != long || last.Problem != "" {
		t.Errorf("the newest is %s, problem %q", line(last), last.Problem)
	}
	if held := p.s.a.requestsHeld.Load(); held != 0 {
		t.Errorf("%d octets are held at the end", held)
	}
}

// Chunks of a long response are joined.
func TestRequestChunks(t *testing.T) {
	p := http2Played(t, Options{})
	p.send(Client, h2test.Get(1))
	p.send(Server, h2test.Response(1, 200))
	for range 5000 {
		p.send(Server, h2test.Data(1, "0123456789"))
	}
	p.send(Server, h2test.DataEnd(1, ""))
	r := p.requests()[0]
	var sum int64
	for i, c := range r.DataChunks {
		sum += c.Octets
		if i > 0 && !c.Time.After(r.DataChunks[i-1].Time) {
			t.Fatalf("chunk %d at %v is not behind the one before", i, c.Time)
		}
	}
	if n := len(r.DataChunks); n < maxChunks/2 || n > maxChunks || sum != 50_000 {
		t.Errorf("%d chunks of %d octets, want at most %d of 50000", n, sum, maxChunks)
	}
}

// The priority of streams that never begin, and streams that are over, do not fill memory.
func TestRequestsRemembered(t *testing.T) {
	p := http2Played(t, Options{})
	for i := range uint32(3 * maxClosedStreams) {
		p.send(Client, frame.PriorityUpdate{PrioritizedID: 1<<20 + 2*i + 1, Value: []byte("u=1")})
		p.send(Client, h2test.Get(2*i+1), h2test.RST(2*i+1, frame.Cancel))
		p.events = nil
	}
	o := p.s.observers[1].(*requests)
	if len(o.early) != maxEarly || len(o.closed.set) != maxClosedStreams || len(o.closed.ring) != maxClosedStreams {
		t.Errorf("%d priorities and %d streams are remembered", len(o.early), len(o.closed.set))
	}
}

// Octets that one DATA frame lacks concern its stream only; others may be frames of any stream.
func TestRequestsLossy(t *testing.T) {
	for _, tt := range []struct {
		name string
		lost int64
		want []string
	}{
		{"within DATA", 10, []string{"1 POST / 200 body=16/0 complete", "3 POST / 200 body=5/0 lossy complete"}},
		{
			"and a frame before it", 19,
			[]string{"1 POST / 200 body=16/0 lossy complete", "3 POST / 200 body=5/0 lossy complete"},
		},
		{
			"how many is not known", -1,
			[]string{"1 POST / 200 body=16/0 lossy complete", "3 POST / 200 body=5/0 lossy complete"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := http2Played(t, Options{})
			kind := "content-type: application/grpc"
			p.send(Client, h2test.Post(1, kind), h2test.Post(3, kind), h2test.Data(1, grpcMessage(0, 3)))
			p.s.lost(Client, p.now, tt.lost)
			p.s.content(Client, p.now, 3, []byte("after"), 10)
			h := frame.Header{Length: 15, Type: frame.TypeData, StreamID: 3, Flags: frame.FlagEndStream}
			p.s.dataFrame(Client, p.now, p.now, h, -1, 10)
			p.send(Client, h2test.DataEnd(1, grpcMessage(0, 3)))
			p.send(Server, h2test.Response(1, 200).End(), h2test.Response(3, 200).End())
			var got []string
			for _, r := range p.requests() {
				got = append(got, line(r))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			want := int64(2) // messages
			if tt.lost != 10 {
				want = 1
			}
			if n := p.requests()[0].GRPC.Count[Client]; n != want {
				t.Errorf("%d messages on stream 1, want %d", n, want)
			}
		})
	}
}

// Many connections with a request each hold no more than all may, and a little each.
func TestRequestsOfManyConnections(t *testing.T) {
	a := &analyzer{handler: func(Event) {}}
	long := strings.Repeat("x", 60_000)
	var sessions []*session
	for range 1000 {
		s := a.open(netip.AddrPort{}, netip.AddrPort{}, at0)
		s.found(HTTP2, "preface")
		p := &played{t: t, s: s, now: at0}
		p.send(Client, h2test.Get(1, "long: "+long))
		sessions = append(sessions, s)
	}
	if held := a.requestsHeld.Load(); held < maxHeldByAll/2 || held > maxHeldByAll+1000*freeHeld {
		t.Errorf("%d octets are held", held)
	}
	for _, s := range sessions {
		s.end(at0, wire.Closed)
	}
	if held := a.requestsHeld.Load(); held != 0 {
		t.Errorf("%d octets are held at the end", held)
	}
}
