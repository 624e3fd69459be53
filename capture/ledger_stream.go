package capture

import (
	"strconv"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// sending is one direction of a stream.
type sending struct {
	window   ledgerWindow
	begun    bool      // its HEADERS have come
	ended    bool      // its END_STREAM has come
	declared int64     // content-length, -1 where it is unknown
	sent     int64     // octets of DATA, without padding
	last     time.Time // of the last HEADERS or DATA
	slot     int       // index in sender.active, -1 where it is not there
	mark     mark
	reported *stallReports // nil: none
}

// owes reports whether content-length says that there is more to send.
func (m *sending) owes() bool { return m.declared > m.sent }

// data counts DATA, padding and all, on any stream (RFC 9113 §6.9.1).
func (l *ledger) data(f *Frame) {
	if f.Header.StreamID == 0 {
		return
	}
	side, o := &l.senders[f.Dir], openingOf(f)
	st := l.get(f.Header.StreamID)
	if st != nil && f.Header.Length > 0 {
		l.confirm(st, f.Dir, f.Time)
		m := &st.send[f.Dir]
		l.appliedEarly(&m.window, f.Dir, f.Header.Length, o)
		l.excess.stream = m.window.take(f.Header.Length)
		m.window.sent(o)
		m.sent += int64(f.DataLen)
		m.last = f.Time
	}
	if f.Header.Length > 0 {
		l.excess.conn = side.conn.take(f.Header.Length)
		wasExhausted := side.conn.exhausted
		side.conn.sent(o)
		if side.conn.exhausted && !wasExhausted {
			l.markAll(f.Dir, st, o)
		}
	}
	f.Window = l.windows(st, f.Dir)
	if st == nil {
		return
	}
	if f.Header.Length > 0 {
		l.goOn(st, f.Dir, o)
	}
	if f.Header.Flags.Has(frame.FlagEndStream) {
		l.endStream(st, f.Dir, f.Time)
	}
}

// headers begins or ends a message. A stream of the client begins with it.
func (l *ledger) headers(f *Frame) {
	id := f.Header.StreamID
	st := l.get(id)
	if st == nil && f.Dir == Client && id%2 == 1 && id > l.senders[Client].highest {
		l.senders[Client].highest = id
		if st = l.open(id, f.Time); st != nil {
			st.wait.Concurrency = l.slots.take(f.Time, l.senders[Client].prompt())
		}
	}
	l.block = openBlock{stream: id}
	f.Window = l.windows(st, f.Dir)
	if st == nil {
		return
	}
	m := &st.send[f.Dir]
	m.begun, m.last = true, f.Time
	l.fields(f)
	if f.Header.Flags.Has(frame.FlagEndStream) {
		l.endStream(st, f.Dir, f.Time)
		return
	}
	l.goOn(st, f.Dir, openingOf(f))
}

// fields looks at a header block that has ended.
func (l *ledger) fields(f *Frame) {
	st := l.get(l.block.stream)
	if st == nil || l.block.promise || f.Header.StreamID != l.block.stream || !f.Header.Flags.Has(frame.FlagEndHeaders) {
		return
	}
	m, status := &st.send[f.Dir], ""
	for i := range f.Fields {
		x := &f.Fields[i]
		switch {
		case x.State != Known:
		case x.Name == ":status":
			status = x.Value
		case x.Name == ":method":
			st.head = x.Value == "HEAD"
		case x.Name == "content-length":
			if n, err := strconv.ParseInt(x.Value, 10, 64); err == nil && n >= 0 {
				m.declared = n
			}
		}
	}
	if f.Dir == Server && !st.answered && (len(status) != 3 || status[0] != '1') {
		st.answered = true
		if !st.requestEnd.IsZero() {
			st.wait.Server = max(f.First.Sub(st.requestEnd), 0)
		}
	}
	if f.Dir == Server && (st.head || status == "304") {
		m.declared = -1
	}
}

// promise reserves a stream, which only the server sends on (RFC 9113 §8.4).
func (l *ledger) promise(f *Frame) {
	l.block = openBlock{stream: f.Header.StreamID, promise: true}
	p, ok := f.Parsed.(frame.PushPromise)
	if !ok || f.Dir != Server || p.PromisedID%2 != 0 || p.PromisedID <= l.senders[Server].highest {
		return
	}
	l.senders[Server].highest = p.PromisedID
	if st := l.open(p.PromisedID, f.Time); st != nil {
		st.send[Client].begun, st.send[Client].ended = true, true
		st.requestEnd = f.Time
	}
}

// endStream ends a direction: there is nothing more to send.
func (l *ledger) endStream(st *ledgerStream, d Dir, t time.Time) {
	m := &st.send[d]
	m.ended, m.mark = true, mark{}
	l.senders[d].remove(st, d)
	l.reportRest(st, d)
	if d == Client && st.requestEnd.IsZero() {
		st.requestEnd = t
	}
	if st.send[Client].ended && st.send[Server].ended {
		l.close(st, t)
	}
}

// reset ends both directions.
func (l *ledger) reset(f *Frame) {
	st := l.get(f.Header.StreamID)
	if st == nil {
		return
	}
	for d := range st.send {
		l.abandon(st, Dir(d), stallEnd{at: f.Time, frame: f.Number, by: "RST_STREAM"})
	}
	l.close(st, f.Time)
}
