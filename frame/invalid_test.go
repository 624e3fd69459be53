package frame_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

// checkParse parses any header and payload and checks what is promised for every input: no panic,
// one of three kinds of error, stream errors only where a stream can be reset, and parse, append,
// parse being the identity.
func checkParse(t *testing.T, h frame.Header, p []byte) {
	t.Helper()
	f, err := frame.Parse(h, p)
	if err != nil {
		if f != nil {
			t.Fatalf("%v %x: frame %v together with error %v", h, p, f, err)
		}
		checkError(t, h, err)
		return
	}
	wire := f.Append(nil)
	h2, p2, n, err := frame.Split(wire, frame.MaxMaxFrameSize)
	if err != nil || n != len(wire) {
		t.Fatalf("%v %x: Split of what Append wrote: n=%d of %d, err=%v", h, p, n, len(wire), err)
	}
	if h2 != f.FrameHeader() || h2.Type != h.Type || h2.StreamID != h.StreamID || h2.Length != h.Length {
		t.Fatalf("%v %x: Append wrote header %v, FrameHeader() = %v", h, p, h2, f.FrameHeader())
	}
	f2, err := frame.Parse(h2, p2)
	if err != nil {
		t.Fatalf("%v %x: Parse of what Append wrote: %v", h, p, err)
	}
	if diff := cmp.Diff(f, f2, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Fatalf("%v %x: parse, append, parse (-first +second):\n%s", h, p, diff)
	}
	if f.String() != f2.String() {
		t.Fatalf("%v %x: %q and then %q", h, p, f, f2)
	}
}

func checkError(t *testing.T, h frame.Header, err error) {
	t.Helper()
	var ce *frame.ConnError
	var se *frame.StreamError
	switch {
	case errors.As(err, &ce):
		if ce.Initiator != frame.Local || ce.Section == "" || ce.Reason == "" {
			t.Fatalf("%v: connection error without its context: %#v", h, ce)
		}
	case errors.As(err, &se):
		if h.Type != frame.TypePriority && h.Type != frame.TypeWindowUpdate {
			t.Fatalf("%v: stream error %v, where RFC 9113 has none", h, se)
		}
		if se.StreamID != h.StreamID || se.StreamID == 0 {
			t.Fatalf("%v: stream error of stream %d", h, se.StreamID)
		}
		if se.Initiator != frame.Local || se.Section == "" || se.Reason == "" {
			t.Fatalf("%v: stream error without its context: %#v", h, se)
		}
	case errors.Is(err, frame.ErrIgnore):
		if h.Type != frame.TypeAltSvc && h.Type != frame.TypeOrigin {
			t.Fatalf("%v: to be ignored, where no RFC says so", h)
		}
	default:
		t.Fatalf("%v: error of an unknown kind: %v", h, err)
	}
}

const (
	connError   = "connection"
	streamError = "stream"
	ignored     = "ignore"
)

