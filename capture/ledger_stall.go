package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// A capture shows no queue of a sender, so a Stall is known only afterwards. A stream is marked
// where a frame leaves it without window in the midst of a message. Credit does not end the mark,
// since other streams may take what the connection got: DATA does, and the Stall is from the mark
// to the credit that came last. Where END_STREAM comes without DATA there was no Stall.
//
// The mark is weak where the stream may have had nothing to send: it has not used up the window
// itself, and content-length does not say that there is more. Then DATA has to follow credit at
// once.

// A mark says that a stream may be without window.
type mark struct {
	on       bool
	weak     bool
	start    time.Time
	frame    uint64
	own      time.Duration // for which its window had been exhausted before
	conn     time.Duration // for which that of the connection had been
	lastSent time.Time     // before the mark
}

// stallEnd is what a Stall ends with.
type stallEnd struct {
	at    time.Time
	frame uint64
	by    string
}

// goOn marks st after a frame of a message that does not end with it, where there is no window for
// more; where there is, the stream is one that is marked once there is none.
func (l *ledger) goOn(st *ledgerStream, d Dir, o opening) {
	m := &st.send[d]
	if m.ended || !m.begun {
		return
	}
	m.mark = mark{}
	l.mark(st, d, o)
	if !m.mark.on {
		l.senders[d].add(st, d)
	}
}

// mark marks st if there is no window.
func (l *ledger) mark(st *ledgerStream, d Dir, o opening) {
	m, conn := &st.send[d], &l.senders[d].conn
	if m.mark.on || !m.begun || m.ended || !m.window.exhausted && !conn.exhausted {
		return
	}
	used := o.stream == st.id && o.typ == frame.TypeData
	m.mark = mark{
		on: true, start: o.at, frame: o.frame, lastSent: m.last,
		weak: !used && !m.owes() || !m.window.empty() && !conn.empty(),
		own:  m.window.exhaustedFor(o.at), conn: conn.exhaustedFor(o.at),
	}
	l.senders[d].remove(st, d)
}

// markAll marks the streams of side d, since the window of the connection is exhausted. Each was
// put on the list by a frame of its own, so that this costs no more than those frames.
func (l *ledger) markAll(d Dir, but *ledgerStream, o opening) {
	side := &l.senders[d]
	for i := len(side.active) - 1; i >= 0; i-- {
		if st := side.active[i]; st != but {
			l.mark(st, d, o)
		}
	}
}

// confirm is called for DATA on a stream: if it was marked, it has waited for the credit that came
// last.
func (l *ledger) confirm(st *ledgerStream, d Dir, t time.Time) {
	m, side := &st.send[d], &l.senders[d]
	k := m.mark
	m.mark = mark{}
	if !k.on || m.window.empty() || side.conn.empty() {
		return // it had a window that the capture does not show
	}
	o, ok := lastOpening(k, &m.window, &side.conn)
	if !ok || k.weak && t.Sub(o.at) > side.prompt() {
		return
	}
	l.stalled(st, d, k, stallEnd{o.at, o.frame, o.String()})
}

// lastOpening is the last opening of two windows since a mark.
func lastOpening(k mark, own, conn *ledgerWindow) (opening, bool) {
	o := own.opened
	if conn.opened.frame > o.frame {
		o = conn.opened
	}
	return o, o.frame > k.frame
}

// abandon is called where a stream ends without END_STREAM of side d.
func (l *ledger) abandon(st *ledgerStream, d Dir, e stallEnd) {
	m, side := &st.send[d], &l.senders[d]
	k := m.mark
	m.mark = mark{}
	o, opened := lastOpening(k, &m.window, &side.conn)
	switch {
	case !k.on:
	case m.window.empty() || side.conn.empty():
		if !k.weak || k.start.Sub(k.lastSent) <= side.prompt() {
			l.stalled(st, d, k, e)
		}
	case opened && !k.weak:
		l.stalled(st, d, k, stallEnd{o.at, o.frame, o.String()})
	}
	l.reportRest(st, d)
}

// stalled counts a Stall, and reports it.
func (l *ledger) stalled(st *ledgerStream, d Dir, k mark, e stallEnd) {
	m, conn := &st.send[d], &l.senders[d].conn
	p := period{start: k.start, end: e, times: 1, blocked: max(e.at.Sub(k.start), 0)}
	p.own = min(m.window.exhaustedFor(e.at)-k.own, p.blocked)
	p.conn = min(conn.exhaustedFor(e.at)-k.conn, p.blocked)
	st.wait.Stream += p.own
	st.wait.Connection += p.blocked - p.own
	l.s.lint.waits(d, &p)
	l.report(st, d, p)
}
