package stream

import (
	"fmt"

	"github.com/sluice-go/sluice/frame"
)

// A Verdict says what to do about an event. The zero Verdict is none.
type Verdict uint8

// The verdicts. Allowed and Ignored are no errors.
const (
	// Allowed: process the frame.
	Allowed Verdict = iota + 1
	// Ignored: do only what keeps the state of the connection right (decode the field block, count
	// DATA against the connection window and give the credit back) and drop the frame. For a local
	// event: send nothing.
	Ignored
	// StreamClosedError: answer RST_STREAM STREAM_CLOSED.
	StreamClosedError
	// ConnProtocolError: end the connection with GOAWAY PROTOCOL_ERROR.
	ConnProtocolError
	// ConnStreamClosed: end the connection with GOAWAY STREAM_CLOSED.
	ConnStreamClosed
	// Misuse: a local event that the state does not permit; nothing may be sent. It is the caller's
	// mistake, not the peer's.
	Misuse

	numVerdicts = iota + 1
)

var verdictNames = [numVerdicts]string{
	Allowed:           "allowed",
	Ignored:           "ignored",
	StreamClosedError: "stream error STREAM_CLOSED",
	ConnProtocolError: "connection error PROTOCOL_ERROR",
	ConnStreamClosed:  "connection error STREAM_CLOSED",
	Misuse:            "misuse",
}

// String returns the verdict in words, as in docs/STATES.md.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) && verdictNames[v] != "" {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Err returns the error that v stands for, given what happened on which stream and in which state:
// a *frame.StreamError, a *frame.ConnError or a *MisuseError; nil for Allowed and Ignored.
func (v Verdict) Err(streamID uint32, e Event, s State) error {
	switch v {
	case Allowed, Ignored:
		return nil
	case StreamClosedError:
		return frame.NewStreamError(streamID, frame.StreamClosed, section(e), reason(e, s))
	case ConnProtocolError:
		return frame.NewConnError(frame.ProtocolError, section(e), reason(e, s))
	case ConnStreamClosed:
		return frame.NewConnError(frame.StreamClosed, section(e), reason(e, s))
	case Misuse:
		return &MisuseError{streamID, e, s}
	}
	panic(fmt.Sprintf("BUG: stream: no error for %v", v))
}

// section returns the section of RFC 9113 with the rule that e breaks.
func section(e Event) string {
	if e == RecvPushPromise || e == RecvPromising {
		return "RFC 9113 §6.6"
	}
	return "RFC 9113 §5.1"
}

// reason returns a text that contains nothing that the peer has sent.
func reason(e Event, s State) string { return e.String() + " in state " + s.String() }

// A MisuseError is a local event that the state of the stream does not permit.
type MisuseError struct {
	StreamID uint32
	Event    Event
	State    State
}

// Error names the event and the state.
func (e *MisuseError) Error() string {
	return fmt.Sprintf("stream %d: cannot %v in state %v", e.StreamID, e.Event, e.State)
}
