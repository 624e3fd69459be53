package capture

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// FuzzFrames has frames of any kind, in both directions, with octets lost in between: nothing
// panics, findings are bounded, and windows of streams are never above what a window may be.
func FuzzFrames(f *testing.F) {
	c := h2test.NewCodec()
	f.Add(c.Append(nil, h2test.Settings(h2test.InitialWindow(10)), h2test.Get(1), h2test.Ack), []byte{0, 1, 0, 2, 1})
	f.Add(c.Append(nil, h2test.Post(1), h2test.DataOf(1, 10), h2test.WindowUpdate(0, 1<<30), h2test.WindowUpdate(1, 5),
		h2test.Promise(1, 2), h2test.RST(1, frame.Cancel), h2test.Ping(""), h2test.GoAway(1, 0, "")),
		[]byte{1, 0x11, 4, 0x21})
	f.Fuzz(func(t *testing.T, octets, how []byte) {
		p := newScript(t, Options{MinStall: 1})
		p.s.info.StartMissing = len(how) > 0 && how[0]&0x80 != 0
		p.start()
		for i := 0; len(octets) >= frame.HeaderLen; i++ {
			var b byte
			if len(how) > 0 {
				b = how[i%len(how)]
			}
			h := frame.ParseHeader(octets)
			h.Length %= 1 << 15
			h.StreamID %= 16
			octets = octets[frame.HeaderLen:]
			n := min(int(h.Length), len(octets))
			d, missing := Dir(b&1), h.Length-uint32(n)
			if b&2 != 0 {
				p.s.lost(d, p.now, int64(b>>4)-1)
			}
			p.now = p.now.Add(time.Duration(b) * 37 * time.Millisecond)
			p.s.frame(d, p.now, p.now, h, octets[:n:n], missing)
			octets = octets[n:]
		}
		p.end(wire.Closed)
		counts := map[string]int{}
		for _, e := range of[*Finding](p) {
			counts[e.Rule]++
		}
		for rule, n := range counts {
			if n > maxFindings+1 {
				t.Errorf("%d findings of %s", n, rule)
			}
		}
		for _, e := range of[*Frame](p) {
			if w := e.Window; w.StreamKnown && w.Stream > frame.MaxWindow || w.ConnKnown && w.Conn > frame.MaxWindow {
				t.Errorf("a window of %+v", w)
			}
		}
		for _, e := range of[*Stall](p) {
			if e.End.Before(e.Start) || e.Blocked < 0 || e.Blocked > e.End.Sub(e.Start) || e.Stream == 0 {
				t.Errorf("a stall of %+v", e)
			}
		}
	})
}
