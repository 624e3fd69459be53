package frame_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

func TestAppend(t *testing.T) {
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.frame.Append(nil); !bytes.Equal(got, tt.wire) {
				t.Errorf("Append:\n got %x\nwant %x", got, tt.wire)
			}
			got := tt.frame.Append([]byte("before"))
			if want := append([]byte("before"), tt.wire...); !bytes.Equal(got, want) {
				t.Errorf("Append behind other octets:\n got %x\nwant %x", got, want)
			}
			if got, want := tt.frame.FrameHeader(), frame.ParseHeader(tt.wire); got != want {
				t.Errorf("FrameHeader() = %v, want %v", got, want)
			}
			if got := tt.frame.String(); got != tt.str {
				t.Errorf("String():\n got %s\nwant %s", got, tt.str)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseOne(t, tt.wire)
			if diff := cmp.Diff(tt.frame, got, cmp.Comparer(bytes.Equal)); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

// The reserved bits are unset when sending and ignored when receiving (RFC 9113 §4.1).
func TestReservedBitsIgnored(t *testing.T) {
	at := map[frame.Type]int{ // where the payload has a reserved bit
		frame.TypePushPromise: 0, frame.TypeGoAway: 0, frame.TypeWindowUpdate: 0, frame.TypePriorityUpdate: 0,
	}
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			wire := bytes.Clone(tt.wire)
			wire[5] |= 0x80
			h := frame.ParseHeader(wire)
			if i, ok := at[h.Type]; ok {
				if h.Flags.Has(frame.FlagPadded) && h.Type == frame.TypePushPromise {
					i++
				}
				wire[frame.HeaderLen+i] |= 0x80
			}
			f := parseOne(t, wire)
			if got := f.Append(nil); !bytes.Equal(got, tt.wire) {
				t.Errorf("parsed and appended:\n got %x\nwant %x", got, tt.wire)
			}
		})
	}
}

// Flags that a type does not define are ignored on receipt and not sent (RFC 9113 §4.1).
func TestUnusedFlagsIgnored(t *testing.T) {
	used := map[frame.Type]frame.Flags{
		frame.TypeData:         frame.FlagEndStream | frame.FlagPadded,
		frame.TypeHeaders:      frame.FlagEndStream | frame.FlagEndHeaders | frame.FlagPadded | frame.FlagPriority,
		frame.TypeSettings:     frame.FlagAck,
		frame.TypePushPromise:  frame.FlagEndHeaders | frame.FlagPadded,
		frame.TypePing:         frame.FlagAck,
		frame.TypeContinuation: frame.FlagEndHeaders,
		frame.TypeOrigin:       0xf, // reserved: such a frame is ignored as a whole (RFC 8336 §2.1)
	}
	for _, tt := range wireTests {
		if h := frame.ParseHeader(tt.wire); h.Type.Known() {
			t.Run(tt.name, func(t *testing.T) {
				wire := bytes.Clone(tt.wire)
				wire[4] |= byte(^used[h.Type])
				if got := parseOne(t, wire).Append(nil); !bytes.Equal(got, tt.wire) {
					t.Errorf("parsed and appended:\n got %x\nwant %x", got, tt.wire)
				}
			})
		}
	}
}

// A shorter prefix of a frame is either no frame yet, or, when the header's length is cut as well,
// an error or another frame that survives a round trip.
func TestEveryShorterPrefix(t *testing.T) {
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.wire {
				h, p, n, err := frame.Split(tt.wire[:i], frame.MinMaxFrameSize)
				if n != 0 || p != nil || err != nil {
					t.Fatalf("Split of %d octets: n=%d payload=%x err=%v", i, n, p, err)
				}
				if i >= frame.HeaderLen && h != frame.ParseHeader(tt.wire) {
					t.Fatalf("Split of %d octets: header %v", i, h)
				}
				if i >= frame.HeaderLen {
					h.Length = uint32(i - frame.HeaderLen)
					checkParse(t, h, tt.wire[frame.HeaderLen:i])
				}
			}
		})
	}
}

// The capacity of a view ends with the frame: an append to one must not overwrite what follows it
// in the buffer.
func TestViewsHaveNoSpareCapacity(t *testing.T) {
	for _, tt := range wireTests {
		t.Run(tt.name, func(t *testing.T) {
			buf := append(bytes.Clone(tt.wire), "behind"...)
			h, p, n, err := frame.Split(buf, frame.MinMaxFrameSize)
			if err != nil || n != len(tt.wire) {
				t.Fatal(n, err)
			}
			f, err := frame.Parse(h, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range views(f) {
				if cap(v) != len(v) {
					t.Errorf("view of %d octets has a capacity of %d", len(v), cap(v))
				}
			}
		})
	}
}

// views returns the byte slices in f that are views into the payload.
func views(f frame.Frame) [][]byte {
	switch f := f.(type) {
	case frame.Data:
		return [][]byte{f.Data}
	case frame.Headers:
		return [][]byte{f.Fragment}
	case frame.PushPromise:
		return [][]byte{f.Fragment}
	case frame.Continuation:
		return [][]byte{f.Fragment}
	case frame.GoAway:
		return [][]byte{f.DebugData}
	case frame.AltSvc:
		return [][]byte{f.Origin, f.Value}
	case frame.Origin:
		var vs [][]byte
		for o := range f.All() {
			vs = append(vs, o)
		}
		return vs
	case frame.PriorityUpdate:
		return [][]byte{f.Value}
	case frame.Unknown:
		return [][]byte{f.Payload}
	default:
		return nil
	}
}

// parseOne parses wire, which is one complete frame.
func parseOne(t *testing.T, wire []byte) frame.Frame {
	t.Helper()
	h, p, n, err := frame.Split(wire, frame.MinMaxFrameSize)
	if err != nil || n != len(wire) {
		t.Fatalf("Split: n=%d err=%v, want n=%d", n, err, len(wire))
	}
	f, err := frame.Parse(h, p)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}
