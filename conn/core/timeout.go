package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// TimeoutError is the cause of the error with which a timer has ended the connection or a stream.
// The peer is not told. It is not a net.Error with Timeout, since callers understand that as the
// timeout of one read or write: here the connection or stream is over.
type TimeoutError struct {
	Timer string        // the field of Config, "PrefaceTimeout" for example
	After time.Duration // the value of that field
}

// Error names the timer and its value.
func (e *TimeoutError) Error() string { return e.Timer + " of " + e.After.String() + " is over" }

// timedOut returns the error with which a timer ends the connection.
func timedOut(code frame.Code, section, reason, timer string, after time.Duration) error {
	return &frame.ConnError{Code: code, Section: section, Reason: reason, Cause: &TimeoutError{timer, after}}
}
