package capture

import (
	"strconv"
	"time"

	"github.com/sluice-go/sluice/flow"
	"github.com/sluice-go/sluice/frame"
)

// tinyWindow is the window, in octets, below which a sender may wait for more rather than send so
// small a frame.
const tinyWindow = 256

// A ledgerWindow is one window of a sender, and the time for which it was exhausted.
type ledgerWindow struct {
	credit    flow.SendWindow
	known     bool
	exhausted bool
	tiny      bool // exhausted, though there is some credit left
	since     time.Time
	total     time.Duration // for which it was exhausted, without the time since
	opened    opening       // the last one
}

// An opening is the frame that has opened a window.
type opening struct {
	at     time.Time
	frame  uint64
	typ    frame.Type
	stream uint32
}

func openingOf(f *Frame) opening {
	return opening{f.Time, f.Number, f.Header.Type, f.Header.StreamID}
}

func (o opening) String() string {
	if o.typ == frame.TypeSettings {
		return "SETTINGS_INITIAL_WINDOW_SIZE"
	}
	return o.typ.String() + " on stream " + strconv.FormatUint(uint64(o.stream), 10)
}

func (w *ledgerWindow) init(size uint32, known bool) {
	*w = ledgerWindow{known: known}
	w.credit.Add(size)
}

// take counts n octets of DATA, and returns how many of them the window did not have.
func (w *ledgerWindow) take(n uint32) (excess uint32) {
	have := uint32(max(w.credit.Available(), 0))
	w.credit.Take(int(min(n, have)))
	if !w.known || n <= have {
		return 0
	}
	return n - have
}

// empty reports whether nothing can be sent.
func (w *ledgerWindow) empty() bool { return w.known && w.credit.Available() <= 0 }

// check notes whether the window is exhausted, now that the frame of o has changed it.
func (w *ledgerWindow) check(o opening) {
	n := w.credit.Available()
	exhausted := w.known && (n <= 0 || w.tiny && n < tinyWindow)
	w.tiny = w.tiny && n > 0 && exhausted
	switch {
	case exhausted && !w.exhausted:
		w.since = o.at
	case !exhausted && w.exhausted:
		w.total += max(o.at.Sub(w.since), 0)
		w.opened = o
	}
	w.exhausted = exhausted
}

// sent is check for a frame that has used the window: what it has left may be too little.
func (w *ledgerWindow) sent(o opening) {
	w.tiny = w.credit.Available() > 0
	w.check(o)
}

// given is check for a frame that has given credit, with which something can be sent, however
// little.
func (w *ledgerWindow) given(o opening) {
	w.tiny = false
	w.check(o)
}

// unknown says that the window is not known any more.
func (w *ledgerWindow) unknown() { w.known, w.exhausted, w.tiny = false, false, false }

// exhaustedFor is the time for which the window was exhausted until t.
func (w *ledgerWindow) exhaustedFor(t time.Time) time.Duration {
	if w.exhausted {
		return w.total + max(t.Sub(w.since), 0)
	}
	return w.total
}

// A sender is one side of the connection, as the sender of DATA.
type sender struct {
	conn         ledgerWindow
	initial      uint32 // of the windows of streams: as the other side has set it
	initialKnown bool
	highest      uint32 // the highest stream that it has opened, or promised

	active   []*ledgerStream // have begun a message, and are not marked
	settings []sentSettings  // which the other side has not acknowledged
	owed     int             // acknowledgements by this side that may come for SETTINGS that are not known
	lost     int64           // octets that were lost, and are in no frame yet
	rtt      time.Duration   // until this side answers; 0 is unknown
}

// add puts a stream on the list of those to be marked where the window of the connection shuts.
func (s *sender) add(st *ledgerStream, d Dir) {
	if m := &st.send[d]; m.slot < 0 {
		m.slot = len(s.active)
		s.active = append(s.active, st)
	}
}

func (s *sender) remove(st *ledgerStream, d Dir) {
	m, last := &st.send[d], len(s.active)-1
	if m.slot < 0 {
		return
	}
	moved := s.active[last]
	s.active[m.slot], moved.send[d].slot = moved, m.slot
	s.active[last] = nil
	s.active, m.slot = s.active[:last], -1
}

// prompt is how soon the side is seen to do what credit, or a stream that has become free, lets it
// do: three round-trip times, or 100 ms.
func (s *sender) prompt() time.Duration { return max(100*time.Millisecond, 3*s.rtt) }

// windows are those of side d for a stream, which may be nil.
func (l *ledger) windows(st *ledgerStream, d Dir) Windows {
	conn := &l.senders[d].conn
	w := Windows{Conn: int64(conn.credit.Available()), ConnKnown: conn.known}
	if st != nil {
		own := &st.send[d].window
		w.Stream, w.StreamKnown = int64(own.credit.Available()), own.known
	}
	return w
}

// windowUpdate counts credit (RFC 9113 §6.9).
func (l *ledger) windowUpdate(f *Frame) {
	d := f.Dir.Other()
	st := l.get(f.Header.StreamID)
	w := &l.senders[d].conn
	if f.Header.StreamID != 0 {
		if st == nil {
			f.Window = l.windows(nil, d)
			return
		}
		w = &st.send[d].window
	}
	switch u, ok := f.Parsed.(frame.WindowUpdate); {
	case ok && !w.credit.Add(u.Increment):
		l.excess.overflow = w.known
		w.unknown()
	case ok:
		w.given(openingOf(f))
	case f.Missing > 0:
		w.unknown()
	}
	f.Window = l.windows(st, d)
}

// settleLoss makes windows unknown where octets were lost that are not part of the payload of one
// frame: they may have been frames.
func (l *ledger) settleLoss(f *Frame) {
	side := &l.senders[f.Dir]
	if side.lost == 0 {
		return
	}
	lost := side.lost - int64(f.Missing)
	side.lost = 0
	if lost > 0 {
		l.lostFrames(f.Dir)
	}
}

// lost says that octets of side d are missing.
func (l *ledger) lost(d Dir, _ time.Time, n int64) {
	if n < 0 {
		l.lostFrames(d)
		return
	}
	l.senders[d].lost += n
}

// lostFrames makes unknown what frames of side d, of any number, may have changed.
func (l *ledger) lostFrames(d Dir) {
	l.slots.known = false
	for i := range l.senders {
		l.senders[i].conn.unknown()
	}
	for _, st := range l.streams.All() {
		for i := range st.send {
			st.send[i].window.unknown()
			st.send[i].mark = mark{}
		}
	}
	// Acknowledgements by d may be among them.
	from := &l.senders[d.Other()]
	for _, s := range from.settings {
		if s.hasWindow {
			l.senders[d].initialKnown = false
		}
	}
	l.senders[d].owed += len(from.settings)
	from.settings = nil
}
