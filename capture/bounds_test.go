package capture

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Frames that are not whole, in many connections, are held within a bound. Those beyond it are
// shown without their payload, and what follows them is shown as ever.
func TestBoundOfHeld(t *testing.T) {
	f := newFeed(Options{})
	var parsed, dropped int
	f.a.handler = func(e Event) {
		if e, ok := e.(*Frame); ok && e.Header.Type == frame.TypeGoAway {
			if e.Err != nil {
				dropped++
			} else {
				parsed++
			}
		}
	}
	var sessions []*session
	const half = maxPayload / 2
	p := frame.GoAway{DebugData: make([]byte, maxPayload-100)}.Append(nil)
	for range 3 * maxHeld / half {
		s := f.a.open(netip.AddrPort{}, netip.AddrPort{}, time.Time{})
		s.Octets(wire.Client, f.now(), []byte(frame.Preface))
		s.Octets(wire.Client, f.now(), p[:half])
		s.Octets(wire.Client, f.now(), p[half:half+10])
		sessions = append(sessions, s)
		if n := f.a.held.used.Load(); n > maxHeld {
			t.Fatalf("%d octets are held", n)
		}
	}
	small := frame.GoAway{}.Append(nil)
	for _, s := range sessions {
		s.Octets(wire.Client, f.now(), p[half+10:])
		s.Octets(wire.Client, f.now(), small[:12])
		s.Octets(wire.Client, f.now(), small[12:])
	}
	n := len(sessions)
	if parsed < n+maxHeld/half-2 || dropped < n/2 || parsed+dropped != 2*n || f.a.held.used.Load() > 1<<16 {
		t.Errorf("of %d frames %d are parsed, %d not; %d octets are held", 2*n, parsed, dropped, f.a.held.used.Load())
	}
	p = frame.GoAway{DebugData: make([]byte, maxPayload)}.Append(nil)
	parsed, dropped = 0, 0
	sessions[0].Octets(wire.Client, f.now(), p[:10])
	sessions[0].Octets(wire.Client, f.now(), p[10:])
	if dropped != 1 {
		t.Errorf("a frame of %d octets is kept", len(p))
	}
}

// A header block that does not end is held within a bound, and so is what has no known protocol.
func TestBoundOfBlocks(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(Event) string { return "" }
	f.send(Client, frame.Preface, h2test.Settings(), h2test.Get(1).Open())
	part := frame.Continuation{StreamID: 1, Fragment: []byte(strings.Repeat("\x00\x01a\x01b", 1000))}
	for range 1000 {
		f.send(Client, part)
		if n := f.a.held.used.Load(); n > maxBlock {
			t.Fatalf("%d octets are held", n)
		}
	}
	last := frame.Continuation{StreamID: 1, EndHeaders: true, Fragment: []byte{0x82}}
	var got Frame
	f.a.handler = func(e Event) {
		if e, ok := e.(*Frame); ok {
			got = *e
		}
	}
	f.send(Client, last)
	if !got.Tainted || len(got.Fields) < 1000 || f.a.held.used.Load() > 1<<10 {
		t.Errorf("%d fields, tainted %v, %d octets are held", len(got.Fields), got.Tainted, f.a.held.used.Load())
	}
	f.send(Client, h2test.Get(3, "c: d"))
	if f := got.Fields; len(f) != 5 || f[4].Name != "c" {
		t.Errorf("behind it: %v", f)
	}
	mute := f.a.open(netip.AddrPort{}, netip.AddrPort{}, time.Time{})
	mute.info.StartMissing = true
	for range 1000 {
		mute.Octets(wire.Server, f.now(), make([]byte, 1000))
		if n := f.a.held.used.Load(); n > maxView+2*maxPieces*pieceOctets {
			t.Fatalf("%d octets are held", n)
		}
	}
}
