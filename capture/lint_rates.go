package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// A rate counts events within a time that begins with the first of them.
type rate struct {
	since time.Time
	n     uint32
}

// add counts an event, and reports whether the time begins with it.
func (r *rate) add(t time.Time, within time.Duration) (again bool) {
	again = r.since.IsZero() || t.Sub(r.since) > within
	if again {
		r.since, r.n = t, 0
	}
	r.n++
	return again
}

// rates count the frames of a side that cost it next to nothing.
type rates struct {
	resets     rate // RST_STREAM right after HEADERS
	faults     rate // RST_STREAM of the other side for a fault of this one
	pings      rate
	settings   rate
	priorities rate
	updates    rate   // WINDOW_UPDATE
	data       uint32 // DATA of the other side, within the time of updates
	empty      rate   // DATA and fragments without octets
	tiny       rate   // DATA of few octets
}

const (
	soon      = 100 * time.Millisecond // RST_STREAM after HEADERS
	tinyData  = frame.HeaderLen        // octets of DATA: less than its header has
	faultTime = 10 * time.Second
)

// add counts a frame.
func (r *rates) add(l *lint, f *Frame) {
	h, t := f.Header, f.Time
	switch ends := h.Flags.Has(frame.FlagEndStream); h.Type {
	case frame.TypeData:
		l.sides[f.Dir.Other()].rates.data++
		switch {
		case f.DataLen == 0 && !ends:
			r.empty.add(t, time.Second)
		case f.DataLen < tinyData && !ends:
			r.tiny.add(t, time.Second)
		}
	case frame.TypeHeaders, frame.TypeContinuation:
		if h.Length == min(f.Padding, h.Length) && !h.Flags.Has(frame.FlagEndHeaders) {
			r.empty.add(t, time.Second)
		}
	case frame.TypeRSTStream:
		r.addReset(l, f)
	case frame.TypePing:
		if !h.Flags.Has(frame.FlagAck) {
			r.pings.add(t, time.Second)
		}
	case frame.TypeSettings:
		if !h.Flags.Has(frame.FlagAck) {
			r.settings.add(t, time.Second)
		}
	case frame.TypePriority, frame.TypePriorityUpdate:
		r.priorities.add(t, time.Second)
	case frame.TypeWindowUpdate:
		if r.updates.add(t, time.Second) {
			r.data = 0
		}
	default:
	}
}

// addReset counts RST_STREAM. l has taken it into account already.
func (r *rates) addReset(l *lint, f *Frame) {
	st := l.get(f.Header.StreamID)
	if st == nil || st.unsure || !st.resets[f.Dir].Equal(f.Time) {
		return
	}
	p, ok := f.Parsed.(frame.RSTStream)
	switch {
	case !ok || opener(st.id) != Client:
	case f.Dir == Client:
		if st.heads[Server] == 0 && f.Time.Sub(st.opened) <= soon {
			r.resets.add(f.Time, time.Second)
		}
	case fault(p.Code):
		l.sides[Client].rates.faults.add(f.Time, faultTime)
	}
}

// fault reports whether a code says that the other side has broken a rule.
func fault(c frame.Code) bool {
	switch c {
	case frame.ProtocolError, frame.FlowControlError, frame.StreamClosed, frame.FrameSizeError,
		frame.CompressionError, frame.EnhanceYourCalm:
		return true
	default:
		return false
	}
}

// hpackTotal is how well HPACK has compressed the requests, or responses, of a side.
type hpackTotal struct {
	blocks       uint32
	octets, size uint64 // of the blocks, and of the names and values
}

func (h *hpackTotal) add(m *lintMessage) {
	if m.kind != requestHead && m.kind != responseHead {
		return
	}
	h.blocks++
	h.octets += uint64(m.octets)
	for i := range m.fields {
		h.size += uint64(len(m.fields[i].Name) + len(m.fields[i].Value))
	}
}

// waitedTotal is how long a side had no window.
type waitedTotal struct {
	longest time.Duration
	total   time.Duration
	until   time.Time // of what is counted, since several streams wait at the same time
}

func (w *waitedTotal) add(p *period) {
	w.longest = max(w.longest, p.blocked)
	from := p.start
	if from.Before(w.until) {
		from = w.until
	}
	if d := p.end.at.Sub(from); d > 0 {
		w.total += min(d, p.blocked)
		w.until = p.end.at
	}
}
