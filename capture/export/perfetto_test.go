package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// A trace is what a viewer gets.
type trace struct {
	TraceEvents []struct {
		Name, Ph, Cat, S string
		TS               float64
		Dur              float64
		PID              uint64
		TID              int
		Args             map[string]any
	}
	OtherData map[string]any
}

func parsedTrace(t *testing.T, o PerfettoOptions, events ...capture.Event) *trace {
	t.Helper()
	var b bytes.Buffer
	p := NewPerfetto(&b, o)
	for _, ev := range events {
		p.Handle(ev)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var v trace
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	checkTrace(t, &v)
	return &v
}

// checkTrace checks what the format demands: named threads, and slices of a thread that are nested.
func checkTrace(t *testing.T, v *trace) {
	t.Helper()
	type slice struct{ start, end float64 }
	named := map[int]uint64{}
	threads := map[int][]slice{}
	for _, e := range v.TraceEvents {
		switch e.Ph {
		case "M":
			if e.Name == "thread_name" {
				named[e.TID] = e.PID
			}
		case "X":
			threads[e.TID] = append(threads[e.TID], slice{e.TS, e.TS + e.Dur})
			fallthrough
		case "i":
			if pid, ok := named[e.TID]; !ok || pid != e.PID {
				t.Errorf("%s is on thread %d of process %d, which is not named before it", e.Name, e.TID, e.PID)
			}
		case "C":
			if _, ok := e.Args["octets"].(float64); !ok {
				t.Errorf("counter %s has no number: %v", e.Name, e.Args)
			}
		default:
			t.Errorf("phase %q of %s", e.Ph, e.Name)
		}
		if e.PID == 0 || e.Ph != "M" && e.TS < 0 || e.Dur < 0 {
			t.Errorf("an event without a process, or a negative time: %+v", e)
		}
	}
	for tid, list := range threads {
		slices.SortStableFunc(list, func(a, b slice) int {
			return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
		})
		var open []slice
		for _, s := range list {
			for len(open) > 0 && open[len(open)-1].end <= s.start {
				open = open[:len(open)-1]
			}
			if len(open) > 0 && s.end > open[len(open)-1].end+1e-6 {
				t.Errorf("thread %d: %v is not within %v", tid, s, open[len(open)-1])
			}
			open = append(open, s)
		}
	}
}

// lines are the events of a phase, in words.
func (v *trace) lines(ph string) (out []string) {
	for _, e := range v.TraceEvents {
		if e.Ph != ph {
			continue
		}
		switch ph {
		case "X":
			out = append(out, fmt.Sprintf("%g+%g %s", e.TS, e.Dur, e.Name))
		case "C":
			out = append(out, fmt.Sprintf("%g %s = %v", e.TS, e.Name, e.Args["octets"]))
		case "M":
			if e.Name != "thread_sort_index" {
				out = append(out, fmt.Sprint(e.Name, " ", e.Args["name"]))
			}
		default:
			out = append(out, fmt.Sprintf("%g %s %s", e.TS, e.Cat, e.Name))
		}
	}
	return out
}

func stallOf(stream uint32, d capture.Dir, w capture.Window, from, to float64) *capture.Stall {
	return &capture.Stall{
		Conn: 1, Stream: stream, Dir: d, Window: w, Start: at(from), End: at(to), EndedBy: "WINDOW_UPDATE", Periods: 1,
	}
}

// A request is a slice with its phases, and under them the stalls, cut to the phase.
func TestPerfettoRequest(t *testing.T) {
	r := someRequest()
	r.Wait.Concurrency = 5 * time.Millisecond
	v := parsedTrace(t, PerfettoOptions{}, someConn,
		stallOf(5, capture.Server, capture.ConnWindow, 64, 70),
		stallOf(5, capture.Client, capture.StreamWindow, 58, 66), // overlaps three phases and the other stall
		stallOf(99, capture.Client, capture.StreamWindow, 1, 2),  // of a stream without a request
		r,
		stallOf(5, capture.Server, capture.BothWindows, 75, 90), // ended by the frame that ended the request
		&capture.End{Conn: 1, Time: at(100)})
	want := []string{
		"15000+65000 GET /a?q=1&empty&x=a%20b",
		"15000+5000 waits for a free stream",
		"20000+500 request",
		"20500+39500 waits for the server",
		"58000+2000 blocked by the stream window",
		"60000+1000 response",
		"60000+1000 blocked by the stream window",
		"61000+19000 data",
		"61000+5000 blocked by the stream window",
		"66000+4000 blocked by the connection window",
		"75000+5000 blocked by both windows",
	}
	if diff := gocmp.Diff(want, v.lines("X")); diff != "" {
		t.Errorf("slices: -want +got\n%s", diff)
	}
	wantNames := []string{
		"process_name 1 h2 192.0.2.1:50000 → 198.51.100.4:443 www.example.com",
		"thread_name stream 5 GET /a?q=1&empty&x=a%20b",
	}
	if diff := gocmp.Diff(wantNames, v.lines("M")); diff != "" {
		t.Errorf("names: -want +got\n%s", diff)
	}
}

// Frames and findings are instants, and windows counters.
func TestPerfettoFrames(t *testing.T) {
	data := &capture.Frame{
		Conn: 1, Number: 1, Time: at(1), Dir: capture.Server,
		Header: frame.Header{Type: frame.TypeData, StreamID: 5, Length: 100, Flags: frame.FlagEndStream},
		Window: capture.Windows{Stream: 900, Conn: 1900, StreamKnown: true, ConnKnown: true},
	}
	update := &capture.Frame{
		Conn: 1, Number: 2, Time: at(2), Dir: capture.Client, Header: frame.Header{Type: frame.TypeWindowUpdate, Length: 4},
		Window: capture.Windows{Conn: 5000, ConnKnown: true},
	}
	finding := &capture.Finding{Conn: 1, Stream: 5, Frame: 1, Time: at(1), Rule: "some-rule", Section: "RFC 9113 §5.1"}
	gap := &capture.Gap{Conn: 1, Time: at(3), Octets: 10, Reason: "lost"}
	v := parsedTrace(t, PerfettoOptions{}, someConn, data, update, finding, gap)
	want := []string{"1000 frame DATA", "2000 frame WINDOW_UPDATE", "1000 finding some-rule", "3000 finding gap: lost"}
	if diff := gocmp.Diff(want, v.lines("i")); diff != "" {
		t.Errorf("instants: -want +got\n%s", diff)
	}
	want = []string{
		"1000 connection window of the server = 1900", "1000 stream 5 window of the server = 900",
		"2000 connection window of the server = 5000",
	}
	if diff := gocmp.Diff(want, v.lines("C")); diff != "" {
		t.Errorf("counters: -want +got\n%s", diff)
	}
}

// What is above the bounds is counted, and what is kept is bounded.
func TestPerfettoBounds(t *testing.T) {
	var events []capture.Event
	for i := range 10 {
		events = append(events, &capture.Frame{Conn: 1, Number: uint64(i), Time: at(1)}, someRequest())
	}
	v := parsedTrace(t, PerfettoOptions{MaxFrames: 4, MaxRequests: 3}, events...)
	if n := len(v.lines("i")); n != 4 || v.OtherData["framesAboveBound"] != 6.0 || v.OtherData["othersAboveBound"] != 7.0 {
		t.Errorf("%d frames, and %v", n, v.OtherData)
	}
	p := NewPerfetto(&bytes.Buffer{}, PerfettoOptions{})
	for i := range uint32(maxHeld + 10) {
		p.Handle(stallOf(i, capture.Client, capture.StreamWindow, 1, 2))
	}
	if p.nStalls != maxHeld || p.counts.dropped != 10 {
		t.Errorf("%d stalls are kept and %d dropped, want %d and 10", p.nStalls, p.counts.dropped, maxHeld)
	}
	p.Handle(&capture.End{Conn: 1})
	if p.nStalls != 0 || len(p.conns) != 0 {
		t.Errorf("%d stalls and %d connections are kept behind the end", p.nStalls, len(p.conns))
	}
	if v := parsedTrace(t, PerfettoOptions{}); len(v.TraceEvents) != 0 {
		t.Errorf("an empty trace: %v", v)
	}
}
