package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byDir returns the lines of the frames of a direction.
func byDir(lines []string, d Dir) (out []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, d.String()+" ") {
			out = append(out, l)
		}
	}
	return out
}

// notSent returns the lines that are not, in this order, among those that were sent. A frame with
// octets missing, or with fields that may be wrong, is compared by its header.
func notSent(sent, lines []string) (bad []string) {
	for _, l := range lines {
		head := l
		if strings.Contains(l, " missing ") || strings.Contains(l, "(tainted ") {
			i := strings.Index(l, " len=") + len(" len=")
			head = l[:i+strings.IndexByte(l[i:]+" ", ' ')]
		}
		n := slices.IndexFunc(sent, func(s string) bool { return s == head || head != l && strings.HasPrefix(s, head) })
		if n < 0 {
			bad = append(bad, l)
			continue
		}
		sent = sent[n+1:]
	}
	return bad
}

// Whatever segment is not in the capture, there is one gap, with its octets; all frames that are
// shown were sent; and those of the other direction are all there.
func TestReadWithoutASegment(t *testing.T) {
	whole := download().packets
	for i, p := range whole {
		f := download()
		f.packets = slices.Delete(f.packets, i, i+1)
		lines, s := readLines(t, f.bytes(), Options{})
		payload := len(p) - 16 - 40
		var gaps []string
		for _, l := range lines {
			if strings.HasPrefix(l, "gap") {
				gaps = append(gaps, l)
			}
		}
		if payload == 0 {
			if d := cmp.Diff(byDir(downloadLines, Server), byDir(lines, Server)); d != "" || len(gaps) > 0 {
				t.Errorf("without packet %d, which is empty: %v\n%s", i+1, gaps, d)
			}
			continue
		}
		if len(gaps) != 1 || !strings.Contains(gaps[0], fmt.Sprintf(" %d+", payload)) || s.Lost != int64(payload) {
			t.Errorf("without packet %d of %d octets: %d are lost, %q", i+1, payload, s.Lost, gaps)
		}
		for _, d := range []Dir{Client, Server} {
			sent, got := byDir(downloadLines, d), byDir(lines, d)
			if bad := notSent(sent, got); len(bad) > 0 {
				t.Errorf("without packet %d: were not sent: %q\n%s", i+1, bad, strings.Join(lines, "\n"))
			}
			if len(gaps) == 1 && !strings.HasPrefix(gaps[0], "gap "+d.String()) && len(sent) != len(got) {
				t.Errorf("without packet %d: %d frames of the %v, sent were %d", i+1, len(got), d, len(sent))
			}
		}
		if s.HTTP2 != 1 || s.Frames < 20 {
			t.Errorf("without packet %d: %d frames\n%s", i+1, s.Frames, strings.Join(lines, "\n"))
		}
	}
}
