package capture

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// More losses than are told apart do not take octets away, nor move them to the other side.
func TestWaitingManyLosses(t *testing.T) {
	var b budget
	w := waiting{budget: &b, most: 1 << 20}
	for i := range 3 * maxPieces {
		w.Octets(wire.Client, msAt(2*i), []byte("c"))
		w.Lost(wire.Server, msAt(2*i+1), 2, "lost")
	}
	if n := len(w.pieces); n > 2*maxPieces+3 || b.used.Load() != int64(w.taken) || w.taken < n*96 {
		t.Errorf("%d pieces wait, and take %d octets", n, w.taken)
	}
	var got waitingCount
	w.replay(&got)
	want := waitingCount{octets: [2]int{len(got.text), 0}, unknown: [2]bool{true, true}, text: got.text}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(waitingCount{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if n := len(got.text); n < maxPieces || b.used.Load() != 0 {
		t.Errorf("%d octets of the client, and %d are still taken", n, b.used.Load())
	}
}

// waitingCount counts what was waiting.
type waitingCount struct {
	octets  [2]int
	unknown [2]bool // an unknown number was lost
	text    string
}

func (c *waitingCount) Octets(d wire.Dir, _ time.Time, p []byte) {
	c.octets[d] += len(p)
	c.text += string(p)
}

func (c *waitingCount) Lost(d wire.Dir, _ time.Time, n int64, _ string) {
	c.unknown[d] = c.unknown[d] || n < 0
}

func (c *waitingCount) End(wire.Dir, time.Time, wire.How) {}

// A tunnel ends with END_STREAM on HEADERS, too, and nothing is held when its connection is over.
func TestTunnelEndsWithHeaders(t *testing.T) {
	f := newFeed(Options{})
	f.raw(Client, []byte(frame.Preface))
	f.send(Client, h2test.Settings(), h2test.Headers(1, ":method: CONNECT", ":authority: a.example:443"), h2test.Get(3))
	f.send(Server, h2test.Settings(), h2test.Response(1, 200).End())
	f.send(Client, h2test.Data(1, "abc"))
	if f.a.nested != 1 {
		t.Errorf("%d connections are in tunnels, want 1", f.a.nested)
	}
	f.send(Client, h2test.DataEnd(1, ""))
	if f.a.nested != 0 {
		t.Errorf("%d connections are in tunnels, though both sides have ended it", f.a.nested)
	}
	if f.end(); f.a.held.used.Load() != 0 {
		t.Errorf("%d octets are still held", f.a.held.used.Load())
	}
}
