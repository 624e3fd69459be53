package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// TimeoutError is the cause of the error with which a timer has ended the connection or a stream:
// Timer is the field of Config that sets it. The peer is not told. It is no timeout in the sense of
// net.Error, which callers take for one of a single read or write: the connection or stream is
// over.
type TimeoutError struct {
	Timer string        // "PrefaceTimeout"
	After time.Duration // its value
}

// Error names the timer and its value.
func (e *TimeoutError) Error() string { return e.Timer + " of " + e.After.String() + " is over" }

// timedOut returns the error with which a timer ends the connection.
func timedOut(code frame.Code, section, reason, timer string, after time.Duration) error {
	return &frame.ConnError{Code: code, Section: section, Reason: reason, Cause: &TimeoutError{timer, after}}
}
