package client

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// Error is the error of a request or response body whose connection or stream has failed. errors.As finds
// *frame.StreamError or *frame.ConnError in it, errors.Is the code.
type Error struct {
	Addr     string // of the server, "host:port"
	StreamID uint32 // 0 where no stream was opened

	// Unprocessed tells that the server has certainly not acted on the request, so that it may be sent again.
	Unprocessed bool

	Err error
}

// Error says what happened, where, and whether the request may be sent again. Of a stream that the server has reset it
// begins and ends as net/http's does, since programs look for the code between "stream error: " and "received from
// peer"; connect-go is one.
func (e *Error) Error() string {
	var se *frame.StreamError
	if errors.As(e.Err, &se) && se.Initiator == frame.Remote {
		return "stream error: " + e.where("stream ID "+strconv.FormatUint(uint64(se.StreamID), 10)) + "; " + se.Code.String() +
			"; received from peer"
	}
	s := e.Err.Error()
	if e.StreamID != 0 {
		s += ", stream " + strconv.FormatUint(uint64(e.StreamID), 10)
	}
	return e.where(s)
}

// where adds to s of which server the error tells, and what became of the request.
func (e *Error) where(s string) string {
	if e.Addr != "" {
		s += ", server " + e.Addr
	}
	if e.Unprocessed {
		s += ", request not processed"
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// timeoutError is a net.Error.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

const (
	errHeaderTimeout    = timeoutError("http2: timeout awaiting response headers")
	errHandshakeTimeout = timeoutError("http2: TLS handshake timeout")
)

var (
	errRequestCanceled = errors.New("http2: request canceled")
	errHeaderTooLarge  = errors.New("http2: response header list too large")
	errBodyTooLong     = errors.New("http2: request body larger than its Content-Length")
	errBodyTooShort    = errors.New("http2: request body shorter than its Content-Length")
	errPoolClosed      = errors.New("http2: connection no longer in use")
	errNotReserved     = errors.New("http2: Pool.Get returned a connection without a stream reserved")
)

// isUnprocessed tells of an error of a stream whether the server says that it has not acted on the request (RFC 9113
// §8.7), or cannot have seen it.
func isUnprocessed(err error) bool {
	if errors.Is(err, core.ErrNoStream) || errors.Is(err, core.ErrNoMoreStreams) {
		return true
	}
	var se *frame.StreamError
	return errors.As(err, &se) && se.Initiator == frame.Remote && se.Code == frame.RefusedStream
}

// truncated is the error of a body that has ended before its time, as net/http tells it.
type truncated struct{ error }

func (e truncated) Unwrap() []error { return []error{e.error, io.ErrUnexpectedEOF} }

// tellingError gives the error of a stream the form in which users look for it: the end of a connection is no io.EOF,
// which would be the end of a body.
func tellingError(err error) error {
	var se *frame.StreamError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &se):
		if se.Initiator == frame.Local && se.Section == "RFC 9113 §8.1.1" {
			return truncated{err}
		}
	case errors.As(err, &ce) && errors.Is(err, io.EOF):
		lost := *ce
		lost.Cause = io.ErrUnexpectedEOF
		return &lost
	}
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as net/http: the request has failed for another reason
	}
}
