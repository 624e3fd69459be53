package frame_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

func TestHeaderRoundTrip(t *testing.T) {
	for _, h := range []frame.Header{
		{},
		{Length: 1, Type: 2, Flags: 3, StreamID: 4},
		{Length: frame.MaxMaxFrameSize, Type: math.MaxUint8, Flags: math.MaxUint8, StreamID: frame.MaxStreamID},
		{Length: 0x010203, Type: 0x04, Flags: 0x05, StreamID: 0x06070809},
	} {
		wire := h.Append([]byte("x"))[1:]
		if len(wire) != frame.HeaderLen || frame.ParseHeader(wire) != h {
			t.Errorf("%v: Append wrote %x, which reads as %v", h, wire, frame.ParseHeader(wire))
		}
		put := make([]byte, frame.HeaderLen+1)
		put[frame.HeaderLen] = 0xaa
		h.Put(put)
		if !bytes.Equal(put[:frame.HeaderLen], wire) || put[frame.HeaderLen] != 0xaa {
			t.Errorf("%v: Put wrote %x, want %x and nothing behind", h, put, wire)
		}
	}
}

func TestSplitSequence(t *testing.T) {
	var stream []byte
	for _, tt := range wireTests {
		stream = append(stream, tt.wire...)
	}
	rest := stream
	for _, tt := range wireTests {
		h, p, n, err := frame.Split(rest, frame.MinMaxFrameSize)
		if err != nil || n != len(tt.wire) {
			t.Fatalf("%s: n=%d err=%v, want n=%d", tt.name, n, err, len(tt.wire))
		}
		if h != frame.ParseHeader(tt.wire) || !bytes.Equal(p, tt.wire[frame.HeaderLen:]) {
			t.Fatalf("%s: got %v %x", tt.name, h, p)
		}
		rest = rest[n:]
	}
	if len(rest) != 0 {
		t.Errorf("%d octets left", len(rest))
	}
}

// A reader that keeps the octets that Split has not taken, and appends more, sees the same frames
// however the octets are divided.
func TestSplitPieces(t *testing.T) {
	var stream []byte
	for _, tt := range wireTests {
		stream = append(stream, tt.wire...)
	}
	want := splitAll(t, stream, len(stream))
	if len(want) != len(wireTests) {
		t.Fatalf("%d frames, want %d", len(want), len(wireTests))
	}
	for size := 1; size < 40; size++ {
		if diff := cmp.Diff(want, splitAll(t, stream, size)); diff != "" {
			t.Fatalf("in pieces of %d (-whole +pieces):\n%s", size, diff)
		}
	}
}

// splitAll feeds stream in pieces of size octets and returns the frames as text.
func splitAll(t *testing.T, stream []byte, size int) []string {
	t.Helper()
	var frames []string
	var buf []byte
	for len(stream) > 0 {
		n := min(size, len(stream))
		buf, stream = append(buf, stream[:n]...), stream[n:]
		for {
			h, p, n, err := frame.Split(buf, frame.MinMaxFrameSize)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			frames = append(frames, h.String()+" "+string(p))
			buf = buf[n:]
		}
	}
	return frames
}

func TestSplitTooLong(t *testing.T) {
	for _, max := range []uint32{0, frame.MinMaxFrameSize, frame.MaxMaxFrameSize - 1} {
		h := frame.Header{Length: max + 1, Type: frame.TypeData, StreamID: 1}
		b := h.Append(nil)
		got, p, n, err := frame.Split(b, max)
		var ce *frame.ConnError
		if !errors.As(err, &ce) || ce.Code != frame.FrameSizeError || p != nil || n != 0 {
			t.Errorf("%d octets with a limit of %d: n=%d err=%v", h.Length, max, n, err)
		}
		if got != h {
			t.Errorf("header %v, want %v", got, h)
		}
		if _, _, n, err := frame.Split(b[:frame.HeaderLen-1], max); n != 0 || err != nil {
			t.Errorf("half a header: n=%d err=%v", n, err)
		}
		h.Length--
		if _, _, _, err := frame.Split(h.Append(nil), max); err != nil {
			t.Errorf("%d octets with a limit of %d: %v", h.Length, max, err)
		}
	}
}

