package frame

import "strconv"

// Preface is what a client sends first on a connection, before its SETTINGS frame (RFC 9113 §3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Limits and initial values of the protocol.
const (
	HeaderLen       = 9         // octets of a frame header (RFC 9113 §4.1)
	MinMaxFrameSize = 1 << 14   // smallest and initial SETTINGS_MAX_FRAME_SIZE, octets (RFC 9113 §4.2)
	MaxMaxFrameSize = 1<<24 - 1 // largest SETTINGS_MAX_FRAME_SIZE, octets of payload (RFC 9113 §4.2)
	DefaultWindow   = 65535     // initial flow-control window, in octets (RFC 9113 §6.9.2)
	MaxWindow       = 1<<31 - 1 // largest flow-control window, in octets (RFC 9113 §6.9.1)
	MaxStreamID     = 1<<31 - 1 // largest stream identifier (RFC 9113 §5.1.1)
)

// reservedBit is the first bit of a stream identifier or window increment: unset when sending,
// ignored when receiving.
const reservedBit = 1 << 31

// Type says what a frame is for (RFC 9113 §4.1). Frames of an unknown type are ignored.
type Type uint8

// The types of RFC 9113 §6, and of the extensions that this package knows.
const (
	TypeData           Type = 0x0
	TypeHeaders        Type = 0x1
	TypePriority       Type = 0x2
	TypeRSTStream      Type = 0x3
	TypeSettings       Type = 0x4
	TypePushPromise    Type = 0x5
	TypePing           Type = 0x6
	TypeGoAway         Type = 0x7
	TypeWindowUpdate   Type = 0x8
	TypeContinuation   Type = 0x9
	TypeAltSvc         Type = 0xa  // RFC 7838 §4
	TypeOrigin         Type = 0xc  // RFC 8336 §2
	TypePriorityUpdate Type = 0x10 // RFC 9218 §7.1
)

var typeNames = [...]string{
	TypeData:           "DATA",
	TypeHeaders:        "HEADERS",
	TypePriority:       "PRIORITY",
	TypeRSTStream:      "RST_STREAM",
	TypeSettings:       "SETTINGS",
	TypePushPromise:    "PUSH_PROMISE",
	TypePing:           "PING",
	TypeGoAway:         "GOAWAY",
	TypeWindowUpdate:   "WINDOW_UPDATE",
	TypeContinuation:   "CONTINUATION",
	TypeAltSvc:         "ALTSVC",
	TypeOrigin:         "ORIGIN",
	TypePriorityUpdate: "PRIORITY_UPDATE",
}

// Known reports whether t is one of the types of this package.
func (t Type) Known() bool { return int(t) < len(typeNames) && typeNames[t] != "" }

// String returns the name of t as the RFCs spell it, for example "RST_STREAM", or "UNKNOWN_0x2a".
func (t Type) String() string {
	if t.Known() {
		return typeNames[t]
	}
	return "UNKNOWN_0x" + strconv.FormatUint(uint64(t), 16)
}

// A Frame is a frame of any type, for tests, tools and logs. Code that handles many frames uses the
// typed parsers and values, because an interface value costs an allocation.
type Frame interface {
	// Append appends the wire form of the frame to b and returns the longer slice.
	Append(b []byte) []byte
	// FrameHeader returns the header with which Append writes the frame.
	FrameHeader() Header
	// String describes the frame in one line of printable ASCII. It shows every field but the
	// octets of messages and field blocks; debug data and the text of extensions are quoted.
	String() string
}

// Parse decodes the payload p that came with header h into the frame type that h names. A type that
// this package does not know gives Unknown. Byte slices in the result are views into p. Errors are
// those of the typed parsers; with an error the Frame is nil.
func Parse(h Header, p []byte) (Frame, error) {
	switch h.Type {
	case TypeData:
		return frameOrNil(ParseData(h, p))
	case TypeHeaders:
		return frameOrNil(ParseHeaders(h, p))
	case TypePriority:
		return frameOrNil(ParsePriority(h, p))
	case TypeRSTStream:
		return frameOrNil(ParseRSTStream(h, p))
	case TypeSettings:
		return frameOrNil(ParseSettings(h, p))
	case TypePushPromise:
		return frameOrNil(ParsePushPromise(h, p))
	case TypePing:
		return frameOrNil(ParsePing(h, p))
	case TypeGoAway:
		return frameOrNil(ParseGoAway(h, p))
	case TypeWindowUpdate:
		return frameOrNil(ParseWindowUpdate(h, p))
	case TypeContinuation:
		return frameOrNil(ParseContinuation(h, p))
	case TypeAltSvc:
		return frameOrNil(ParseAltSvc(h, p))
	case TypeOrigin:
		return frameOrNil(ParseOrigin(h, p))
	case TypePriorityUpdate:
		return frameOrNil(ParsePriorityUpdate(h, p))
	default:
		return Unknown{Header: h, Payload: p}, nil
	}
}

// frameOrNil returns the nil interface where err is not nil, in place of an interface value that
// holds a zero frame.
func frameOrNil[F Frame](f F, err error) (Frame, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}
