package export

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// A traceRequest is what a thread shows of a request.
type traceRequest struct {
	conn   uint64
	stream uint32
	name   string
	start  time.Time // of the first phase
	end    time.Time
	phases []tracePhase // one after the other, within start and end
	stalls []traceStall
	args   map[string]any
}

// A tracePhase is a stretch of a request.
type tracePhase struct {
	name       string
	start, end time.Time
}

// A traceStall is a stretch in which a window was used up.
type traceStall struct {
	start, end time.Time
	name       string
	args       map[string]any
}

// stall keeps a stall until the request of its stream is written.
func (p *Perfetto) stall(s *capture.Stall) {
	c := p.conn(s.Conn)
	if !p.other(c) {
		return
	}
	name := "blocked by the " + s.Window.String() + " window"
	if s.Window == capture.BothWindows {
		name = "blocked by both windows"
	}
	t := traceStall{start: s.Start, end: s.End, name: name, args: map[string]any{
		"sender": s.Dir.String(), "ended by": s.EndedBy, "frame": s.Frame, "periods": s.Periods,
		"without window (ms)": millis(s.Blocked),
	}}
	for _, r := range p.held {
		if r.conn == s.Conn && r.stream == s.Stream {
			r.stalls = append(r.stalls, t)
			return
		}
	}
	if p.nStalls >= maxHeld {
		p.counts.dropped++
		return
	}
	p.nStalls++
	c.stalls[s.Stream] = append(c.stalls[s.Stream], t)
}

// request keeps a request until no more of its stalls can come: those that end with the same frame
// come behind it.
func (p *Perfetto) request(r *capture.Request) {
	p.begin(first(r.Start, r.Response, r.End))
	c := p.conn(r.Conn)
	if !p.other(c) {
		return
	}
	stalls := c.stalls[r.Stream]
	delete(c.stalls, r.Stream)
	p.nStalls -= len(stalls)
	if len(p.held) >= maxHeld {
		p.release()
	}
	start := first(r.Start, r.Response, r.FirstData, r.End, p.out.base)
	t := &traceRequest{
		conn: r.Conn, stream: r.Stream, name: requestName(r), start: start.Add(-r.Wait.Concurrency),
		end: later(start, r.End), stalls: stalls, args: requestArgs(r),
	}
	t.addPhases(r, start)
	p.held = append(p.held, t)
}

// addPhases cuts a request into phases that follow one another.
func (t *traceRequest) addPhases(r *capture.Request, start time.Time) {
	answer := first(r.Response, r.FirstData, t.end)
	sent := first(r.RequestEnd, answer)
	if sent.After(answer) {
		sent = answer // the response began before the request had ended
	}
	at := t.start
	add := func(name string, end time.Time) {
		if end.After(t.end) {
			end = t.end
		}
		if end.After(at) {
			t.phases = append(t.phases, tracePhase{name, at, end})
			at = end
		}
	}
	add("waits for a free stream", start)
	add("request", sent)
	add("waits for the server", answer)
	add("response", first(r.FirstData, t.end))
	add("data", t.end)
}

func requestName(r *capture.Request) string {
	name := r.Method + " " + r.Path
	if r.Path == "" {
		name = r.Method + " " + r.Authority
	}
	if r.Pushed {
		name = "PUSH " + name
	}
	return name
}

func requestArgs(r *capture.Request) map[string]any {
	args := map[string]any{
		"method": r.Method, "authority": r.Authority, "path": r.Path, "status": r.Status,
		"octets sent": r.Body[capture.Client], "octets received": r.Body[capture.Server],
		"waited for the stream window (ms)":     millis(r.Wait.Stream),
		"waited for the connection window (ms)": millis(r.Wait.Connection),
		"waited for a free stream (ms)":         millis(r.Wait.Concurrency),
		"waited for the server (ms)":            millis(r.Wait.Server),
		"waited for the network (ms)":           millis(r.Wait.Network),
	}
	if r.ResetBy != "" {
		args["reset"] = r.ResetCode.String() + " by the " + r.ResetBy
	}
	if r.GRPC != nil {
		args["grpc status"] = r.GRPC.Status
	}
	return args
}

// release writes the requests that were kept.
func (p *Perfetto) release() {
	for _, r := range p.held {
		tid := p.thread(r.conn, fmt.Sprintf("stream %d %s", r.stream, r.name), 2+int(r.stream))
		slices.SortFunc(r.stalls, func(a, b traceStall) int { return a.start.Compare(b.start) })
		p.slice(r.conn, tid, r.name, "request", r.start, r.end, r.args)
		for _, ph := range r.phases {
			p.slice(r.conn, tid, ph.name, "phase", ph.start, ph.end, nil)
			p.blocked(r, tid, ph)
		}
	}
	clear(p.held)
	p.held = p.held[:0]
}

// blocked writes the stalls of a phase, cut to it, so that slices of the thread are nested. Stalls
// of both directions may overlap; the later one begins behind the earlier one.
func (p *Perfetto) blocked(r *traceRequest, tid int, ph tracePhase) {
	at := ph.start
	for _, s := range r.stalls {
		from, to := later(at, s.start), s.end
		if to.After(ph.end) {
			to = ph.end
		}
		if !to.After(from) {
			continue
		}
		p.slice(r.conn, tid, s.name, "blocked", from, to, s.args)
		at = to
	}
}

// slice writes a slice of a thread.
func (p *Perfetto) slice(conn uint64, tid int, name, cat string, start, end time.Time, args map[string]any) {
	dur := float64(end.Sub(start).Nanoseconds()) / 1000
	p.out.item(traceEvent{
		Name: name, Phase: "X", Cat: cat, TS: p.micros(start), Dur: &dur, PID: conn, TID: tid, Args: args,
	})
}

// later is the later one of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
