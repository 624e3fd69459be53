package stream

import "fmt"

// A State is a state of a stream as this endpoint sees it (RFC 9113 §5.1). The zero State is not a
// state.
type State uint8

// The states of RFC 9113 §5.1. "closed" is three states, by what closed the stream first, because
// the meaning of late frames differs.
const (
	Idle              State = iota + 1
	ReservedLocal           // we have promised it with PUSH_PROMISE
	ReservedRemote          // the peer has promised it with PUSH_PROMISE
	Open                    // both sides may send
	HalfClosedLocal         // we have sent END_STREAM
	HalfClosedRemote        // the peer has sent END_STREAM
	ClosedEnd               // both sides have sent END_STREAM
	ClosedResetLocal        // we have sent RST_STREAM
	ClosedResetRemote       // the peer has sent RST_STREAM

	numStates = iota + 1
)

var stateNames = [numStates]string{
	Idle:              "idle",
	ReservedLocal:     "reserved (local)",
	ReservedRemote:    "reserved (remote)",
	Open:              "open",
	HalfClosedLocal:   "half-closed (local)",
	HalfClosedRemote:  "half-closed (remote)",
	ClosedEnd:         "closed (END_STREAM)",
	ClosedResetLocal:  "closed (reset by us)",
	ClosedResetRemote: "closed (reset by the peer)",
}

// String returns the name of the state in the words of RFC 9113 §5.1.
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Closed reports whether s is one of the three closed states.
func (s State) Closed() bool { return s >= ClosedEnd }

// CanSend reports whether we may send DATA in s.
func (s State) CanSend() bool { return s == Open || s == HalfClosedRemote }

// CanReceive reports whether the peer may send DATA in s.
func (s State) CanReceive() bool { return s == Open || s == HalfClosedLocal }

// On returns the rule for event e in state s. It reads a table and changes nothing. It panics when
// s or e is none of the constants.
func (s State) On(e Event) Rule {
	r := rules[s][e]
	if r.Verdict == 0 {
		panic(fmt.Sprintf("BUG: stream: no rule for %v in state %v", e, s))
	}
	return r
}
