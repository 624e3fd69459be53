package capture

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// FuzzSession cuts the octets of two directions into pieces, some of which are lost or changed. The
// script has an octet for each piece: its direction, what happens to it, and its length.
//
// The events of each connection begin and end once. Frames have times that do not decrease within a
// direction, and octets that are shown, or missing, are not more than there were. At the end
// nothing is held.
func FuzzSession(f *testing.F) {
	c, s := h2test.NewCodec(), h2test.NewCodec()
	client := c.Append(nil, frame.Preface, h2test.Settings(), h2test.Post(1, "a: b").Cut(3), h2test.DataOf(1, 300),
		h2test.Get(3, "a: b"), h2test.Headers(5, ":method: CONNECT", ":authority: a:80"),
		h2test.Data(5, "CONNECT b:1 HTTP/1.1\r\n\r\n"+frame.Preface+frames(h2test.Settings(), h2test.Get(1))))
	server := s.Append(nil, h2test.Settings(), h2test.Ack, h2test.Response(1, 200, "c: d"), h2test.DataOf(1, 1000),
		h2test.Response(5, 200), h2test.Data(5, "HTTP/1.1 200 OK\r\n\r\n"+frames(h2test.Settings(), h2test.Response(1, 200))),
		h2test.Response(3, 404).End(), h2test.GoAway(3, frame.NoError, "bye"))
	upgrade := []byte("GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + string(client))
	accept := append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), server...)
	for _, script := range []string{
		"\xff\x7f\xff\x7f", "\x10\x90\x20\xa0\x30\xb0\x11\x92", "\x3f\xbf\x3f\xbf\xc1\x41\x3f\xbf",
	} {
		f.Add(client, server, []byte(script), false)
		f.Add(client, server, []byte(script), true)
		f.Add(upgrade, accept, []byte(script), false)
		f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n"), []byte(script), true)
	}
	f.Fuzz(func(t *testing.T, client, server, script []byte, missing bool) {
		if len(client)+len(server) > 1<<16 || len(script) > 1000 {
			return
		}
		newFuzzed(t, missing).run([2][]byte{client, server}, script)
	})
}

// fuzzed is a session with what its events must be like.
type fuzzed struct {
	t     *testing.T
	a     *analyzer
	s     *session
	state map[uint64]int // of connections: 1 open, 2 ended
	last  map[uint64][2]time.Time
	sum   int64
}

func newFuzzed(t *testing.T, missing bool) *fuzzed {
	z := &fuzzed{t: t, state: map[uint64]int{}, last: map[uint64][2]time.Time{}}
	z.a = newReading(Options{Bodies: true}, z.event).a
	z.s = z.a.open(netip.AddrPort{}, netip.AddrPort{}, time.Unix(0, 0))
	z.s.info.StartMissing = missing
	return z
}

// begun checks that an event comes while its connection is open.
func (z *fuzzed) begun(e Event) {
	id := e.ConnID()
	want := 1
	if _, ok := e.(*Connection); ok {
		want = 0
	}
	if z.state[id] != want {
		z.t.Fatalf("%s of connection %d in state %d", e.Kind(), id, z.state[id])
	}
	switch e.(type) {
	case *Connection:
		z.state[id] = 1
	case *End:
		z.state[id] = 2
	}
}

// event checks an event.
func (z *fuzzed) event(e Event) {
	z.begun(e)
	switch e := e.(type) {
	case *Frame:
		id := e.ConnID()
		last := z.last[id]
		if e.Time.Before(e.First) || e.Time.Before(last[e.Dir]) {
			z.t.Fatalf("frame from %v to %v behind one of %v", e.First, e.Time, last[e.Dir])
		}
		last[e.Dir] = e.Time
		z.last[id] = last
		if e.Missing > e.Header.Length || e.DataLen > e.Header.Length || e.Parsed != nil && e.Missing > 0 {
			z.t.Fatalf("%v: %d octets of data, %d missing, parsed %v", e.Header, e.DataLen, e.Missing, e.Parsed)
		}
		if id == 1 {
			z.sum += int64(frame.HeaderLen) + int64(e.Header.Length) - int64(e.Missing)
		}
	case *Gap:
		if e.Skipped < 0 || e.Octets < -1 || e.Text == "" {
			z.t.Fatalf("gap of %d and %d octets: %s", e.Octets, e.Skipped, e.Text)
		}
	}
}

// run plays a script.
func (z *fuzzed) run(dirs [2][]byte, script []byte) {
	given := int64(0)
	now := time.Unix(0, 0)
	for i := 0; len(dirs[0])+len(dirs[1]) > 0; i++ {
		op := byte(0x3f | i<<7)
		if i < len(script) {
			op = script[i]
		}
		d := wire.Dir(op >> 7)
		n := min(len(dirs[d]), 1+int(op&0x3f)<<(i%8))
		p := dirs[d][:n]
		dirs[d] = dirs[d][n:]
		now = now.Add(time.Millisecond)
		switch {
		case n == 0:
		case op&0x7f == 0x40:
			z.s.Lost(d, now, -1, "lost")
		case op&0x70 == 0x40:
			z.s.Lost(d, now, int64(n), "lost")
		default:
			given += int64(n)
			z.s.Octets(d, now, bytes.Clone(p))
		}
	}
	z.s.End(wire.Client, now, wire.Closed)
	z.s.End(wire.Server, now, wire.Reset)
	for id, state := range z.state {
		if state != 2 {
			z.t.Fatalf("connection %d has not ended", id)
		}
	}
	if held := z.a.held.used.Load(); len(z.state) == 0 || z.a.nested != 0 || held != 0 || z.sum > given {
		z.t.Fatalf("%d connections, %d in tunnels, %d octets held, frames of %d octets of %d",
			len(z.state), z.a.nested, held, z.sum, given)
	}
}
