package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// A damagedCapture is a capture of which something is not as it was on the wire.
type damagedCapture struct {
	name    string
	packets []capturedPacket
	whole   bool // all octets are there, so that the frames have to be
}

// readDamaged reads captures of which packets are shuffled, doubled, missing and cut. Where all
// octets are there, so are all frames; else nothing is made up.
func readDamaged(t *testing.T, c captured) {
	packets := packetsOf(t, c.file)
	want := mustFrames(t, pcapOf(t, packets), c.keyLog)
	for _, v := range []damagedCapture{
		{"shuffled", shuffled(packets, 1), true},
		{"shuffled otherwise", shuffled(packets, 2), true},
		{"doubled", doubled(packets), true},
		{"shuffled and doubled", shuffled(doubled(packets), 3), true},
		{"cut to 200 octets", cutTo(packets, 200), false},
		{"its start missing", packets[len(packets)/3:], false},
	} {
		t.Run(v.name, func(t *testing.T) {
			got := mustFrames(t, pcapOf(t, v.packets), c.keyLog)
			if v.whole {
				sameFrames(t, "the whole capture", want, got)
			}
			nothingInvented(t, want, got)
		})
	}
	t.Run("truncated", func(t *testing.T) {
		half := len(packets) / 2
		file := pcapOf(t, packets[:half+1])
		lines, err := linesOf(t, file[:len(file)-len(packets[half].data)/2], c.keyLog)
		var truncated *capture.TruncatedError
		if !errors.As(err, &truncated) || truncated.Packets != uint64(half) {
			t.Errorf("the file ends in the midst of packet %d; the error is %v", half+1, err)
		}
		nothingInvented(t, want, ourFrames(t, lines))
	})
	t.Run("a segment missing", func(t *testing.T) { withoutEach(t, c, packets, want) })
}

// mustFrames reads a capture.
func mustFrames(t *testing.T, file, keys []byte) judgedStream {
	t.Helper()
	lines, err := linesOf(t, file, keys)
	if err != nil {
		t.Fatal(err)
	}
	return ourFrames(t, lines)
}

// withoutEach leaves out one segment with octets after another, of at most 40, and checks that this
// is told: where nothing is encrypted, with the number of its octets.
func withoutEach(t *testing.T, c captured, packets []capturedPacket, want judgedStream) {
	var with []int // packets with octets, by whose absence they are missed
	for i := range packets {
		if missed(packets, i) {
			with = append(with, i)
		}
	}
	step := max(1, len(with)/40)
	for n := 0; n < len(with); n += step {
		i := with[n]
		octets := len(tcpOf(packets[i].data).Payload)
		lines, err := linesOf(t, pcapOf(t, without(packets, i)), c.keyLog)
		if err != nil {
			t.Fatal(err)
		}
		nothingInvented(t, want, ourFrames(t, lines))
		gaps := gapsOf(t, lines)
		told := 0
		for _, g := range gaps {
			if g.Octets != nil && g.Reason == "lost" {
				told++
			}
			// The last of a direction may have been FIN, as far as its acknowledgement says.
			if c.keyLog == nil && g.Octets != nil && *g.Octets != octets && *g.Octets != octets-1 {
				t.Errorf("a gap of %d octets", *g.Octets)
			}
		}
		if len(gaps) == 0 || c.keyLog == nil && told != 1 {
			t.Errorf("gaps: %v; want one", gaps)
		}
		if t.Failed() {
			t.Fatalf("without packet %d of %d, of %d octets", i+1, len(packets), octets)
		}
	}
}

// missed reports whether the other packets show that the octets of packet i were sent, and have
// none of them, as retransmissions do, which may begin and end elsewhere.
func missed(packets []capturedPacket, i int) (shown bool) {
	s := tcpOf(packets[i].data)
	if len(s.Payload) == 0 {
		return false
	}
	end := s.Seq + uint32(len(s.Payload))
	for n, p := range packets {
		other := tcpOf(p.data)
		same := other.SrcPort == s.SrcPort && other.DstPort == s.DstPort
		peer := other.SrcPort == s.DstPort && other.DstPort == s.SrcPort
		switch {
		case n == i || other.RST:
		case same && int32(other.Seq-end) < 0 && int32(other.Seq+uint32(len(other.Payload))-s.Seq) > 0:
			return false
		case n > i && (same && int32(other.Seq-end) >= 0 || peer && int32(other.Ack-end) >= 0):
			shown = true
		}
	}
	return shown
}

// A judgedGap is what is said of octets that are missing.
type judgedGap struct {
	Kind, Dir, Reason, Text string
	Octets                  *int
}

func (g judgedGap) String() string { return fmt.Sprintf("%s: %s", g.Reason, g.Text) }

// gapsOf returns the gaps of a capture.
func gapsOf(t *testing.T, lines []byte) (gaps []judgedGap) {
	t.Helper()
	for line := range strings.Lines(string(lines)) {
		if !strings.HasPrefix(line, `{"kind":"gap",`) {
			continue
		}
		var g judgedGap
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatal(err)
		}
		gaps = append(gaps, g)
	}
	return gaps
}

// nothingInvented checks that frames of a damaged capture are a part of those of the whole one, in
// their order.
func nothingInvented(t *testing.T, want, got judgedStream) {
	t.Helper()
	for direction, frames := range got {
		rest := want[direction]
		if rest == nil && len(frames) > 0 {
			// Without its beginning, the sides of a connection may be told apart wrongly.
			t.Errorf("%s: there are no frames of this direction", direction)
			continue
		}
		for _, f := range frames {
			i := slices.IndexFunc(rest, func(w judgedFrame) bool { return partOf(f, w) })
			if i < 0 {
				t.Errorf("%s: invented, or out of order: %+v\nbehind %d of %d frames", direction, f,
					len(want[direction])-len(rest), len(want[direction]))
				break
			}
			rest = rest[i+1:]
		}
	}
}

// partOf reports whether all that is known of f is so in w.
func partOf(f, w judgedFrame) bool {
	if f.Type != w.Type || f.Stream != w.Stream || f.Flags != w.Flags || f.Length != w.Length {
		return false
	}
	if f.Detail != w.Detail && f.Detail != "" && !strings.HasSuffix(f.Detail, " 0") {
		return false
	}
	if f.Fields == nil {
		return true
	}
	if len(f.Fields) > len(w.Fields) {
		return false
	}
	for i, field := range f.Fields {
		uncertain := strings.HasSuffix(field, "(unknown)") || strings.HasSuffix(field, "(tainted)")
		if !uncertain && field != w.Fields[i] {
			return false
		}
	}
	return true
}
