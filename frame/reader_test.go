package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

// block is a header block of n octets, no two of which in a row are the same.
func block(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// A Reader returns a block that AppendSplit has split as one frame with the same block, whatever
// the sizes.
func TestReaderJoinsWhatAppendSplitSplits(t *testing.T) {
	prio := frame.PriorityParam{DependsOn: 3, Exclusive: true, Weight: 9}
	for _, n := range []int{0, 1, 9, 10, 11, 100, 5000} {
		for _, maxSize := range []uint32{20, 100, frame.MinMaxFrameSize} {
			for _, want := range []frame.Frame{
				frame.Headers{StreamID: 1, EndHeaders: true, Fragment: block(n)},
				frame.Headers{
					StreamID: 1, EndHeaders: true, EndStream: true, HasPriority: true, Priority: prio, Fragment: block(n),
				},
				frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: block(n)},
			} {
				padded := want
				var wire []byte
				switch f := want.(type) {
				case frame.Headers:
					f.Padded, f.PadLength = true, 8
					wire, padded = f.AppendSplit(nil, maxSize), f
				case frame.PushPromise:
					f.Padded, f.PadLength = true, 8
					wire, padded = f.AppendSplit(nil, maxSize), f
				}
				wire = frame.Ping{}.Append(wire)
				r := frame.NewReader(iotest.OneByteReader(bytes.NewReader(wire)))
				r.MaxSize, r.MaxContinuations = maxSize, 5000
				h, p, err := r.Next()
				if err != nil {
					t.Fatalf("%v in frames of %d: %v", want, maxSize, err)
				}
				got, err := frame.Parse(h, p)
				if err != nil {
					t.Fatalf("%v in frames of %d: %v", want, maxSize, err)
				}
				if int(h.Length) != len(p) {
					t.Errorf("%v comes with %d octets", h, len(p))
				}
				if padded.FrameHeader().Length <= maxSize { // it was not split
					want = padded
				}
				if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
					t.Errorf("in frames of %d (-want +got):\n%s", maxSize, diff)
				}
				if h, _, err := r.Next(); err != nil || h.Type != frame.TypePing {
					t.Errorf("behind the block: %v, %v", h, err)
				}
				if _, _, err := r.Next(); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
		}
	}
}

// Frames that AppendSplit writes are no longer than they may be, and only the last has END_HEADERS.
func TestAppendSplitSizes(t *testing.T) {
	for _, end := range []bool{true, false} {
		wire := frame.Headers{StreamID: 5, EndHeaders: end, Fragment: block(250)}.AppendSplit([]byte("x"), 100)
		if wire[0] != 'x' {
			t.Fatal("what was there before is lost")
		}
		var got []string
		for wire = wire[1:]; len(wire) > 0; {
			h, _, n, err := frame.Split(wire, 100)
			if err != nil || n == 0 {
				t.Fatalf("n=%d, %v", n, err)
			}
			got, wire = append(got, h.String()), wire[n:]
		}
		want := []string{"HEADERS stream=5 len=100", "CONTINUATION stream=5 len=100", "CONTINUATION stream=5 len=50"}
		if end {
			want[2] = "CONTINUATION stream=5 flags=END_HEADERS len=50"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("there is no room for the block, and no panic")
		}
	}()
	frame.PushPromise{StreamID: 1, PromisedID: 2, Fragment: []byte{1}}.AppendSplit(nil, 4)
}