func TestSplitNamesHTTP1(t *testing.T) {
	_, _, _, err := frame.Split([]byte("HTTP/1.1 400 Bad Request\r\n"), frame.MinMaxFrameSize)
	if err == nil || !strings.Contains(err.Error(), "HTTP/1") {
		t.Errorf("error %v does not say that the peer speaks HTTP/1", err)
	}
}

func TestHeaderString(t *testing.T) {
	h := frame.Header{Length: 5, Type: frame.TypeData, Flags: 0x43, StreamID: 1}
	if got, want := h.String(), "DATA stream=1 flags=END_STREAM|0x42 len=5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlagString(t *testing.T) {
	for _, tt := range []struct {
		typ   frame.Type
		flags frame.Flags
		want  string
	}{
		{frame.TypeData, 0, ""},
		{frame.TypeData, 0xff, "END_STREAM|PADDED|0xf6"},
		{frame.TypeHeaders, 0xff, "END_STREAM|END_HEADERS|PADDED|PRIORITY|0xd2"},
		{frame.TypePriority, 0x1, "0x1"},
		{frame.TypeRSTStream, 0x1, "0x1"},
		{frame.TypeSettings, 0x1, "ACK"},
		{frame.TypePushPromise, 0xd, "END_HEADERS|PADDED|0x1"},
		{frame.TypePing, 0x3, "ACK|0x2"},
		{frame.TypeGoAway, 0x80, "0x80"},
		{frame.TypeWindowUpdate, 0, ""},
		{frame.TypeContinuation, 0x4, "END_HEADERS"},
		{0x77, 0x5, "0x5"},
	} {
		if got := frame.FlagString(tt.typ, tt.flags); got != tt.want {
			t.Errorf("FlagString(%v, %#x) = %q, want %q", tt.typ, uint8(tt.flags), got, tt.want)
		}
	}
}

func TestTypeString(t *testing.T) {
	want := map[frame.Type]string{
		0x0: "DATA", 0x1: "HEADERS", 0x2: "PRIORITY", 0x3: "RST_STREAM", 0x4: "SETTINGS", 0x5: "PUSH_PROMISE",
		0x6: "PING", 0x7: "GOAWAY", 0x8: "WINDOW_UPDATE", 0x9: "CONTINUATION", 0xa: "ALTSVC", 0xb: "UNKNOWN_0xb",
		0xc: "ORIGIN", 0xd: "UNKNOWN_0xd", 0xf: "UNKNOWN_0xf", 0x10: "PRIORITY_UPDATE", 0x11: "UNKNOWN_0x11",
		0xff: "UNKNOWN_0xff",
	}
	for typ, name := range want {
		if got := typ.String(); got != name {
			t.Errorf("Type(%#x) = %q, want %q", uint8(typ), got, name)
		}
		if typ.Known() == strings.HasPrefix(name, "UNKNOWN") {
			t.Errorf("Type(%#x).Known() = %v", uint8(typ), typ.Known())
		}
	}
}

