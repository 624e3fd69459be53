package frame_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"golang.org/x/net/http2"
)

// Each benchmark has a sub-benchmark for this package and one for x/net's Framer, on the same
// octets and in the same run, so that their ratio means something on any machine. DATA also has a
// plain copy of the same octets.

// sink keeps results alive, so that the compiler cannot drop the work.
var sink struct {
	n    int
	data []byte
}

// benchFrames is how many frames a read benchmark has in its buffer: about what one read of a
// socket returns.
const benchFrames = 32

var (
	benchBlock    = bytes.Repeat([]byte{0x82}, 40) // a field block of usual size
	benchBody     = offPage(bytes.Repeat([]byte("x"), 16<<10))
	benchSettings = []frame.Setting{
		{ID: frame.SettingMaxConcurrentStreams, Value: 250},
		{ID: frame.SettingInitialWindowSize, Value: 1 << 20},
		{ID: frame.SettingMaxFrameSize, Value: 1 << 14},
	}
	benchXSettings = []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: 250},
		{ID: http2.SettingInitialWindowSize, Val: 1 << 20},
		{ID: http2.SettingMaxFrameSize, Val: 1 << 14},
	}
)

// offPage moves b away from the start of a page, where large allocations begin. Nine octets between
// source and destination, modulo 4096, make a processor take the loads of a copy for dependent on
// its own stores, and any copy a fifth slower. Whether addresses lie so is chance, which must not
// favour either side of the comparison.
func offPage(b []byte) []byte {
	const off = 1000
	return append(make([]byte, off, off+len(b)), b...)[off:]
}

// benchRead runs both readers over benchFrames copies of the frame in wire. parse handles one frame
// of ours.
func benchRead(b *testing.B, wire []byte, parse func(h frame.Header, p []byte) int) {
	stream := bytes.Repeat(wire, benchFrames)
	b.Run("sluice", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(wire)))
		var rest []byte
		for b.Loop() {
			if len(rest) == 0 {
				rest = stream
			}
			h, p, n, err := frame.Split(rest, frame.MinMaxFrameSize)
			if err != nil || n == 0 {
				b.Fatal(n, err)
			}
			sink.n += parse(h, p)
			rest = rest[n:]
		}
	})
	b.Run("xnet", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(wire)))
		r := bytes.NewReader(stream)
		fr := http2.NewFramer(io.Discard, r)
		fr.SetReuseFrames()
		for b.Loop() {
			if r.Len() == 0 {
				r.Reset(stream)
			}
			f, err := fr.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			sink.n += int(f.Header().Length)
		}
	})
}

// benchBufferLimit is the length from which a write benchmark starts its buffer over. It leaves
// room for one more frame of any benchmark.
const benchBufferLimit = 48 << 10

// benchWrite runs both writers. Frames are appended to a buffer of 64 KiB, as they are between two
// writes to a socket: sluice appends one, xnet writes one to fr.
func benchWrite(b *testing.B, sluice func(b []byte) []byte, xnet func(fr *http2.Framer) error) {
	buf := make([]byte, 0, 64<<10)
	b.Run("sluice", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(sluice(nil))))
		for b.Loop() {
			if len(buf) > benchBufferLimit {
				buf = buf[:0]
			}
			buf = sluice(buf)
		}
		sink.data = buf
	})
	b.Run("xnet", func(b *testing.B) {
		w := &sliceWriter{b: make([]byte, 0, 64<<10)}
		fr := http2.NewFramer(w, nil)
		b.ReportAllocs()
		b.SetBytes(int64(len(sluice(nil))))
		for b.Loop() {
			if len(w.b) > benchBufferLimit {
				w.b = w.b[:0]
			}
			if err := xnet(fr); err != nil {
				b.Fatal(err)
			}
		}
		sink.data = w.b
	})
}

// A sliceWriter is the cheapest io.Writer that keeps what it gets.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func BenchmarkReadData16K(b *testing.B) {
	wire := frame.Data{StreamID: 1, Data: benchBody}.Append(nil)
	benchRead(b, wire, func(h frame.Header, p []byte) int {
		f, err := frame.ParseData(h, p)
		if err != nil {
			b.Fatal(err)
		}
		return len(f.Data)
	})
	b.Run("copy", func(b *testing.B) { benchCopy(b, wire) })
}

func BenchmarkWriteData16K(b *testing.B) {
	f := frame.Data{StreamID: 1, Data: benchBody}
	benchWrite(b, f.Append, func(fr *http2.Framer) error { return fr.WriteData(1, false, benchBody) })
	b.Run("copy", func(b *testing.B) { benchCopy(b, f.Append(nil)) })
}

// benchCopy is the bound for DATA: the same octets, copied to the same places and nothing else.
func benchCopy(b *testing.B, wire []byte) {
	wire = offPage(wire)
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if len(buf) > benchBufferLimit {
			buf = buf[:0]
		}
		buf = append(buf, wire...)
	}
	sink.data = buf
}

func BenchmarkReadHeaders(b *testing.B) {
	wire := frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: benchBlock}.Append(nil)
	benchRead(b, wire, func(h frame.Header, p []byte) int {
		f, err := frame.ParseHeaders(h, p)
		if err != nil {
			b.Fatal(err)
		}
		return len(f.Fragment)
	})
}

func BenchmarkWriteHeaders(b *testing.B) {
	f := frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: benchBlock}
	benchWrite(b, f.Append, func(fr *http2.Framer) error {
		return fr.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: benchBlock,
		})
	})
}

func BenchmarkReadWindowUpdate(b *testing.B) {
	wire := frame.WindowUpdate{StreamID: 1, Increment: 1 << 20}.Append(nil)
	benchRead(b, wire, func(h frame.Header, p []byte) int {
		f, err := frame.ParseWindowUpdate(h, p)
		if err != nil {
			b.Fatal(err)
		}
		return int(f.Increment)
	})
}

func BenchmarkWriteWindowUpdate(b *testing.B) {
	f := frame.WindowUpdate{StreamID: 1, Increment: 1 << 20}
	benchWrite(b, f.Append, func(fr *http2.Framer) error { return fr.WriteWindowUpdate(1, 1<<20) })
}

func BenchmarkReadSettings(b *testing.B) {
	wire := frame.AppendSettings(nil, benchSettings...)
	benchRead(b, wire, func(h frame.Header, p []byte) int {
		f, err := frame.ParseSettings(h, p)
		if err != nil {
			b.Fatal(err)
		}
		return f.Len()
	})
}

func BenchmarkWriteSettings(b *testing.B) {
	benchWrite(b,
		func(buf []byte) []byte { return frame.AppendSettings(buf, benchSettings...) },
		func(fr *http2.Framer) error { return fr.WriteSettings(benchXSettings...) })
}
