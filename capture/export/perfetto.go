package export

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// Bounds of a trace; see PerfettoOptions.
const (
	DefaultMaxTraceFrames   = 200_000
	DefaultMaxTraceRequests = 100_000
	// maxWindows is how many streams of a connection have a counter of their window.
	maxWindows = 50
	// maxHeld bounds the requests and the stalls that wait for what belongs to them.
	maxHeld = 10_000
)

// PerfettoOptions are those of a trace.
type PerfettoOptions struct {
	// MaxFrames bounds the frames, and the points of counters, in the trace; 0 is
	// DefaultMaxTraceFrames. Those above it are counted in the trace's otherData.
	MaxFrames int
	// MaxRequests bounds the requests, and the stalls and findings; 0 is DefaultMaxTraceRequests.
	MaxRequests int
}

// A Perfetto writes trace events in JSON, which ui.perfetto.dev opens. One goroutine uses it at a
// time.
//
// A connection is a process. A stream is a thread of it, with a slice for the request, under it
// those for its phases, and under them those in which a window was used up. Frames and findings are
// instants of two threads of their own; windows are counters. Times are microseconds since the
// first event.
type Perfetto struct {
	o       PerfettoOptions
	out     output
	conns   map[uint64]*traceConn
	tids    int
	held    []*traceRequest // requests whose last stalls may still come
	nStalls int             // in all conns
	counts  struct{ frames, others, dropped int }
}

// A traceConn is what a connection's events have in common.
type traceConn struct {
	frames, findings int                     // the threads of frames and of findings; 0 is none yet
	windows          map[uint32]struct{}     // streams with a counter
	stalls           map[uint32][]traceStall // of streams whose request has not come
}

// A traceEvent is an event of the format: https://perfetto.dev/docs/getting-started/other-formats.
type traceEvent struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"`
	Cat   string         `json:"cat,omitempty"`
	TS    float64        `json:"ts"`
	Dur   *float64       `json:"dur,omitempty"`
	PID   uint64         `json:"pid"`
	TID   int            `json:"tid,omitempty"`
	Scope string         `json:"s,omitempty"`
	Args  map[string]any `json:"args,omitempty"`
}

// NewPerfetto returns a writer of a trace.
func NewPerfetto(w io.Writer, o PerfettoOptions) *Perfetto {
	o.MaxFrames = cmp.Or(max(o.MaxFrames, 0), DefaultMaxTraceFrames)
	o.MaxRequests = cmp.Or(max(o.MaxRequests, 0), DefaultMaxTraceRequests)
	return &Perfetto{o: o, out: newOutput(w), conns: map[uint64]*traceConn{}}
}

// Handle takes an event; it is a capture.Handler. Close returns the first error of writing.
func (p *Perfetto) Handle(ev capture.Event) {
	switch ev := ev.(type) {
	case *capture.Connection:
		p.begin(ev.Time)
		p.connection(ev)
	case *capture.Frame:
		p.release()
		p.frame(ev)
	case *capture.Request:
		p.request(ev)
	case *capture.Stall:
		p.stall(ev)
	case *capture.Finding:
		p.finding(ev)
	case *capture.Gap:
		p.instant(ev.Conn, "gap: "+ev.Reason, ev.Time, map[string]any{
			"direction": ev.Dir.String(), "octets": ev.Octets, "text": ev.Text,
		})
	case *capture.End:
		p.release()
		p.endOf(ev)
	}
}

// begin writes what is in front of the events.
func (p *Perfetto) begin(t time.Time) {
	if p.out.began {
		return
	}
	p.out.began = true
	p.out.base = t
	p.out.text("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")
}

// micros is a time in microseconds behind the base.
func (p *Perfetto) micros(t time.Time) float64 {
	return float64(t.Sub(p.out.base).Nanoseconds()) / 1000
}

// conn is what is kept of a connection; nil where there are too many.
func (p *Perfetto) conn(id uint64) *traceConn {
	c := p.conns[id]
	if c == nil && len(p.conns) < maxConns {
		c = &traceConn{windows: map[uint32]struct{}{}, stalls: map[uint32][]traceStall{}}
		p.conns[id] = c
	}
	return c
}

// other counts what is no frame and reports whether it gets into the trace, as part of c.
func (p *Perfetto) other(c *traceConn) bool {
	if p.counts.others++; c == nil || p.counts.others > p.o.MaxRequests {
		p.counts.dropped++
		return false
	}
	return true
}

