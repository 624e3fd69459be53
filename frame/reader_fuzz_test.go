package frame_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

// FuzzReader reads any octets, cut anywhere. The frames and the error must be those of the octets
// as a whole, no frame is a CONTINUATION or lacks END_HEADERS, the bounds hold, and errors are
// those that are promised.
func FuzzReader(f *testing.F) {
	var all []byte
	for _, tt := range wireTests {
		f.Add(tt.wire, []byte{3}, uint16(100), uint16(100))
		all = append(all, tt.wire...)
	}
	f.Add(all, []byte{1, 2, 3, 5, 8, 13}, uint16(frame.MinMaxFrameSize), uint16(1000))
	split := frame.Headers{
		StreamID: 1, EndHeaders: true, Padded: true, PadLength: 3, Fragment: block(100),
	}.AppendSplit(nil, 20)
	f.Add(frame.Ping{}.Append(split), []byte{0}, uint16(20), uint16(100))
	f.Add(split[:60], []byte{0}, uint16(20), uint16(90))
	f.Add(frame.Ping{}.Append(split[:29]), []byte{0}, uint16(20), uint16(90))
	f.Fuzz(func(t *testing.T, stream, cuts []byte, maxSize, maxBlock uint16) {
		want, wantErr := readAll(t, stream, nil, maxSize, maxBlock)
		got, gotErr := readAll(t, stream, cuts, maxSize, maxBlock)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("frames (-whole +pieces):\n%s", diff)
		}
		if wantErr.Error() != gotErr.Error() {
			t.Fatalf("error %v as a whole, %v in pieces", wantErr, gotErr)
		}
	})
}

// readAll returns what a Reader reads, and the error that ends it.
func readAll(t *testing.T, stream, cuts []byte, maxSize, maxBlock uint16) (frames []string, err error) {
	t.Helper()
	r := frame.NewReader(&cutReader{b: stream, cuts: cuts})
	r.MaxSize, r.MaxBlock = uint32(maxSize), int(maxBlock)
	if maxSize == 0 {
		maxSize = frame.MinMaxFrameSize
	}
	if maxBlock == 0 {
		r.MaxBlock = 1
	}
	for {
		h, p, err := r.Next()
		if err != nil {
			var ce *frame.ConnError
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.As(err, &ce) {
				t.Fatalf("error %v", err)
			}
			return frames, err
		}
		if int(h.Length) != len(p) || h.Type == frame.TypeContinuation {
			t.Fatalf("%v with %d octets", h, len(p))
		}
		switch h.Type {
		case frame.TypeHeaders, frame.TypePushPromise:
			if !h.Flags.Has(frame.FlagEndHeaders) || len(p) > r.MaxBlock+256+5 {
				t.Fatalf("%v with %d octets, bound %d", h, len(p), r.MaxBlock)
			}
			checkParse(t, h, p)
		default:
			if h.Length > uint32(maxSize) {
				t.Fatalf("%v is longer than %d", h, maxSize)
			}
		}
		frames = append(frames, h.String()+string(p))
	}
}

// cutReader returns b in pieces of the sizes in cuts, repeated.
type cutReader struct {
	b, cuts []byte
	i       int
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := len(r.b)
	if len(r.cuts) > 0 {
		n = int(r.cuts[r.i%len(r.cuts)]) + 1
		r.i++
	}
	n = copy(p[:min(n, len(p))], r.b)
	r.b = r.b[n:]
	return n, nil
}