// A frame without a wire form is a fault of the calling program, and must not be written as another
// frame.
func TestAppendPanics(t *testing.T) {
	long := make([]byte, frame.MaxMaxFrameSize+1)
	for name, f := range map[string]func(){
		"length":            func() { frame.Header{Length: frame.MaxMaxFrameSize + 1}.Append(nil) },
		"length wraps":      func() { frame.Header{Length: math.MaxUint32}.Append(nil) },
		"stream":            func() { frame.Header{StreamID: frame.MaxStreamID + 1}.Append(nil) },
		"Put length":        func() { frame.Header{Length: frame.MaxMaxFrameSize + 1}.Put(make([]byte, frame.HeaderLen)) },
		"Put stream":        func() { frame.Header{StreamID: frame.MaxStreamID + 1}.Put(make([]byte, frame.HeaderLen)) },
		"DATA":              func() { frame.Data{StreamID: 1, Data: long}.Append(nil) },
		"DATA with padding": func() { frame.Data{StreamID: 1, Data: long[:frame.MaxMaxFrameSize], Padded: true}.Append(nil) },
		"HEADERS":           func() { frame.Headers{StreamID: 1, Fragment: long}.Append(nil) },
		"RST_STREAM":        func() { frame.RSTStream{StreamID: 1 << 31}.Append(nil) },
		"WINDOW_UPDATE":     func() { frame.WindowUpdate{StreamID: 1 << 31, Increment: 1}.Append(nil) },
		"Increment":         func() { frame.WindowUpdate{Increment: 1 << 31}.Append(nil) },
		"Increment, stream": func() { frame.WindowUpdate{StreamID: 1, Increment: math.MaxUint32}.Append(nil) },
		"LastStreamID":      func() { frame.GoAway{LastStreamID: 1 << 31}.Append(nil) },
		"DependsOn": func() {
			frame.Priority{StreamID: 1, PriorityParam: frame.PriorityParam{DependsOn: 1 << 31}}.Append(nil)
		},
		"DependsOn, HEADERS": func() {
			frame.Headers{StreamID: 1, HasPriority: true, Priority: frame.PriorityParam{DependsOn: 1<<31 + 3}}.Append(nil)
		},
		"PromisedID":           func() { frame.PushPromise{StreamID: 1, PromisedID: 1<<31 | 2}.Append(nil) },
		"PrioritizedID":        func() { frame.PriorityUpdate{PrioritizedID: 1 << 31}.Append(nil) },
		"stream of PRIORITY":   func() { frame.Priority{StreamID: 1 << 31}.Append(nil) },
		"stream of HEADERS":    func() { frame.Headers{StreamID: 1 << 31}.Append(nil) },
		"stream of promise":    func() { frame.PushPromise{StreamID: 1 << 31, PromisedID: 2}.Append(nil) },
		"stream, CONTINUATION": func() { frame.Continuation{StreamID: 1 << 31}.Append(nil) },
		"stream of ALTSVC":     func() { frame.AltSvc{StreamID: 1 << 31}.Append(nil) },
		"stream of DATA":       func() { frame.Data{StreamID: 1 << 31}.Append(nil) },
		"stream of unknown":    func() { frame.Unknown{Header: frame.Header{StreamID: 1 << 31}}.Append(nil) },
		"GOAWAY":               func() { frame.GoAway{DebugData: long}.Append(nil) },
		"PUSH_PROMISE":         func() { frame.PushPromise{StreamID: 1, PromisedID: 2, Fragment: long}.Append(nil) },
		"CONTINUATION":         func() { frame.Continuation{StreamID: 1, Fragment: long}.Append(nil) },
		"unknown":              func() { frame.Unknown{Payload: long}.Append(nil) },
		"PRIORITY_UPDATE":      func() { frame.PriorityUpdate{PrioritizedID: 1, Value: long}.Append(nil) },
		"SETTINGS":             func() { frame.AppendSettings(nil, make([]frame.Setting, frame.MaxMaxFrameSize/6+1)...) },
		"ALTSVC":               func() { frame.AltSvc{Origin: long[:1<<16]}.Append(nil) },
		"ORIGIN":               func() { frame.AppendOrigin(nil, string(long[:1<<16])) },
		"NewOrigin":            func() { frame.NewOrigin(string(long[:1<<16])) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG: ") {
					t.Errorf("recovered %q, want a panic that starts with BUG", s)
				}
			}()
			f()
		})
	}
}

// The largest frame can be written and parsed.
func TestLargestFrame(t *testing.T) {
	f := frame.Data{StreamID: 1, Padded: true, PadLength: 255, Data: make([]byte, frame.MaxMaxFrameSize-256)}
	wire := f.Append(nil)
	if len(wire) != frame.HeaderLen+frame.MaxMaxFrameSize {
		t.Fatalf("%d octets", len(wire))
	}
	h, p, n, err := frame.Split(wire, frame.MaxMaxFrameSize)
	if err != nil || n != len(wire) {
		t.Fatal(n, err)
	}
	got, err := frame.ParseData(h, p)
	if err != nil || len(got.Data) != len(f.Data) || got.PadLength != 255 {
		t.Errorf("%v, %v", got, err)
	}
	if got.FlowLen() != frame.MaxMaxFrameSize {
		t.Errorf("FlowLen() = %d: padding counts for flow control", got.FlowLen())
	}
}