// thread names a new thread of a connection; threads are sorted by order.
func (p *Perfetto) thread(conn uint64, name string, order int) int {
	p.tids++
	p.out.item(traceEvent{Name: "thread_name", Phase: "M", PID: conn, TID: p.tids, Args: map[string]any{"name": name}})
	p.out.item(traceEvent{
		Name: "thread_sort_index", Phase: "M", PID: conn, TID: p.tids, Args: map[string]any{"sort_index": order},
	})
	return p.tids
}

func (p *Perfetto) connection(c *capture.Connection) {
	name := fmt.Sprintf("%d %s %s → %s", c.ID, c.Protocol, c.Client, c.Server)
	if c.TLS != nil && c.TLS.ServerName != "" {
		name += " " + c.TLS.ServerName
	}
	p.out.item(traceEvent{Name: "process_name", Phase: "M", PID: c.ID, Args: map[string]any{"name": name}})
	if c.Problem != "" {
		p.instant(c.ID, c.Problem, c.Time, nil)
	}
}

// frame writes an instant for a frame, and points of the windows that it has changed.
func (p *Perfetto) frame(f *capture.Frame) {
	p.begin(f.Time)
	c := p.conn(f.Conn)
	if p.counts.frames++; c == nil || p.counts.frames > p.o.MaxFrames {
		return
	}
	if c.frames == 0 {
		c.frames = p.thread(f.Conn, "frames", 0)
	}
	args := map[string]any{
		"number": f.Number, "from": f.Dir.String(), "stream": f.Header.StreamID, "length": f.Header.Length,
	}
	if f.Header.Flags != 0 {
		args["flags"] = frame.FlagString(f.Header.Type, f.Header.Flags)
	}
	if f.Err != nil {
		args["error"] = f.Err.Error()
	}
	p.out.item(traceEvent{
		Name: f.Header.Type.String(), Phase: "i", Cat: "frame", TS: p.micros(f.Time), PID: f.Conn, TID: c.frames,
		Scope: "t", Args: args,
	})
	p.windows(c, f)
}

// windows writes points of the counters that a frame has changed.
func (p *Perfetto) windows(c *traceConn, f *capture.Frame) {
	side := f.Dir
	switch f.Header.Type {
	case frame.TypeData:
	case frame.TypeWindowUpdate:
		side = side.Other()
	default:
		return
	}
	counter := func(name string, octets int64) {
		p.out.item(traceEvent{
			Name: name, Phase: "C", TS: p.micros(f.Time), PID: f.Conn, Args: map[string]any{"octets": octets},
		})
	}
	if f.Window.ConnKnown {
		counter("connection window of the "+side.String(), f.Window.Conn)
	}
	id := f.Header.StreamID
	if !f.Window.StreamKnown || id == 0 {
		return
	}
	if _, known := c.windows[id]; !known {
		if len(c.windows) >= maxWindows {
			return
		}
		c.windows[id] = struct{}{}
	}
	counter(fmt.Sprintf("stream %d window of the %s", id, side), f.Window.Stream)
}

func (p *Perfetto) finding(f *capture.Finding) {
	p.instant(f.Conn, f.Rule, f.Time, map[string]any{
		"severity": f.Severity.String(), "section": f.Section, "text": f.Text, "stream": f.Stream, "frame": f.Frame,
		"by": f.Dir.String(),
	})
}

// instant writes an instant of the thread of findings.
func (p *Perfetto) instant(conn uint64, name string, t time.Time, args map[string]any) {
	p.begin(t)
	c := p.conn(conn)
	if !p.other(c) {
		return
	}
	if c.findings == 0 {
		c.findings = p.thread(conn, "findings", 1)
	}
	p.out.item(traceEvent{
		Name: name, Phase: "i", Cat: "finding", TS: p.micros(t), PID: conn, TID: c.findings, Scope: "p", Args: args,
	})
}

// endOf forgets a connection.
func (p *Perfetto) endOf(e *capture.End) {
	if c := p.conns[e.Conn]; c != nil {
		for _, list := range c.stalls {
			p.nStalls -= len(list)
		}
	}
	delete(p.conns, e.Conn)
}

// Close ends the trace. It returns the first error that writing it has met. The io.Writer stays
// open.
func (p *Perfetto) Close() error {
	p.begin(time.Time{})
	p.release()
	p.out.text("\n],\"otherData\":")
	p.out.value(map[string]any{
		"creator": "sluice", "start": p.out.base.UTC().Format(time.RFC3339Nano),
		"framesAboveBound": max(0, p.counts.frames-p.o.MaxFrames), "othersAboveBound": p.counts.dropped,
	})
	return p.out.close("}\n")
}
