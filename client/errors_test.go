package client

import (
	"errors"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

func TestErrorText(t *testing.T) {
	reset := &frame.StreamError{StreamID: 5, Code: frame.Cancel, Initiator: frame.Remote}
	refused := &frame.StreamError{StreamID: 7, Code: frame.RefusedStream, Initiator: frame.Remote}
	for _, tt := range []struct {
		err  Error
		want string
	}{
		{
			Error{Err: reset, StreamID: 5, Addr: "a:1"},
			"stream error: stream ID 5; CANCEL; received from peer",
		},
		{
			Error{Err: refused, StreamID: 7, Addr: "a:1", Unprocessed: true},
			"stream error: stream ID 7; REFUSED_STREAM; received from peer",
		},
		{
			Error{Err: errors.New("dial failed"), Addr: "a:1", Unprocessed: true},
			"dial failed, server a:1, request not processed",
		},
		{
			Error{Err: errors.New("gone"), StreamID: 9, Addr: "a:1"},
			"gone, stream 9, server a:1",
		},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}
