package inspect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// filterEvents are two connections: stream 1 of the first is for a.example, and pushes stream 2 for
// b.example; stream 3 for c.b.example goes wrong. The second is of HTTP/1.1.
func filterEvents() []capture.Event {
	on := func(conn uint64, e *capture.Frame) *capture.Frame {
		e.Conn = conn
		return e
	}
	head := func(id uint32) frame.Headers { return frame.Headers{StreamID: id, EndHeaders: true} }
	return []capture.Event{
		&capture.Connection{ID: 1, Protocol: capture.HTTP2, TLS: &capture.TLS{ALPN: "h2"}},
		on(1, sent(capture.Client, 0, frame.NewSettings())),
		on(1, sent(capture.Client, 1, head(1), fields(":method: GET", ":authority: A.example:8443")...)),
		on(1, sent(capture.Server, 2, frame.PushPromise{StreamID: 1, PromisedID: 2}, fields(":authority: b.example")...)),
		on(1, sent(capture.Client, 3, head(3), fields(":method: GET", ":authority: c.b.example")...)),
		on(1, sent(capture.Server, 4, head(1), fields(":status: 200")...)),
		on(1, sent(capture.Server, 5, head(2), fields(":status: 200")...)),
		&capture.Request{Conn: 1, Stream: 1, Authority: "A.example:8443", Status: 200},
		on(1, sent(capture.Server, 6, frame.RSTStream{StreamID: 3, Code: frame.InternalError})),
		&capture.Stall{Conn: 1, Stream: 3},
		&capture.Gap{Conn: 1},
		&capture.Connection{ID: 2, Protocol: capture.HTTP1},
		&capture.Message{Conn: 2, Stream: 1, Line: "GET / HTTP/1.1", Fields: fields("host: b.example")},
		&capture.Finding{Conn: 2, Stream: 1, Severity: capture.Note},
		&capture.End{Conn: 1},
		&capture.End{Conn: 2},
	}
}

// short names an event.
func short(e capture.Event) string {
	name := fmt.Sprintf("%s %d", e.Kind(), e.ConnID())
	if f, ok := e.(*capture.Frame); ok {
		name = fmt.Sprintf("%v %d", f.Header.Type, f.Conn)
	}
	if stream, ok := streamOf(e); ok {
		name += fmt.Sprintf(".%d", stream)
	}
	return name
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"connection", Options{Conns: []string{"2"}}, "connection 2; message 2.1; finding 2.1; end 2"},
		{"connections", Options{Conns: []string{"#2", "3"}}, "connection 2; message 2.1; finding 2.1; end 2"},
		{
			"stream",
			Options{Streams: []string{"3", "0"}},
			"connection 1; SETTINGS 1.0; HEADERS 1.3; RST_STREAM 1.3; stall 1.3; end 1",
		},
		{
			"type",
			Options{Types: []string{"rst_stream", "push-promise"}},
			"connection 1; PUSH_PROMISE 1.1; RST_STREAM 1.3; end 1",
		},
		{"host", Options{Host: "a.example"}, "connection 1; HEADERS 1.1; HEADERS 1.1; request 1.1; end 1"},
		{"host with port", Options{Host: "a.example:8443"}, "connection 1; HEADERS 1.1; HEADERS 1.1; request 1.1; end 1"},
		{
			"hosts below",
			Options{Host: ".b.example"},
			"connection 1; PUSH_PROMISE 1.1; HEADERS 1.3; HEADERS 1.2; RST_STREAM 1.3; stall 1.3; connection 2; " +
				"message 2.1; finding 2.1; end 1; end 2",
		},
		{
			"errors",
			Options{Errors: true},
			"connection 1; SETTINGS 1.0; HEADERS 1.3; RST_STREAM 1.3; stall 1.3; gap 1; end 1",
		},
		{"errors of a type", Options{Errors: true, Types: []string{"RST_STREAM"}}, "connection 1; RST_STREAM 1.3; end 1"},
		{"nothing", Options{Host: "other.example"}, ""},
	} {
		f, err := newFilter(&tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if tt.o.Errors {
			f.chosen = &chosen{streams: map[conn]bool{}}
			for _, e := range filterEvents() {
				f.chosen.event(e)
			}
		}
		var got []string
		handle := f.to(func(e capture.Event) { got = append(got, short(e)) }, nil)
		for _, e := range filterEvents() {
			handle(e)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for _, o := range []Options{
		{Conns: []string{"x"}},
		{Streams: []string{"-1"}},
		{Streams: []string{"2147483648"}},
		{Types: []string{"HEADER"}},
		{Types: []string{"0x100"}},
		{Types: []string{""}},
	} {
		if _, err := newFilter(&o); err == nil {
			t.Errorf("%q %q %q: no error", o.Conns, o.Streams, o.Types)
		}
	}
}

// Types without a name are chosen by number, as they are shown.
func TestFrameType(t *testing.T) {
	for name, want := range map[string]frame.Type{
		"headers": frame.TypeHeaders, "Window-Update": frame.TypeWindowUpdate, "PRIORITY_UPDATE": frame.TypePriorityUpdate,
		"UNKNOWN_0xbe": 0xbe, "0xBE": 0xbe, "190": 0xbe, "UNKNOWN_0xff": 0xff,
	} {
		if got, err := frameType(name); err != nil || got != want {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
}
