package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// settingValues are the values of settings, by SettingID.
type settingValues [frame.SettingNoRFC7540Priorities + 1]uint32

// lintSettings is what a side has sent in SETTINGS.
type lintSettings struct {
	acked   settingValues // values in force: acknowledged by the other side
	sent    settingValues // values that were sent last
	pending []pendingSettings
	first   bool // one frame of SETTINGS was sent
	unsure  bool // SETTINGS, or their acknowledgements, were lost
}

// pendingSettings is a SETTINGS frame that was not acknowledged.
type pendingSettings struct {
	at     time.Time
	values settingValues // after it
}

// maxLintSettings is how many SETTINGS are remembered until they are acknowledged.
const maxLintSettings = 100

func (s *lintSettings) init() {
	s.acked = settingValues{
		frame.SettingHeaderTableSize:      4096,
		frame.SettingEnablePush:           1,
		frame.SettingInitialWindowSize:    frame.DefaultWindow,
		frame.SettingMaxFrameSize:         frame.MinMaxFrameSize,
		frame.SettingMaxConcurrentStreams: 1<<32 - 1,
		frame.SettingMaxHeaderListSize:    1<<32 - 1,
	}
	s.sent = s.acked
}

// known reports whether id is one of the settings that are kept.
func (v *settingValues) known(id frame.SettingID) bool { return id > 0 && int(id) < len(v) }

// apply notes SETTINGS of this side.
func (s *lintSettings) apply(f *Frame) {
	s.first = true
	p, ok := f.Parsed.(frame.Settings)
	if !ok {
		s.unsure = true
		return
	}
	for v := range p.All() {
		if s.sent.known(v.ID) && v.Check() == nil {
			s.sent[v.ID] = v.Value
		}
	}
	if len(s.pending) == maxLintSettings {
		s.unsure = true
		return
	}
	s.pending = append(s.pending, pendingSettings{f.Time, s.sent})
}

// upgrade has the settings of an Upgrade, which need no acknowledgement (RFC 7540 §3.2.1).
func (s *lintSettings) upgrade(p frame.Settings) {
	for v := range p.All() {
		if s.sent.known(v.ID) && v.Check() == nil {
			s.sent[v.ID] = v.Value
		}
	}
	s.acked = s.sent
}

// ack notes that the other side has acknowledged the oldest SETTINGS.
func (s *lintSettings) ack() {
	if len(s.pending) == 0 {
		return
	}
	s.acked = s.pending[0].values
	s.pending = append(s.pending[:0], s.pending[1:]...)
}

// most is the largest value of a setting that the other side may go by.
func (s *lintSettings) most(id frame.SettingID) uint32 {
	n := s.acked[id]
	for i := range s.pending {
		n = max(n, s.pending[i].values[id])
	}
	return n
}

// lost says that SETTINGS, or acknowledgements of them, may have been lost.
func (s *lintSettings) lost() { s.unsure, s.pending = true, nil }

// upgradeSettings has the client's settings of an Upgrade.
func (l *lint) upgradeSettings(p frame.Settings) { l.sides[Client].settings.upgrade(p) }

// upgrade has the request of an Upgrade, which is that of stream 1.
func (l *lint) upgrade(r *Request) {
	st := l.get(1)
	if st == nil {
		return
	}
	st.unsure = l.s.info.StartMissing
	st.head, st.connect = r.Method == "HEAD", r.Method == "CONNECT"
}
