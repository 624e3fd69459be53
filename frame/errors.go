package frame

import (
	"errors"
	"strconv"
)

// ErrIgnore is returned by ParseAltSvc and ParseOrigin for a frame that is invalid and that its RFC
// tells the receiver to ignore. The caller drops the frame and continues.
var ErrIgnore = errors.New("frame: invalid frame of an extension, to be ignored")

// Initiator is the endpoint that found the fault.
type Initiator uint8

// The two ends of a connection.
const (
	// Local: this endpoint found the fault, and sends the code to the peer.
	Local Initiator = iota
	// Remote: the peer found it and sent GOAWAY or RST_STREAM. Its code is never sent back as ours.
	Remote
)

// String returns "local" or "remote".
func (i Initiator) String() string {
	if i == Remote {
		return "remote"
	}
	return "local"
}

// A ConnError ends the connection (RFC 9113 §5.4.1): the side that finds it sends GOAWAY with Code
// and closes. errors.Is finds Code and Cause in it.
type ConnError struct {
	Code      Code
	Initiator Initiator
	// Section is the rule that was broken, for example "RFC 9113 §6.1". It may be empty, and is
	// when Initiator is Remote.
	Section string
	// Reason is a fixed text without octets of the peer: safe to log, to count and to send. It may
	// be empty.
	Reason string
	// Cause is the error behind this one, or nil.
	Cause error
	// LastStreamID is the Last-Stream-ID of the GOAWAY when Initiator is Remote, otherwise 0.
	LastStreamID uint32
	// Debug is the debug data of the GOAWAY when Initiator is Remote: octets of the peer, not to be
	// trusted.
	Debug string
}

// A StreamError ends one stream with RST_STREAM (RFC 9113 §5.4.2) and leaves the connection alone.
// errors.Is finds Code and Cause in it.
type StreamError struct {
	StreamID  uint32
	Code      Code
	Initiator Initiator
	// Section is the rule that was broken, for example "RFC 9113 §6.9". It may be empty, and is
	// when Initiator is Remote.
	Section string
	// Reason is a fixed text without octets of the peer: safe to log and to count. It may be empty.
	Reason string
	// Cause is the error behind this one, or nil.
	Cause error
}

// NewConnError returns a Local ConnError. section is the broken rule, for example "RFC 9113 §6.1".
func NewConnError(c Code, section, reason string) *ConnError {
	return &ConnError{Code: c, Section: section, Reason: reason}
}

// NewStreamError returns a Local StreamError. section is the broken rule, for example
// "RFC 9113 §6.9".
func NewStreamError(id uint32, c Code, section, reason string) *StreamError {
	return &StreamError{StreamID: id, Code: c, Section: section, Reason: reason}
}

// Error says in one line what happened, for example "http2: connection error PROTOCOL_ERROR: DATA
// on stream 0 (RFC 9113 §6.1)", or "http2: connection ended: connection lost: EOF" where no rule
// was broken.
func (e *ConnError) Error() string {
	if e.Initiator == Remote {
		s := "http2: peer ended the connection with " + e.Code.String() +
			", last stream " + strconv.FormatUint(uint64(e.LastStreamID), 10)
		if e.Debug != "" {
			s += ", debug data " + strconv.QuoteToASCII(e.Debug)
		}
		return s + explain("", e.Reason, e.Cause)
	}
	if e.Code == NoError {
		return "http2: connection ended" + explain(e.Section, e.Reason, e.Cause)
	}
	return "http2: connection error " + e.Code.String() + explain(e.Section, e.Reason, e.Cause)
}

// Unwrap returns Code and, unless it is nil, Cause.
func (e *ConnError) Unwrap() []error { return unwrap(e.Code, e.Cause) }

// Error says in one line what happened, for example "http2: stream 5 error PROTOCOL_ERROR:
// WINDOW_UPDATE with increment 0 (RFC 9113 §6.9)".
func (e *StreamError) Error() string {
	id := strconv.FormatUint(uint64(e.StreamID), 10)
	if e.Initiator == Remote {
		return "http2: peer reset stream " + id + " with " + e.Code.String() + explain("", e.Reason, e.Cause)
	}
	return "http2: stream " + id + " error " + e.Code.String() + explain(e.Section, e.Reason, e.Cause)
}

// Unwrap returns Code and, unless it is nil, Cause.
func (e *StreamError) Unwrap() []error { return unwrap(e.Code, e.Cause) }

func explain(section, reason string, cause error) string {
	var s string
	if reason != "" {
		s += ": " + reason
	}
	if section != "" {
		s += " (" + section + ")"
	}
	if cause != nil {
		s += ": " + cause.Error()
	}
	return s
}

func unwrap(c Code, cause error) []error {
	if cause == nil {
		return []error{c}
	}
	return []error{c, cause}
}

// The functions that make errors are not inlined, so that their callers stay small and quick.

//go:noinline
func errNoStream(t Type) error {
	return NewConnError(ProtocolError, section(t), t.String()+" on stream 0")
}

//go:noinline
func errOnStream(t Type) error {
	return NewConnError(ProtocolError, section(t), t.String()+" on a stream other than 0")
}

//go:noinline
func errSize(t Type, reason string) error {
	return NewConnError(FrameSizeError, section(t), t.String()+" "+reason)
}

// sections has the section of an RFC that defines each frame type.
var sections = [...]string{
	TypeData:           "RFC 9113 §6.1",
	TypeHeaders:        "RFC 9113 §6.2",
	TypePriority:       "RFC 9113 §6.3",
	TypeRSTStream:      "RFC 9113 §6.4",
	TypeSettings:       "RFC 9113 §6.5",
	TypePushPromise:    "RFC 9113 §6.6",
	TypePing:           "RFC 9113 §6.7",
	TypeGoAway:         "RFC 9113 §6.8",
	TypeWindowUpdate:   "RFC 9113 §6.9",
	TypeContinuation:   "RFC 9113 §6.10",
	TypeAltSvc:         "RFC 7838 §4",
	TypeOrigin:         "RFC 8336 §2.1",
	TypePriorityUpdate: "RFC 9218 §7.1",
}

func section(t Type) string { return sections[t] }