// invalidTests has every rule of RFC 9113 §6 that can be broken within one frame.
var invalidTests = []struct {
	name    string
	typ     frame.Type
	flags   frame.Flags
	stream  uint32
	payload []byte
	kind    string
	code    frame.Code
}{
	{"DATA on stream 0", frame.TypeData, 0, 0, nil, connError, frame.ProtocolError},
	{"DATA padded without Pad Length", frame.TypeData, frame.FlagPadded, 1, nil, connError, frame.FrameSizeError},
	{
		"DATA padding of the payload's length", frame.TypeData, frame.FlagPadded, 1,
		[]byte{1},
		connError, frame.ProtocolError,
	},
	{
		"DATA padding longer than the payload", frame.TypeData, frame.FlagPadded, 1,
		[]byte{255, 0},
		connError, frame.ProtocolError,
	},
	{"HEADERS on stream 0", frame.TypeHeaders, frame.FlagEndHeaders, 0, []byte{0x82}, connError, frame.ProtocolError},
	{"HEADERS padded without Pad Length", frame.TypeHeaders, frame.FlagPadded, 1, nil, connError, frame.FrameSizeError},
	{
		"HEADERS padding of the payload's length", frame.TypeHeaders, frame.FlagPadded, 1,
		[]byte{2, 0x82},
		connError, frame.ProtocolError,
	},
	{
		"HEADERS padding over the priority fields", frame.TypeHeaders, frame.FlagPadded | frame.FlagPriority, 1,
		[]byte{1, 0, 0, 0, 0, 0},
		connError, frame.ProtocolError,
	},
	{
		"HEADERS padding longer than the payload, priority cut", frame.TypeHeaders,
		frame.FlagPadded | frame.FlagPriority, 1,
		[]byte{9, 0},
		connError, frame.ProtocolError,
	},
	{
		"HEADERS padded, priority cut", frame.TypeHeaders, frame.FlagPadded | frame.FlagPriority, 1,
		[]byte{0, 0, 0, 0, 0},
		connError, frame.FrameSizeError,
	},
	{
		"HEADERS priority cut", frame.TypeHeaders, frame.FlagPriority, 1,
		[]byte{0, 0, 0, 0},
		connError, frame.FrameSizeError,
	},
	{"PRIORITY on stream 0", frame.TypePriority, 0, 0, make([]byte, 5), connError, frame.ProtocolError},
	{"PRIORITY of 4 octets", frame.TypePriority, 0, 1, make([]byte, 4), streamError, frame.FrameSizeError},
	{"PRIORITY of 6 octets", frame.TypePriority, 0, 1, make([]byte, 6), streamError, frame.FrameSizeError},
	{"PRIORITY on itself", frame.TypePriority, 0, 1, []byte{0x80, 0, 0, 1, 0}, streamError, frame.ProtocolError},
	{"RST_STREAM on stream 0", frame.TypeRSTStream, 0, 0, make([]byte, 4), connError, frame.ProtocolError},
	{"RST_STREAM of 3 octets", frame.TypeRSTStream, 0, 1, make([]byte, 3), connError, frame.FrameSizeError},
	{"RST_STREAM of 5 octets", frame.TypeRSTStream, 0, 1, make([]byte, 5), connError, frame.FrameSizeError},
	{"SETTINGS on a stream", frame.TypeSettings, 0, 1, nil, connError, frame.ProtocolError},
	{"SETTINGS ACK with payload", frame.TypeSettings, frame.FlagAck, 0, make([]byte, 6), connError, frame.FrameSizeError},
	{"SETTINGS of 7 octets", frame.TypeSettings, 0, 0, make([]byte, 7), connError, frame.FrameSizeError},
	{"SETTINGS of 5 octets", frame.TypeSettings, 0, 0, make([]byte, 5), connError, frame.FrameSizeError},
	{
		"PUSH_PROMISE on stream 0", frame.TypePushPromise, frame.FlagEndHeaders, 0,
		[]byte{0, 0, 0, 2},
		connError, frame.ProtocolError,
	},
	{
		"PUSH_PROMISE of stream 0", frame.TypePushPromise, frame.FlagEndHeaders, 1,
		[]byte{0x80, 0, 0, 0},
		connError, frame.ProtocolError,
	},
	{"PUSH_PROMISE cut", frame.TypePushPromise, frame.FlagEndHeaders, 1, []byte{0, 0, 0}, connError, frame.FrameSizeError},
	{
		"PUSH_PROMISE padded without Pad Length", frame.TypePushPromise, frame.FlagPadded, 1, nil,
		connError, frame.FrameSizeError,
	},
	{
		"PUSH_PROMISE padded, cut", frame.TypePushPromise, frame.FlagPadded, 1,
		[]byte{0, 0, 0, 0},
		connError, frame.FrameSizeError,
	},
	{
		"PUSH_PROMISE padding of the payload's length", frame.TypePushPromise, frame.FlagPadded, 1,
		[]byte{5, 0, 0, 0, 2},
		connError, frame.ProtocolError,
	},
	{
		"PUSH_PROMISE padding over Promised Stream ID", frame.TypePushPromise, frame.FlagPadded, 1,
		[]byte{1, 0, 0, 0, 2},
		connError, frame.ProtocolError,
	},
	{"PING on a stream", frame.TypePing, 0, 1, make([]byte, 8), connError, frame.ProtocolError},
	{"PING of 7 octets", frame.TypePing, 0, 0, make([]byte, 7), connError, frame.FrameSizeError},
	{"PING ACK of 9 octets", frame.TypePing, frame.FlagAck, 0, make([]byte, 9), connError, frame.FrameSizeError},
	{"GOAWAY on a stream", frame.TypeGoAway, 0, 1, make([]byte, 8), connError, frame.ProtocolError},
	{"GOAWAY of 7 octets", frame.TypeGoAway, 0, 0, make([]byte, 7), connError, frame.FrameSizeError},
	{"WINDOW_UPDATE of 3 octets", frame.TypeWindowUpdate, 0, 1, make([]byte, 3), connError, frame.FrameSizeError},
	{"WINDOW_UPDATE of 5 octets", frame.TypeWindowUpdate, 0, 0, make([]byte, 5), connError, frame.FrameSizeError},
	{"WINDOW_UPDATE of 0 on a stream", frame.TypeWindowUpdate, 0, 3, make([]byte, 4), streamError, frame.ProtocolError},
	{
		"WINDOW_UPDATE of 0 with the reserved bit", frame.TypeWindowUpdate, 0, 3,
		[]byte{0x80, 0, 0, 0},
		streamError, frame.ProtocolError,
	},
	{
		"WINDOW_UPDATE of 0 on the connection", frame.TypeWindowUpdate, 0, 0, make([]byte, 4),
		connError, frame.ProtocolError,
	},
	{
		"CONTINUATION on stream 0", frame.TypeContinuation, frame.FlagEndHeaders, 0,
		[]byte{0x82},
		connError, frame.ProtocolError,
	},
	{"ALTSVC without Origin-Len", frame.TypeAltSvc, 0, 1, []byte{0}, connError, frame.FrameSizeError},
	{"ALTSVC shorter than Origin-Len", frame.TypeAltSvc, 0, 0, []byte{0, 2, 'a'}, connError, frame.FrameSizeError},
	{"ALTSVC on stream 0 without origin", frame.TypeAltSvc, 0, 0, []byte{0, 0, 'a'}, ignored, 0},
	{"ALTSVC on a stream with origin", frame.TypeAltSvc, 0, 1, []byte{0, 1, 'a', 'b'}, ignored, 0},
	{"ORIGIN on a stream", frame.TypeOrigin, 0, 1, nil, ignored, 0},
	{"ORIGIN with reserved flag 0x1", frame.TypeOrigin, 0x1, 0, nil, ignored, 0},
	{"ORIGIN with reserved flag 0x2", frame.TypeOrigin, 0x2, 0, nil, ignored, 0},
	{"ORIGIN with reserved flag 0x4", frame.TypeOrigin, 0x4, 0, nil, ignored, 0},
	{"ORIGIN with reserved flag 0x8", frame.TypeOrigin, 0x8, 0, nil, ignored, 0},
	{"ORIGIN with half an Origin-Len", frame.TypeOrigin, 0, 0, []byte{0, 1, 'a', 0}, connError, frame.FrameSizeError},
	{
		"ORIGIN shorter than Origin-Len", frame.TypeOrigin, 0, 0,
		[]byte{0, 1, 'a', 0, 3, 'b', 'c'},
		connError, frame.FrameSizeError,
	},
	{"PRIORITY_UPDATE on a stream", frame.TypePriorityUpdate, 0, 1, []byte{0, 0, 0, 1}, connError, frame.ProtocolError},
	{"PRIORITY_UPDATE of 3 octets", frame.TypePriorityUpdate, 0, 0, []byte{0, 0, 0}, connError, frame.FrameSizeError},
	{
		"PRIORITY_UPDATE for stream 0", frame.TypePriorityUpdate, 0, 0,
		[]byte{0x80, 0, 0, 0, 'u'},
		connError, frame.ProtocolError,
	},
}

