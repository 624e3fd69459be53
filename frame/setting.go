package frame

import "strconv"

// SettingID names a setting (RFC 9113 §6.5.2). A setting with an unknown identifier is ignored.
type SettingID uint16

// The settings of RFC 9113 §6.5.2, and of the extensions that this package knows.
const (
	SettingHeaderTableSize       SettingID = 0x1 // octets; initially 4096
	SettingEnablePush            SettingID = 0x2 // 0 or 1; initially 1
	SettingMaxConcurrentStreams  SettingID = 0x3 // streams; initially without limit
	SettingInitialWindowSize     SettingID = 0x4 // octets, at most MaxWindow; initially DefaultWindow
	SettingMaxFrameSize          SettingID = 0x5 // octets, 2^14 to 2^24-1; initially 2^14
	SettingMaxHeaderListSize     SettingID = 0x6 // octets; initially without limit
	SettingEnableConnectProtocol SettingID = 0x8 // 0 or 1; initially 0 (RFC 8441 §3)
	SettingNoRFC7540Priorities   SettingID = 0x9 // 0 or 1; initially 0 (RFC 9218 §2.1)
)

var settingNames = [...]string{
	SettingHeaderTableSize:       "SETTINGS_HEADER_TABLE_SIZE",
	SettingEnablePush:            "SETTINGS_ENABLE_PUSH",
	SettingMaxConcurrentStreams:  "SETTINGS_MAX_CONCURRENT_STREAMS",
	SettingInitialWindowSize:     "SETTINGS_INITIAL_WINDOW_SIZE",
	SettingMaxFrameSize:          "SETTINGS_MAX_FRAME_SIZE",
	SettingMaxHeaderListSize:     "SETTINGS_MAX_HEADER_LIST_SIZE",
	SettingEnableConnectProtocol: "SETTINGS_ENABLE_CONNECT_PROTOCOL",
	SettingNoRFC7540Priorities:   "SETTINGS_NO_RFC7540_PRIORITIES",
}

// String returns the name of id as the RFCs spell it, or "SETTINGS_UNKNOWN_0x2a".
func (id SettingID) String() string {
	if int(id) < len(settingNames) && settingNames[id] != "" {
		return settingNames[id]
	}
	return "SETTINGS_UNKNOWN_0x" + strconv.FormatUint(uint64(id), 16)
}

// A Setting is one parameter of a SETTINGS frame (RFC 9113 §6.5.1).
type Setting struct {
	ID    SettingID
	Value uint32
}

// Check returns a *ConnError when the value is outside what the setting allows, with
// FLOW_CONTROL_ERROR for SETTINGS_INITIAL_WINDOW_SIZE and PROTOCOL_ERROR for the others
// (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1). Unknown settings have no rule. Rules that
// depend on the role of the sender, or on what was sent before, are the caller's to check: a server
// may not send SETTINGS_ENABLE_PUSH of 1, and SETTINGS_ENABLE_CONNECT_PROTOCOL and
// SETTINGS_NO_RFC7540_PRIORITIES may not change at will.
func (s Setting) Check() error {
	switch s.ID {
	case SettingEnablePush, SettingEnableConnectProtocol, SettingNoRFC7540Priorities:
		if s.Value > 1 {
			return s.err(ProtocolError, "is neither 0 nor 1")
		}
	case SettingInitialWindowSize:
		if s.Value > MaxWindow {
			return s.err(FlowControlError, "is above 2^31-1")
		}
	case SettingMaxFrameSize:
		if s.Value < MinMaxFrameSize || s.Value > MaxMaxFrameSize {
			return s.err(ProtocolError, "is not between 2^14 and 2^24-1")
		}
	case SettingHeaderTableSize, SettingMaxConcurrentStreams, SettingMaxHeaderListSize: // any value
	default: // unknown: ignored
	}
	return nil
}

//go:noinline
func (s Setting) err(c Code, what string) error {
	section := "RFC 9113 §6.5.2"
	switch s.ID {
	case SettingEnableConnectProtocol:
		section = "RFC 8441 §3"
	case SettingNoRFC7540Priorities:
		section = "RFC 9218 §2.1"
	default:
	}
	return NewConnError(c, section, s.ID.String()+" "+what)
}

// String returns for example "SETTINGS_MAX_FRAME_SIZE=16384".
func (s Setting) String() string {
	return s.ID.String() + "=" + strconv.FormatUint(uint64(s.Value), 10)
}
