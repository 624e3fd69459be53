package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Bounds of the streams that a lint remembers.
const (
	maxLintStreams = 4096 // that are not closed
	maxLintClosed  = 1024 // that were closed last
)

// lintStream is a stream, open or closed.
type lintStream struct {
	id       uint32
	view     [2]stream.State // by Dir: the state as that side sees it, but for RST_STREAM of the other one
	unsure   bool            // it was open when octets were lost, or before the capture began
	reported ruleSet         // rules that were reported once
	opened   time.Time
	resets   [2]time.Time // by Dir: when that side has sent RST_STREAM
	counts   bool         // it counts for lintSide.open

	heads    [2]uint8 // by Dir: header sections, up to two: a head, and trailers
	declared [2]int64 // content-length, -1 where there is none, or it does not count
	content  [2]int64 // octets
	end      [2]bool  // END_STREAM was sent
	unread   [2]bool  // there was a header section whose fields are not known
	status   int
	head     bool // HEAD
	connect  bool // CONNECT
	grpc     bool // the response is one of gRPC
	noBody   bool // the response has no content (RFC 9110 §6.4.1)
	promised bool
	listed   bool // in closedList
}

// closedList is the streams that were closed last, the oldest of which is the next to be forgotten.
type closedList struct {
	ids []uint32 // at most maxLintClosed
	n   int
}

// get returns a stream that is remembered.
func (l *lint) get(id uint32) *lintStream {
	st, _ := l.streams.Get(id)
	return st
}

// open remembers a stream.
func (l *lint) open(id uint32, t time.Time) *lintStream {
	st := &lintStream{
		id: id, opened: t, declared: [2]int64{-1, -1},
		view: [2]stream.State{stream.Idle, stream.Idle},
	}
	if n := l.streams.Len(); n >= maxLintStreams+maxLintClosed || !l.s.a.follow(n) {
		l.sides[opener(id)].lossy = true // from now on
		return st
	}
	l.streams.Put(id, st)
	return st
}

// opener is the side whose streams id belongs to.
func opener(id uint32) Dir {
	if id%2 == 1 {
		return Client
	}
	return Server
}

// idle reports whether stream id was never opened or promised.
func (l *lint) idle(id uint32) bool {
	side := &l.sides[opener(id)]
	return id > side.highest && !side.lossy
}

// sure reports whether all is known of a stream.
func (st *lintStream) sure() bool { return st != nil && !st.unsure }

// stateEvents are the events of frames on a stream, as their sender sees them and as their
// receiver does.
var stateEvents = [...]struct{ send, recv stream.Event }{
	frame.TypeData:         {stream.SendData, stream.RecvData},
	frame.TypeHeaders:      {stream.SendHeaders, stream.RecvHeaders},
	frame.TypeRSTStream:    {stream.SendReset, stream.RecvReset},
	frame.TypePushPromise:  {stream.SendPromising, stream.RecvPromising},
	frame.TypeWindowUpdate: {stream.SendWindowUpdate, stream.RecvWindowUpdate},
}

// stateEvent is what a frame is to the state of its stream; ok is false where it is nothing.
func stateEvent(h frame.Header) (send, recv stream.Event, ok bool) {
	if int(h.Type) >= len(stateEvents) || h.StreamID == 0 {
		return 0, 0, false
	}
	e := stateEvents[h.Type]
	return e.send, e.recv, e.send != 0
}

// stateBefore is the state of the stream of f, as its sender sees it; 0 where it is not known.
func (l *lint) stateBefore(f *Frame) stream.State {
	id := f.Header.StreamID
	switch st := l.get(id); {
	case st.sure():
		return st.view[f.Dir]
	case st == nil && l.idle(id):
		return stream.Idle
	}
	return 0
}

// move applies a frame to the states of its stream.
func (l *lint) move(f *Frame) {
	h := f.Header
	send, recv, ok := stateEvent(h)
	if !ok {
		return
	}
	st := l.get(h.StreamID)
	if st == nil && h.Type == frame.TypeHeaders {
		st = l.openBy(f)
	}
	if st == nil {
		return
	}
	if h.Type == frame.TypeHeaders && st.view[f.Dir] == stream.ReservedLocal {
		l.count(st, f.Dir)
	}
	st.step(f.Dir, send, recv)
	if (h.Type == frame.TypeData || h.Type == frame.TypeHeaders) && h.Flags.Has(frame.FlagEndStream) {
		st.step(f.Dir, stream.SendEndStream, stream.RecvEndStream)
		st.end[f.Dir] = true
	}
	if h.Type == frame.TypeRSTStream && st.resets[f.Dir].IsZero() {
		st.resets[f.Dir] = f.Time
	}
	l.settleClosed(st)
}

// openBy opens the stream of HEADERS, if they may open one.
func (l *lint) openBy(f *Frame) *lintStream {
	id, side := f.Header.StreamID, &l.sides[f.Dir]
	if opener(id) != f.Dir || f.Dir == Server || id <= side.highest {
		return nil
	}
	side.highest = id
	st := l.open(id, f.Time)
	// Behind a loss it may be a stream that was open, and has trailers.
	st.unsure = side.lossy && l.message.Method == ""
	l.count(st, f.Dir)
	return st
}

// count counts a stream for the limit of SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §5.1.2).
func (l *lint) count(st *lintStream, d Dir) {
	if !st.counts {
		st.counts = true
		l.sides[d].open++
		l.sides[d].opened++
	}
}

// step applies what side d sends. The other side may have sent what it sends before it receives
// RST_STREAM.
func (st *lintStream) step(d Dir, send, recv stream.Event) {
	if r := st.view[d].On(send); r.Verdict == stream.Allowed {
		st.view[d] = r.Next
	}
	if recv == stream.RecvReset {
		return
	}
	if r := st.view[d.Other()].On(recv); r.Verdict == stream.Allowed {
		st.view[d.Other()] = r.Next
	}
}

// over reports whether a side knows that the stream is closed.
func (st *lintStream) over(d Dir) bool { return st.view[d].Closed() || !st.resets[d.Other()].IsZero() }

// settleClosed puts a stream that both sides know to be closed among those that are forgotten in
// their turn.
func (l *lint) settleClosed(st *lintStream) {
	if d := opener(st.id); st.counts && st.over(d) {
		st.counts = false
		l.sides[d].open--
	}
	if !st.over(Client) || !st.over(Server) || st.listed {
		return
	}
	st.listed = true
	c := &l.closed
	if c.n++; len(c.ids) < maxLintClosed {
		c.ids = append(c.ids, st.id)
		return
	}
	oldest := &c.ids[(c.n-1)%maxLintClosed]
	l.streams.Delete(*oldest)
	l.s.a.unfollow(1)
	*oldest = st.id
}
