package frame_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

// FuzzParse gives every type's parser any payload: no panic, one of the promised errors, and parse,
// append, parse is the identity.
func FuzzParse(f *testing.F) {
	for _, tt := range wireTests {
		h := frame.ParseHeader(tt.wire)
		f.Add(uint8(h.Type), uint8(h.Flags), h.StreamID, tt.wire[frame.HeaderLen:])
	}
	for _, tt := range invalidTests {
		f.Add(uint8(tt.typ), uint8(tt.flags), tt.stream, tt.payload)
	}
	f.Fuzz(func(t *testing.T, typ, flags uint8, id uint32, p []byte) {
		if len(p) > frame.MaxMaxFrameSize {
			return
		}
		h := frame.Header{
			Length: uint32(len(p)), Type: frame.Type(typ), Flags: frame.Flags(flags),
			StreamID: id & frame.MaxStreamID,
		}
		before := bytes.Clone(p)
		checkParse(t, h, p)
		if !bytes.Equal(before, p) {
			t.Fatalf("%v: a parser wrote to its payload", h)
		}
	})
}

// FuzzSplit feeds a stream of octets in pieces: the frames and the error must be those of the
// stream as a whole, and every step must either take octets or ask for more.
func FuzzSplit(f *testing.F) {
	var all []byte
	for _, tt := range wireTests {
		f.Add(tt.wire, []byte{3}, uint16(100))
		all = append(all, tt.wire...)
	}
	f.Add(all, []byte{1, 2, 3, 5, 8, 13}, uint16(frame.MinMaxFrameSize))
	f.Add(all, []byte{9}, uint16(10))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), []byte{4}, uint16(frame.MinMaxFrameSize))
	f.Fuzz(func(t *testing.T, stream, cuts []byte, maxSize uint16) {
		wantFrames, wantRest, wantErr := readFrames(t, stream, nil, uint32(maxSize))
		gotFrames, gotRest, gotErr := readFrames(t, stream, cuts, uint32(maxSize))
		if diff := cmp.Diff(wantFrames, gotFrames); diff != "" {
			t.Fatalf("frames (-whole +pieces):\n%s", diff)
		}
		if (wantErr == nil) != (gotErr == nil) || (wantErr != nil && wantErr.Error() != gotErr.Error()) {
			t.Fatalf("error %v as a whole, %v in pieces", wantErr, gotErr)
		}
		if wantErr == nil && !bytes.Equal(wantRest, gotRest) {
			t.Fatalf("left over: %x as a whole, %x in pieces", wantRest, gotRest)
		}
		var n int
		for _, s := range wantFrames {
			n += len(s)
		}
		if wantErr == nil && n+len(wantRest) != len(stream) {
			t.Fatalf("%d octets in frames and %d left, of %d", n, len(wantRest), len(stream))
		}
	})
}

// readFrames reads stream in pieces of the sizes in cuts, repeated, or in one piece when cuts is
// empty. It returns each frame as its wire form, the octets that remain, and the error that ended
// it.
func readFrames(t *testing.T, stream, cuts []byte, maxSize uint32) (frames []string, rest []byte, err error) {
	t.Helper()
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(cuts) > 0 {
			n = min(n, 1+int(cuts[i%len(cuts)]))
		}
		rest, stream = append(rest, stream[:n]...), stream[n:]
		for {
			h, p, n, err := frame.Split(rest, maxSize)
			if err != nil {
				var ce *frame.ConnError
				if !errors.As(err, &ce) || ce.Code != frame.FrameSizeError || h.Length <= maxSize {
					t.Fatalf("Split: %v for %v", err, h)
				}
				return frames, rest, err
			}
			if n == 0 {
				if len(rest) >= frame.HeaderLen+int(h.Length) && len(rest) >= frame.HeaderLen {
					t.Fatalf("Split asks for more than the %d octets of %v", len(rest), h)
				}
				break
			}
			if n != frame.HeaderLen+len(p) || int(h.Length) != len(p) {
				t.Fatalf("Split: n=%d, %v, payload of %d octets", n, h, len(p))
			}
			frames = append(frames, string(rest[:n]))
			rest = rest[n:]
		}
	}
	return frames, rest, nil
}
