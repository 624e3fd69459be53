package frame_test

import (
	"errors"
	"io"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{
			frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.1", "DATA on stream 0"),
			"http2: connection error PROTOCOL_ERROR: DATA on stream 0 (RFC 9113 §6.1)",
		},
		{
			&frame.ConnError{Code: frame.InternalError, Cause: io.ErrUnexpectedEOF},
			"http2: connection error INTERNAL_ERROR: unexpected EOF",
		},
		{
			&frame.ConnError{Code: frame.EnhanceYourCalm, Initiator: frame.Remote, LastStreamID: 7, Debug: "too\nmany"},
			`http2: peer ended the connection with ENHANCE_YOUR_CALM, last stream 7, debug data "too\nmany"`,
		},
		{
			&frame.ConnError{Code: frame.NoError, Initiator: frame.Remote},
			"http2: peer ended the connection with NO_ERROR, last stream 0",
		},
		{
			frame.NewStreamError(5, frame.ProtocolError, "RFC 9113 §6.9", "WINDOW_UPDATE with increment 0"),
			"http2: stream 5 error PROTOCOL_ERROR: WINDOW_UPDATE with increment 0 (RFC 9113 §6.9)",
		},
		{
			&frame.StreamError{StreamID: 5, Code: 0xbad, Initiator: frame.Remote},
			"http2: peer reset stream 5 with UNKNOWN_ERROR_0xbad",
		},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("\n got %s\nwant %s", got, tt.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	for _, tt := range []struct {
		err      error
		hasCause bool
	}{
		{&frame.ConnError{Code: frame.RefusedStream}, false},
		{&frame.StreamError{Code: frame.RefusedStream}, false},
		{&frame.ConnError{Code: frame.RefusedStream, Cause: io.EOF}, true},
		{&frame.StreamError{Code: frame.RefusedStream, Cause: io.EOF}, true},
	} {
		if !errors.Is(tt.err, frame.RefusedStream) || errors.Is(tt.err, frame.Cancel) {
			t.Errorf("%#v: code is not found", tt.err)
		}
		if errors.Is(tt.err, io.EOF) != tt.hasCause {
			t.Errorf("%#v: cause found = %v", tt.err, !tt.hasCause)
		}
		var code frame.Code
		if !errors.As(tt.err, &code) || code != frame.RefusedStream {
			t.Errorf("%#v: errors.As found %v", tt.err, code)
		}
	}
}

func TestCodeString(t *testing.T) {
	names := []string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
		"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
		"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED", "UNKNOWN_ERROR_0xe",
	}
	for c, name := range names {
		if got := frame.Code(c).String(); got != name || frame.Code(c).Error() != name {
			t.Errorf("Code(%#x) = %q, want %q", c, got, name)
		}
	}
	if got, want := frame.Code(0xffffffff).String(), "UNKNOWN_ERROR_0xffffffff"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInitiatorString(t *testing.T) {
	if frame.Local.String() != "local" || frame.Remote.String() != "remote" {
		t.Errorf("%v, %v", frame.Local, frame.Remote)
	}
}
