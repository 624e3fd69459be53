package core

import (
	"slices"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// settingsState is how far the exchange of SETTINGS has come (RFC 9113 §6.5.3).
type settingsState struct {
	prefaceDeadline time.Time // when the peer's first SETTINGS are due
	ackDeadline     time.Time // when the acknowledgement of our SETTINGS is due
	ackStale        bool      // ackDeadline is not known until the caller brings the time: see startAckTimer
	noOctetYet      bool      // server: the client has sent nothing, and FirstByteTimeout runs
	received        bool      // the peer's first SETTINGS have arrived
	acked           bool      // the peer has acknowledged our first SETTINGS
	windowUnacked   bool      // the peer has not acknowledged a later SETTINGS_INITIAL_WINDOW_SIZE, see initialWindow
}

// settings appends our SETTINGS.
func (cfg *Config) settings(b []frame.Setting) []frame.Setting {
	b = cfg.ownSettings(b)
	if len(cfg.SettingsOrder) > 0 {
		b = cfg.orderSettings(b)
	}
	if cfg.Grease != 0 {
		b = append(b, greaseSetting(cfg.Grease))
	}
	return b
}

// orderSettings puts the settings of b into the order of Config.SettingsOrder.
func (cfg *Config) orderSettings(b []frame.Setting) []frame.Setting {
	ordered := make([]frame.Setting, 0, len(b)+len(cfg.SettingsOrder))
	has := func(id frame.SettingID) func(frame.Setting) bool {
		return func(s frame.Setting) bool { return s.ID == id }
	}
	for _, id := range cfg.SettingsOrder {
		i := slices.IndexFunc(b, has(id))
		switch {
		case slices.ContainsFunc(ordered, has(id)):
		case i >= 0:
			ordered = append(ordered, b[i])
			b = slices.Delete(b, i, i+1)
		case id == frame.SettingMaxFrameSize:
			ordered = append(ordered, frame.Setting{ID: id, Value: cfg.MaxReadFrameSize})
		case id == frame.SettingHeaderTableSize:
			ordered = append(ordered, frame.Setting{ID: id, Value: cfg.DecoderTableSize})
		case id == frame.SettingMaxConcurrentStreams:
			ordered = append(ordered, frame.Setting{ID: id, Value: cfg.MaxConcurrentStreams})
		}
	}
	return append(ordered, b...)
}

// ownSettings appends the settings that differ from the initial values, and those that a peer
// should be told even so.
func (cfg *Config) ownSettings(b []frame.Setting) []frame.Setting {
	if cfg.Role == Client {
		push := uint32(0)
		if cfg.EnablePush {
			push = 1
		}
		b = append(b, frame.Setting{ID: frame.SettingEnablePush, Value: push})
	}
	if cfg.Role == Server || cfg.EnablePush {
		b = append(b, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: cfg.MaxConcurrentStreams})
	}
	b = append(b,
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: cfg.StreamWindow},
		frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: cfg.MaxHeaderBytes},
	)
	if cfg.MaxReadFrameSize != frame.MinMaxFrameSize {
		b = append(b, frame.Setting{ID: frame.SettingMaxFrameSize, Value: cfg.MaxReadFrameSize})
	}
	if cfg.DecoderTableSize != header.DefaultTableSize {
		b = append(b, frame.Setting{ID: frame.SettingHeaderTableSize, Value: cfg.DecoderTableSize})
	}
	if cfg.Role == Server && cfg.EnableConnectProtocol {
		b = append(b, frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1})
	}
	if cfg.noTree() {
		b = append(b, frame.Setting{ID: frame.SettingNoRFC7540Priorities, Value: 1})
	}
	return b
}

// noTree reports whether the priorities of RFC 7540 §5.3 are not used on the connection: a client
// does not send them, or a server's scheduler does not follow them (RFC 9218 §2.1).
func (cfg *Config) noTree() bool {
	if cfg.Role == Client {
		return !cfg.TreePriorities
	}
	return priority.IgnoresTree(cfg.Scheduler)
}

// Settings are the peer's settings in force (RFC 9113 §6.5.2).
type Settings struct {
	HeaderTableSize       uint32
	EnablePush            bool
	MaxConcurrentStreams  uint32 // 2^32-1: the peer has stated no limit
	InitialWindowSize     uint32
	MaxFrameSize          uint32
	MaxHeaderListSize     uint32 // 2^32-1: the peer has stated no limit
	EnableConnectProtocol bool
	NoRFC7540Priorities   bool
}

func initialSettings() Settings {
	return Settings{
		HeaderTableSize:      header.DefaultTableSize,
		EnablePush:           true,
		MaxConcurrentStreams: 1<<32 - 1,
		InitialWindowSize:    frame.DefaultWindow,
		MaxFrameSize:         frame.MinMaxFrameSize,
		MaxHeaderListSize:    1<<32 - 1,
	}
}