// A fault of the peer is a *ConnError, which later calls return again.
func TestReaderFaults(t *testing.T) {
	open := frame.Headers{StreamID: 1, Fragment: []byte{0x82}}.Append(nil)
	conts := func(n int, f frame.Continuation) []byte {
		b := bytes.Clone(open)
		for range n {
			b = f.Append(b)
		}
		return b
	}
	for _, tt := range []struct {
		name    string
		wire    []byte
		bounds  frame.Reader
		code    frame.Code
		section string
	}{
		{
			name: "another frame in a block", wire: frame.Ping{}.Append(open),
			code: frame.ProtocolError, section: "RFC 9113 §6.10",
		},
		{
			name: "an unknown frame in a block", wire: frame.Unknown{Header: frame.Header{Type: 0x77, StreamID: 1}}.Append(open),
			code: frame.ProtocolError, section: "RFC 9113 §6.10",
		},
		{
			name: "another stream's CONTINUATION", wire: frame.Continuation{StreamID: 3, EndHeaders: true}.Append(open),
			code: frame.ProtocolError, section: "RFC 9113 §6.10",
		},
		{
			name: "CONTINUATION without HEADERS", wire: frame.Continuation{StreamID: 1, EndHeaders: true}.Append(nil),
			code: frame.ProtocolError, section: "RFC 9113 §6.10",
		},
		{
			name: "CONTINUATION behind a whole block",
			wire: frame.Continuation{StreamID: 1}.Append(frame.Headers{StreamID: 1, EndHeaders: true}.Append(nil)),
			code: frame.ProtocolError, section: "RFC 9113 §6.10",
		},
		{
			name: "HEADERS on stream 0", wire: frame.Headers{EndHeaders: true}.Append(nil),
			code: frame.ProtocolError, section: "RFC 9113 §6.2",
		},
		{
			name: "more padding than payload",
			wire: append(frame.Header{Length: 1, Type: frame.TypeHeaders, Flags: frame.FlagPadded, StreamID: 1}.Append(nil), 9),
			code: frame.ProtocolError, section: "RFC 9113 §6.2",
		},
		{
			name: "a frame of 101", wire: frame.Data{StreamID: 1, Data: block(101)}.Append(nil),
			bounds: frame.Reader{MaxSize: 100},
			code:   frame.FrameSizeError, section: "RFC 9113 §4.2",
		},
		{
			name: "a block of 101", wire: conts(2, frame.Continuation{StreamID: 1, Fragment: block(50)}),
			bounds: frame.Reader{MaxBlock: 100},
			code:   frame.EnhanceYourCalm, section: "RFC 9113 §10.5.1",
		},
		{
			name:   "a block of 101 in one frame",
			wire:   frame.Headers{StreamID: 1, EndHeaders: true, Fragment: block(101)}.Append(nil),
			bounds: frame.Reader{MaxBlock: 100}, code: frame.EnhanceYourCalm, section: "RFC 9113 §10.5.1",
		},
		{
			name: "66 small CONTINUATIONs", wire: conts(70, frame.Continuation{StreamID: 1, Fragment: []byte{0x82}}),
			code: frame.EnhanceYourCalm, section: "RFC 9113 §6.10",
		},
		{
			name: "33 empty CONTINUATIONs", wire: conts(33, frame.Continuation{StreamID: 1}),
			code: frame.EnhanceYourCalm, section: "RFC 9113 §6.10",
		},
		{
			name: "any CONTINUATION", wire: conts(1, frame.Continuation{StreamID: 1}),
			bounds: frame.Reader{MaxContinuations: -1},
			code:   frame.EnhanceYourCalm, section: "RFC 9113 §6.10",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &tt.bounds
			r.Reset(bytes.NewReader(tt.wire))
			var err error
			for err == nil {
				_, _, err = r.Next()
			}
			var ce *frame.ConnError
			if !errors.As(err, &ce) || ce.Code != tt.code || ce.Section != tt.section {
				t.Errorf("got %v, want %v of %s", err, tt.code, tt.section)
			}
			if _, _, again := r.Next(); again != err {
				t.Errorf("and then %v", again)
			}
		})
	}
}

// Blocks within the bounds pass: 64 small CONTINUATION frames, and as many large ones as the block
// has room for.
func TestReaderBoundsAreReached(t *testing.T) {
	small := frame.Headers{StreamID: 1}.Append(nil)
	for i := range 64 {
		small = frame.Continuation{StreamID: 1, EndHeaders: i == 63, Fragment: []byte{0x82}}.Append(small)
	}
	large := frame.Headers{StreamID: 1, EndHeaders: true, Fragment: block(1 << 20)}.AppendSplit(nil, 100)
	for _, wire := range [][]byte{small, large} {
		if h, _, err := frame.NewReader(bytes.NewReader(wire)).Next(); err != nil {
			t.Errorf("%v, %v", h, err)
		}
	}
}

