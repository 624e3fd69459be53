package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// answerTime is how long SETTINGS and PING may wait for their answer.
const answerTime = 10 * time.Second

// settingRules are about SETTINGS (RFC 9113 §6.5).
var settingRules = []rule{
	{
		Rule: Rule{
			ID: "settings-first", Group: "Settings", Section: "RFC 9113 §3.4", Severity: Error,
			Title: "the first frame is not SETTINGS",
			Text: "Each side begins with SETTINGS, the client behind its preface. The other side ends the connection with " +
				"PROTOCOL_ERROR.",
		},
		check: func(l *lint, f *Frame) *offence {
			side := &l.sides[f.Dir]
			if side.frames > 0 || side.lossy || f.Header.Type == frame.TypeSettings && !f.Header.Flags.Has(frame.FlagAck) {
				return nil
			}
			return offend(f, "%v begins with %s", sideName(f.Dir), frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "setting-value", Group: "Settings", Section: "RFC 9113 §6.5.2", Severity: Error,
			Title: "a setting has a value that it must not have",
			Text: "The receiver ends the connection. A SETTINGS_MAX_FRAME_SIZE of 0 made clients send empty frames for ever " +
				"(CVE-2026-33814).",
		},
		frames: types(frame.TypeSettings),
		check: func(_ *lint, f *Frame) *offence {
			for s := range settingsOf(f) {
				if _, section, reason, bad := parseError(s.Check()); bad {
					return offend(f, "%v has sent %v: %s", sideName(f.Dir), s, reason).of(section)
				}
			}
			return nil
		},
	},
	{
		Rule: Rule{
			ID: "setting-push-by-server", Group: "Settings", Section: "RFC 9113 §6.5.2", Severity: Error,
			Title: "a server sets SETTINGS_ENABLE_PUSH to 1",
			Text:  "Only clients may be pushed to. The client ends the connection with PROTOCOL_ERROR.",
		},
		roles:  true,
		frames: types(frame.TypeSettings),
		check: func(_ *lint, f *Frame) *offence {
			for s := range settingsOf(f) {
				if f.Dir == Server && s.ID == frame.SettingEnablePush && s.Value == 1 {
					return offend(f, "the server has sent %v", s)
				}
			}
			return nil
		},
	},
	{
		Rule: Rule{
			ID: "setting-taken-back", Group: "Settings", Section: "RFC 8441 §3", Severity: Error,
			Title: "a setting changes that must not change",
			Text: "SETTINGS_ENABLE_CONNECT_PROTOCOL is not set to 0 after it was 1, and " +
				"SETTINGS_NO_RFC7540_PRIORITIES stays what the first SETTINGS frame has said (RFC 9218 §2.1).",
		},
		frames: types(frame.TypeSettings), check: checkTakenBack,
	},
	{
		Rule: Rule{
			ID: "setting-twice", Group: "Settings", Section: "RFC 9113 §6.5.3", Severity: Note,
			Title: "SETTINGS has a setting twice",
			Text:  "The last value counts, but some receivers refuse the frame.",
		},
		frames: types(frame.TypeSettings),
		check: func(_ *lint, f *Frame) *offence {
			var seen uint16
			for s := range settingsOf(f) {
				bit := uint16(1) << (s.ID % 16)
				if s.ID < 16 && seen&bit != 0 {
					return offend(f, "%v has sent %v twice in one frame", sideName(f.Dir), s.ID)
				}
				if s.ID < 16 {
					seen |= bit
				}
			}
			return nil
		},
	},
	{
		Rule: Rule{
			ID: "settings-ack-missing", Group: "Settings", Section: "RFC 9113 §6.5.3", Severity: Warning,
			Title: "SETTINGS are not acknowledged",
			Text: "The side goes on to send, but has not acknowledged SETTINGS for 10 seconds. The other one may end the " +
				"connection with SETTINGS_TIMEOUT, and cannot rely on its settings until then.",
		},
		once: perConn,
		check: func(l *lint, f *Frame) *offence {
			p := l.sides[f.Dir.Other()].settings.pending
			if len(p) == 0 || f.Time.Sub(p[0].at) < answerTime || f.Header.Type == frame.TypeSettings {
				return nil
			}
			return offend(f, "%v has not acknowledged SETTINGS for %v",
				sideName(f.Dir), f.Time.Sub(p[0].at).Round(time.Millisecond)).on(0)
		},
	},
	{
		Rule: Rule{
			ID: "settings-ack-unexpected", Group: "Settings", Section: "RFC 9113 §6.5.3", Severity: Warning,
			Title: "SETTINGS are acknowledged that were not sent",
			Text: "There are more acknowledgements than SETTINGS of the other side: a sign of two implementations " +
				"that disagree.",
		},
		crosses: true,
		frames:  types(frame.TypeSettings),
		check: func(l *lint, f *Frame) *offence {
			s := &l.sides[f.Dir.Other()].settings
			if !f.Header.Flags.Has(frame.FlagAck) || f.Err != nil || s.unsure || len(s.pending) > 0 || l.anyLossy() {
				return nil
			}
			return offend(f, "%v acknowledges SETTINGS that %v has not sent", sideName(f.Dir), sideName(f.Dir.Other()))
		},
	},
}

// anyLossy reports whether frames of one of the sides were not seen.
func (l *lint) anyLossy() bool { return l.sides[Client].lossy || l.sides[Server].lossy }

// settingsOf iterates over the settings of a frame.
func settingsOf(f *Frame) func(yield func(frame.Setting) bool) {
	s, _ := f.Parsed.(frame.Settings)
	return s.All()
}

func checkTakenBack(l *lint, f *Frame) *offence {
	own := &l.sides[f.Dir].settings
	if own.unsure || l.sides[f.Dir].lossy {
		return nil
	}
	for s := range settingsOf(f) {
		switch {
		case s.ID == frame.SettingEnableConnectProtocol && s.Value == 0 && own.sent[s.ID] == 1:
			return offend(f, "%v takes SETTINGS_ENABLE_CONNECT_PROTOCOL back", sideName(f.Dir))
		case s.ID == frame.SettingNoRFC7540Priorities && own.first && own.sent[s.ID] != s.Value:
			o := offend(f, "%v changes SETTINGS_NO_RFC7540_PRIORITIES to %d", sideName(f.Dir), s.Value)
			return o.of("RFC 9218 §2.1")
		}
	}
	return nil
}