func TestParseInvalid(t *testing.T) {
	for _, tt := range invalidTests {
		t.Run(tt.name, func(t *testing.T) {
			h := frame.Header{Length: uint32(len(tt.payload)), Type: tt.typ, Flags: tt.flags, StreamID: tt.stream}
			f, err := frame.Parse(h, tt.payload)
			if err == nil {
				t.Fatalf("no error, but %v", f)
			}
			checkError(t, h, err)
			kind := ignored
			var ce *frame.ConnError
			var se *frame.StreamError
			switch {
			case errors.As(err, &ce):
				kind = connError
			case errors.As(err, &se):
				kind = streamError
			}
			if kind != tt.kind {
				t.Errorf("error %q is of kind %s, want %s", err, kind, tt.kind)
			}
			if tt.kind != ignored && !errors.Is(err, tt.code) {
				t.Errorf("error %q has another code than %v", err, tt.code)
			}
		})
	}
}

// A frame with a stream error is decoded, so that the caller can use its fields.
func TestFrameBesideStreamError(t *testing.T) {
	w, err := frame.ParseWindowUpdate(frame.Header{Length: 4, Type: frame.TypeWindowUpdate, StreamID: 3}, make([]byte, 4))
	if err == nil || w.StreamID != 3 {
		t.Errorf("WINDOW_UPDATE of 0: %v, %v", w, err)
	}
	p, err := frame.ParsePriority(frame.Header{Length: 5, Type: frame.TypePriority, StreamID: 3}, []byte{0, 0, 0, 3, 7})
	if err == nil || p.DependsOn != 3 || p.Weight != 7 {
		t.Errorf("PRIORITY on itself: %v, %v", p, err)
	}
}

