package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// Error is the error of a request or response body whose connection or stream has failed. errors.As
// finds *frame.StreamError or *frame.ConnError in it, errors.Is the code.
type Error struct {
	Addr     string // of the server, "host:port"
	StreamID uint32 // 0 where no stream was opened

	// Unprocessed says that the server has certainly not acted on the request, so that it may be
	// sent again.
	Unprocessed bool

	Err error
}

// Error says what happened, where, and whether the request may be sent again. Where net/http's
// HTTP/2 has a text for that, it begins with this text, since programs look for it. For a stream
// that the server has reset it is that text alone, since connect-go looks at its beginning and its
// end.
func (e *Error) Error() string {
	var se *frame.StreamError
	var ce *frame.ConnError
	s := e.Err.Error()
	switch {
	case errors.As(e.Err, &se) && se.Initiator == frame.Remote && se.Section == sectionGoAway:
		s = "http2: Transport received Server's graceful shutdown GOAWAY"
		if errors.As(e.Err, &ce) && ce.Code != frame.NoError {
			s = "http2: Transport received GOAWAY from server ErrCode:" + ce.Code.String() + ", debug=" + strconv.Quote(ce.Debug)
		}
	case se != nil && se.Section == sectionLength:
		s = io.ErrUnexpectedEOF.Error() + ": " + streamFault(se)
	case se != nil:
		s = "stream error: stream ID " + strconv.FormatUint(uint64(se.StreamID), 10) + "; " + se.Code.String()
		if se.Initiator == frame.Remote {
			return s + "; " + errFromPeer.Error()
		}
		return e.where(s + "; " + streamFault(se))
	case errors.As(e.Err, &ce) && ce.Initiator == frame.Remote:
		s = fmt.Sprintf("http2: server sent GOAWAY and closed the connection; LastStreamID=%d, ErrCode=%v, debug=%q",
			ce.LastStreamID, ce.Code, ce.Debug)
	case ce != nil && ce.Code != frame.NoError:
		s = "connection error: " + ce.Code.String() + strings.TrimPrefix(s, "http2: connection error "+ce.Code.String())
	case ce != nil && ce.Section == sectionPing:
		s = "http2: client connection lost: " + ce.Reason + " (" + ce.Section + ")"
		if ce.Cause != nil {
			s += ": " + ce.Cause.Error()
		}
	}
	if e.StreamID != 0 {
		s += ", stream " + strconv.FormatUint(uint64(e.StreamID), 10)
	}
	return e.where(s)
}

// Sections of RFC 9113 by which errors of package conn are distinguished.
const (
	sectionPing   = "RFC 9113 §6.7"   // a PING was not answered
	sectionGoAway = "RFC 9113 §6.8"   // GOAWAY has said that the request is not processed
	sectionLength = "RFC 9113 §8.1.1" // the content is not as long as content-length says
)

// errFromPeer is the Cause of a StreamError of net/http for a stream that the server has reset.
var errFromPeer = errors.New("received from peer")

// streamFault says what was wrong with what the server has sent.
func streamFault(e *frame.StreamError) string {
	s := e.Reason
	if e.Section != "" {
		s += " (" + e.Section + ")"
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return strings.TrimPrefix(s, ": ")
}

// Timeout reports whether a time limit was exceeded: of the response's head, or of the connection's
// socket. url.Error.Timeout and os.IsTimeout call it.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary reports what the error within says of itself, as net.Error has it.
func (e *Error) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}

// As lets errors.As find the StreamError, GoAwayError and ConnectionError of
// golang.org/x/net/http2, and whatever has their fields, as the errors of net/http's HTTP/2 do.
func (e *Error) As(target any) bool {
	dst := reflect.ValueOf(target).Elem()
	var se *frame.StreamError
	var ce *frame.ConnError
	switch isStream := errors.As(e.Err, &se); {
	case isStream && se.Section == sectionLength: // io.ErrUnexpectedEOF, as in net/http
	case isStream && dst.Kind() == reflect.Struct:
		cause := errFromPeer
		if se.Initiator == frame.Local {
			cause = errors.New(streamFault(se))
		}
		return setFields(dst, streamErrorFields{se.StreamID, uint32(se.Code), cause})
	case isStream || !errors.As(e.Err, &ce):
	case ce.Initiator == frame.Remote && dst.Kind() == reflect.Struct:
		return setFields(dst, goAwayErrorFields{ce.LastStreamID, uint32(ce.Code), ce.Debug})
	case ce.Initiator == frame.Local && ce.Code != frame.NoError:
		if dst.Kind() == reflect.Uint32 && dst.Type().Name() == "ConnectionError" {
			dst.SetUint(uint64(ce.Code))
			return true
		}
	}
	return false
}

