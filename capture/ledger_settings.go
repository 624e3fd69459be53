package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// maxUnacknowledged is how many SETTINGS frames are remembered until they are acknowledged.
const maxUnacknowledged = 100

// sentSettings is what the ledger has to know of SETTINGS that are not acknowledged.
type sentSettings struct {
	at        time.Time
	window    uint32 // SETTINGS_INITIAL_WINDOW_SIZE
	hasWindow bool
}

// settings notes SETTINGS, and has the windows of streams changed once they are acknowledged
// (RFC 9113 §6.9.2).
func (l *ledger) settings(f *Frame) {
	if f.Header.Flags.Has(frame.FlagAck) {
		l.settingsAck(f)
		return
	}
	side, other := &l.senders[f.Dir], &l.senders[f.Dir.Other()]
	if len(side.settings) == maxUnacknowledged {
		other.initialKnown = false
		return
	}
	sent := sentSettings{at: f.Time}
	if s, ok := f.Parsed.(frame.Settings); ok {
		for v := range s.All() {
			switch v.ID {
			case frame.SettingInitialWindowSize:
				sent.window, sent.hasWindow = v.Value, v.Value <= frame.MaxWindow
			case frame.SettingMaxConcurrentStreams:
				if f.Dir == Server {
					l.slots.setLimit(v.Value, f.Time)
				}
			default:
			}
		}
	} else if f.Missing > 0 {
		other.initialKnown, l.slots.known = false, false
	}
	side.settings = append(side.settings, sent)
}

// upgradeSettings has the settings of an Upgrade, which are in force at once (RFC 7540 §3.2.1), so
// that stream 1 begins with them.
func (l *ledger) upgradeSettings(p frame.Settings) {
	side := &l.senders[Server]
	if l.s.info.StartMissing {
		return
	}
	side.initialKnown = true
	for v := range p.All() {
		if v.ID == frame.SettingInitialWindowSize && v.Value <= frame.MaxWindow {
			side.initial = v.Value
		}
	}
	if st := l.get(1); st != nil {
		st.send[Server].window.init(side.initial, true)
		st.send[Server].window.check(opening{at: l.s.info.Time})
	}
}

// settingsAck applies the oldest SETTINGS that were not acknowledged. The side that acknowledges
// is the one that sends with the new size.
func (l *ledger) settingsAck(f *Frame) {
	side, from := &l.senders[f.Dir], &l.senders[f.Dir.Other()]
	switch {
	case len(from.settings) > 0:
		s := from.settings[0]
		from.settings = append(from.settings[:0], from.settings[1:]...)
		side.answered(f.Time.Sub(s.at))
		if s.hasWindow {
			l.setInitial(f.Dir, s.window, openingOf(f))
		}
	case side.owed > 0:
		side.owed--
	default:
		side.initialKnown = false // it belongs to SETTINGS that the capture does not have
	}
}

// appliedEarly reports whether DATA beyond the window of its stream shows that SETTINGS are applied
// whose acknowledgement is still to come. Then they are applied here, too.
func (l *ledger) appliedEarly(w *ledgerWindow, d Dir, n uint32, o opening) bool {
	if !w.known || int64(n) <= int64(w.credit.Available()) {
		return false
	}
	missing := int64(n) - int64(w.credit.Available())
	from := &l.senders[d.Other()]
	for i := range from.settings {
		s := &from.settings[i]
		if s.hasWindow && int64(s.window)-int64(l.senders[d].initial) >= missing {
			l.setInitial(d, s.window, o)
			s.hasWindow = false
			return true
		}
	}
	return false
}

// setInitial changes the windows of all streams that side d sends on.
func (l *ledger) setInitial(d Dir, size uint32, o opening) {
	side := &l.senders[d]
	delta := int64(size) - int64(side.initial)
	side.initial = size
	if !side.initialKnown {
		side.initialKnown = true
		return // the windows of the streams that there are stay unknown
	}
	if delta == 0 {
		return
	}
	o.typ = frame.TypeSettings
	work := l.work(l.streams.Len())
	for _, st := range l.streams.All() {
		m := &st.send[d]
		switch {
		case !work:
			m.window.unknown()
		case !m.window.known:
		case !m.window.credit.Shift(int32(delta)):
			l.excess.overflow = true
			m.window.unknown()
		default:
			m.window.given(o)
			l.mark(st, d, o)
		}
	}
}

// work reports whether n streams may be visited for one frame. A capture that asks for it again and
// again would take too long.
func (l *ledger) work(n int) bool {
	if n > l.budget {
		return false
	}
	l.budget -= n
	return true
}

// answered notes how long the side took to answer.
func (s *sender) answered(d time.Duration) {
	if d >= 0 && (s.rtt == 0 || d < s.rtt) {
		s.rtt = max(d, 1)
	}
}

// sentAt is the last PING of a side that was not acknowledged.
type sentAt struct {
	at   time.Time
	data [8]byte
}

func (l *ledger) ping(f *Frame) {
	p, ok := f.Parsed.(frame.Ping)
	if !ok {
		return
	}
	if !p.Ack {
		l.sentAt[f.Dir] = sentAt{f.Time, p.Data}
		return
	}
	if s := &l.sentAt[f.Dir.Other()]; s.data == p.Data && !s.at.IsZero() {
		l.senders[f.Dir].answered(f.Time.Sub(s.at))
		s.at = time.Time{}
	}
}
