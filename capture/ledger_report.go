package capture

import "time"

// maxStalls is how many Stalls of a direction of a stream are reported one by one.
const maxStalls = 1000

// A period is a time without window, or several in a row.
type period struct {
	start     time.Time
	end       stallEnd
	times     uint64
	blocked   time.Duration // without window
	own, conn time.Duration // for which each of the windows was exhausted
	sent      int64         // octets that the stream had sent by its end
}

// add appends another one to p.
func (p *period) add(q period) {
	if p.times == 0 {
		*p = q
		return
	}
	p.end, p.sent = q.end, q.sent
	p.times += q.times
	p.blocked += q.blocked
	p.own += q.own
	p.conn += q.conn
}

// stallReports is what was reported of the Stalls of a direction of a stream.
type stallReports struct {
	reported int
	short    period // several that are too short, with next to no DATA between them
	rest     period // the periods beyond maxStalls, as one
}

// report reports a period, if it is long enough. Short ones in a row, in which a sender gets its
// window octet by octet, are one.
func (l *ledger) report(st *ledgerStream, d Dir, p period) {
	m, least := &st.send[d], l.minStall()
	if m.reported == nil {
		m.reported = new(stallReports)
	}
	t := m.reported
	p.sent = m.sent
	if p.blocked >= least {
		l.reportShort(st, d)
		l.emit(st, d, p)
		return
	}
	if s := &t.short; s.times > 0 && (p.sent-s.sent > tinyWindow || p.start.Sub(s.end.at) > least) {
		l.reportShort(st, d)
	}
	t.short.add(p)
}

func (l *ledger) minStall() time.Duration {
	if n := l.s.a.opts.MinStall; n > 0 {
		return n
	}
	return DefaultMinStall
}

// reportShort reports the short periods in a row, if they are long enough together.
func (l *ledger) reportShort(st *ledgerStream, d Dir) {
	t := st.send[d].reported
	p := t.short
	t.short = period{}
	if p.blocked >= l.minStall() {
		l.emit(st, d, p)
	}
}

// reportRest reports what was not yet reported, at the end of a stream.
func (l *ledger) reportRest(st *ledgerStream, d Dir) {
	t := st.send[d].reported
	if t == nil {
		return
	}
	l.reportShort(st, d)
	if t.rest.times > 0 {
		l.event(st, d, t.rest)
		t.rest = period{}
	}
}

// emit emits a period, unless there were too many.
func (l *ledger) emit(st *ledgerStream, d Dir, p period) {
	t := st.send[d].reported
	if t.reported == maxStalls {
		t.rest.add(p)
		return
	}
	t.reported++
	l.event(st, d, p)
}

func (l *ledger) event(st *ledgerStream, d Dir, p period) {
	s := &Stall{
		Conn: l.s.info.ID, Stream: st.id, Dir: d, Window: p.window(),
		Start: p.start, End: p.end.at, EndedBy: p.end.by, Frame: p.end.frame,
		Periods: p.times, Blocked: p.blocked,
	}
	l.s.emit(s)
	l.s.lint.stall(s)
}

// window is the window that was exhausted for a quarter of the time at least. With credit for one
// of two windows, given at once, only the other one counts.
func (p *period) window() Window {
	own, conn := 4*p.own >= p.blocked, 4*p.conn >= p.blocked
	switch {
	case own && conn:
		return BothWindows
	case conn || p.conn > p.own:
		return ConnWindow
	}
	return StreamWindow
}