// An end within a frame or a block is io.ErrUnexpectedEOF, and after another error of the io.Reader
// no octets are lost.
func TestReaderEnds(t *testing.T) {
	wire := frame.Headers{StreamID: 1, Fragment: []byte{0x82}}.Append(nil)
	one := len(wire)
	wire = frame.Continuation{StreamID: 1, EndHeaders: true, Fragment: []byte{0x84}}.Append(wire)
	for n := range len(wire) + 1 {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		r := frame.NewReader(bytes.NewReader(wire[:n]))
		_, _, err := r.Next()
		if n == len(wire) {
			if err != nil {
				t.Errorf("a whole block: %v", err)
			}
			continue
		}
		if err != want {
			t.Errorf("%d octets (the first frame has %d): %v, want %v", n, one, err, want)
		}
	}
	wrapped := fmt.Errorf("proxy: %w", io.EOF)
	if _, _, err := frame.NewReader(iotest.ErrReader(wrapped)).Next(); err != wrapped {
		t.Errorf("an error that wraps io.EOF comes as %v", err)
	}

	late := &lateReader{b: wire}
	r := frame.NewReader(late)
	timeouts := 0
	for {
		h, p, err := r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			timeouts++
			continue
		}
		if err != nil || !bytes.Equal(p, []byte{0x82, 0x84}) {
			t.Errorf("after %d timeouts: %v %x, %v", timeouts, h, p, err)
		}
		break
	}
	if timeouts != len(wire)-1 { // the last one is still to come
		t.Errorf("%d timeouts", timeouts)
	}
	if _, _, err := frame.NewReader(emptyReader{}).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that brings nothing: %v", err)
	}
}

// lateReader returns an octet together with a timeout, then (0, nil), and so on.
type lateReader struct {
	b []byte
	n int
}

func (r *lateReader) Read(p []byte) (int, error) {
	if r.n++; r.n%2 == 0 || len(r.b) == 0 {
		return 0, nil
	}
	n := copy(p[:1], r.b)
	r.b = r.b[n:]
	return n, os.ErrDeadlineExceeded
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// A server reads the preface first, and gets an error at once when a client uses another protocol.
// Buffered returns the octets after the last frame.
func TestReaderPreface(t *testing.T) {
	wire := frame.AppendSettings([]byte(frame.Preface))
	r := frame.NewReader(io.MultiReader(bytes.NewReader(wire[:10]), bytes.NewReader(append(wire[10:], "rest"...))))
	if err := r.ReadPreface(); err != nil {
		t.Fatal(err)
	}
	if h, _, err := r.Next(); err != nil || h.Type != frame.TypeSettings {
		t.Fatalf("%v, %v", h, err)
	}
	if got := string(r.Buffered()); got != "rest" {
		t.Errorf("Buffered() = %q", got)
	}
	r.Reset(io.MultiReader(strings.NewReader("GET"), iotest.ErrReader(errors.New("it reads on"))))
	var ce *frame.ConnError
	if err := r.ReadPreface(); !errors.As(err, &ce) || ce.Code != frame.ProtocolError {
		t.Errorf("HTTP/1.1: %v", err)
	}
	r.Reset(strings.NewReader(frame.Preface[:20]))
	if err := r.ReadPreface(); err != io.ErrUnexpectedEOF {
		t.Errorf("half a preface: %v", err)
	}
}

// A Reader that has read frames of these sizes before allocates nothing, and its buffer grows only
// with the octets that come.
func TestReaderMemory(t *testing.T) {
	var wire []byte
	for _, tt := range wireTests {
		switch frame.ParseHeader(tt.wire).Type {
		case frame.TypeContinuation, frame.TypeHeaders, frame.TypePushPromise:
			// Some of them have only a part of a header block.
		default:
			wire = append(wire, tt.wire...)
		}
	}
	wire = frame.Data{StreamID: 1, Data: block(16 << 10)}.Append(wire)
	wire = frame.Headers{StreamID: 1, EndHeaders: true, Fragment: block(50000)}.AppendSplit(wire, frame.MinMaxFrameSize)
	src := bytes.NewReader(nil)
	r := frame.NewReader(nil)
	read := func() {
		src.Reset(wire)
		r.Reset(src)
		for {
			if _, _, err := r.Next(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := testing.AllocsPerRun(10, read); n != 0 {
		t.Errorf("%v allocations", n)
	}

	promise := frame.Header{Length: frame.MaxMaxFrameSize}.Append(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r = frame.NewReader(bytes.NewReader(promise))
	r.MaxSize = frame.MaxMaxFrameSize
	if _, _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("a header that promises 16 MiB takes %d octets", after.TotalAlloc-before.TotalAlloc)
	}
}
