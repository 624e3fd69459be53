package frame

import "strconv"

// Code is an error code of RFC 9113 §7, as RST_STREAM and GOAWAY carry it. It is an error itself,
// so that errors.Is(err, frame.RefusedStream) finds it in a *StreamError or *ConnError. An unknown
// code is not an error by itself: it is treated as INTERNAL_ERROR.
type Code uint32

// The codes of RFC 9113 §7.
const (
	NoError            Code = 0x0 // not a result of an error: graceful shutdown
	ProtocolError      Code = 0x1 // unspecific protocol error
	InternalError      Code = 0x2 // unexpected internal error
	FlowControlError   Code = 0x3 // the peer used more than its window
	SettingsTimeout    Code = 0x4 // SETTINGS were not acknowledged in time
	StreamClosed       Code = 0x5 // a frame came after the stream was half-closed
	FrameSizeError     Code = 0x6 // a frame has an invalid size
	RefusedStream      Code = 0x7 // refused before any processing: safe to retry
	Cancel             Code = 0x8 // the stream is no longer needed
	CompressionError   Code = 0x9 // the field section compression context is lost
	ConnectError       Code = 0xa // the connection of a CONNECT request was reset
	EnhanceYourCalm    Code = 0xb // the peer behaves in a way that might be excessive load
	InadequateSecurity Code = 0xc // the transport does not meet the minimum security
	HTTP11Required     Code = 0xd // use HTTP/1.1 instead
)

var codeNames = [...]string{
	NoError:            "NO_ERROR",
	ProtocolError:      "PROTOCOL_ERROR",
	InternalError:      "INTERNAL_ERROR",
	FlowControlError:   "FLOW_CONTROL_ERROR",
	SettingsTimeout:    "SETTINGS_TIMEOUT",
	StreamClosed:       "STREAM_CLOSED",
	FrameSizeError:     "FRAME_SIZE_ERROR",
	RefusedStream:      "REFUSED_STREAM",
	Cancel:             "CANCEL",
	CompressionError:   "COMPRESSION_ERROR",
	ConnectError:       "CONNECT_ERROR",
	EnhanceYourCalm:    "ENHANCE_YOUR_CALM",
	InadequateSecurity: "INADEQUATE_SECURITY",
	HTTP11Required:     "HTTP_1_1_REQUIRED",
}

// String returns the name of c as RFC 9113 §7 spells it, or "UNKNOWN_ERROR_0x2a".
func (c Code) String() string {
	if uint64(c) < uint64(len(codeNames)) {
		return codeNames[c]
	}
	return "UNKNOWN_ERROR_0x" + strconv.FormatUint(uint64(c), 16)
}

// Error returns the same as String.
func (c Code) Error() string { return c.String() }