// streamErrorFields and goAwayErrorFields are the fields of the errors of golang.org/x/net/http2.
type (
	streamErrorFields struct {
		StreamID uint32
		Code     uint32
		Cause    error
	}
	goAwayErrorFields struct {
		LastStreamID uint32
		ErrCode      uint32
		DebugData    string
	}
)

// setFields sets a struct to fields, where it has the same fields in the same order, and reports
// whether it has.
func setFields(dst reflect.Value, fields any) bool {
	src := reflect.ValueOf(fields)
	if dst.NumField() != src.NumField() {
		return false
	}
	for i := range src.NumField() {
		from, to := src.Type().Field(i), dst.Type().Field(i)
		if from.Name != to.Name || !from.Type.ConvertibleTo(to.Type) {
			return false
		}
	}
	for i := range src.NumField() {
		dst.Field(i).Set(src.Field(i).Convert(dst.Field(i).Type()))
	}
	return true
}

// where adds to s the server, and whether the request was processed.
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
	errRequestCanceled = errors.New("net/http: request canceled")
	errHeaderTooLarge  = errors.New("http2: response header list larger than advertised limit: " +
		"response headers exceeded MaxResponseHeaderBytes or MaxResponseHeaderFields")
	errBodyTooLong  = errors.New("http2: request body larger than specified content length")
	errBodyTooShort = errors.New("http2: request body shorter than its Content-Length")
	errPoolClosed   = errors.New("http2: connection no longer in use")
	errNotReserved  = errors.New("http2: Pool.Get returned a connection without a stream reserved")
)

// isUnprocessed reports whether an error of a stream says that the server has not acted on the
// request (RFC 9113 §8.7), or cannot have seen it.
func isUnprocessed(err error) bool {
	if errors.Is(err, core.ErrNoStream) || errors.Is(err, core.ErrNoMoreStreams) {
		return true
	}
	var se *frame.StreamError
	return errors.As(err, &se) && se.Initiator == frame.Remote && se.Code == frame.RefusedStream
}

// truncated is the error of a body that has ended too early, which net/http reports as an
// unexpected EOF.
type truncated struct{ error }

func (e truncated) Unwrap() []error { return []error{e.error, io.ErrUnexpectedEOF} }

// refusedByGoAway is the error of a request that GOAWAY says was not processed.
type refusedByGoAway struct {
	error
	goAway *frame.ConnError
}

func (e refusedByGoAway) Unwrap() []error { return []error{e.error, e.goAway} }

// afterGoAway is the error of a request whose connection the server has ended with GOAWAY.
type afterGoAway struct {
	error
	goAway *frame.ConnError
}

func (e afterGoAway) Unwrap() []error { return []error{e.goAway, e.error} }

// userError gives the error of a stream the form in which users look for it: the end of a
// connection is no io.EOF, which would be the end of a body, and a GOAWAY that came before the end
// is part of the error.
func (cc *ClientConn) userError(err error) error {
	var se *frame.StreamError
	var ce *frame.ConnError
	switch {
	case errors.As(err, &se):
		switch {
		case se.Initiator == frame.Local && se.Section == sectionLength:
			return truncated{err}
		case se.Initiator == frame.Remote && se.Section == sectionGoAway:
			if g := cc.c.GoAway(); g != nil {
				return refusedByGoAway{err, g}
			}
		}
	case errors.As(err, &ce):
		if errors.Is(err, io.EOF) {
			lost := *ce
			if lost.Cause = io.ErrUnexpectedEOF; !isEOF(ce.Cause) {
				lost.Cause = fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, ce.Cause) //nolint:errorlint // it is no io.EOF
			}
			err = &lost
		}
		lost := ce.Initiator == frame.Local && ce.Code == frame.NoError && ce.Reason == "connection lost"
		if g := cc.c.GoAway(); lost && g != nil {
			return afterGoAway{err, g}
		}
	}
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as net/http: the request has failed for another reason
	}
}