// HEADERS that depend on their own stream are parsed, because the field block must be decoded also
// when the stream is reset.
func TestHeadersPriorityCheck(t *testing.T) {
	f := frame.Headers{StreamID: 5, HasPriority: true, Priority: frame.PriorityParam{DependsOn: 5}, Fragment: []byte{0x82}}
	wire := f.Append(nil)
	got, err := frame.ParseHeaders(frame.ParseHeader(wire), wire[frame.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	var se *frame.StreamError
	if err := got.Priority.Check(got.StreamID); !errors.As(err, &se) || se.Code != frame.ProtocolError ||
		se.StreamID != 5 {
		t.Errorf("Check = %v, want a stream error of PROTOCOL_ERROR", err)
	}
	if err := (frame.PriorityParam{DependsOn: 3}).Check(5); err != nil {
		t.Errorf("Check of another stream: %v", err)
	}
}

// Every type, flag and small size, on a stream and on the connection: nothing may panic or break
// its promises. Another implementation has crashed on an unassigned type, for which its table had
// no entry.
func TestParseEverything(t *testing.T) {
	payloads := [][]byte{
		make([]byte, 9),
		{255, 255, 255, 255, 255, 255, 255, 255, 255},
		{1, 0, 0, 1, 0, 0, 1, 0, 0},
	}
	for typ := range 256 {
		some := payloads
		if !frame.Type(typ).Known() {
			some = payloads[:1] // no octet is looked at
		}
		for flags := range 256 {
			for _, id := range []uint32{0, 1} {
				for n := range 10 {
					for _, p := range some {
						h := frame.Header{Length: uint32(n), Type: frame.Type(typ), Flags: frame.Flags(flags), StreamID: id}
						if f, err := frame.Parse(h, p[:n]); err != nil {
							if f != nil {
								t.Fatalf("%v: frame %v together with error %v", h, f, err)
							}
							checkError(t, h, err)
						} else if flags < 64 && n < 7 && typ < 32 {
							checkParse(t, h, p[:n])
						}
					}
				}
			}
		}
	}
}
