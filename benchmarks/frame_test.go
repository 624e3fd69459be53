package benchmarks

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluice-go/sluice/frame"
)

// perRead is how many frames the readers find in their buffer at once, as
// after one read of a busy socket.
const perRead = 64

// A codec is one frame type: read and written by this project, and written by
// x/net (which reads all types alike).
type codec struct {
	name  string
	read  func(h frame.Header, p []byte) error
	write func(b []byte) []byte
	xnet  func(fr *http2.Framer) error
}

var (
	body     = bytes.Repeat([]byte("x"), 16<<10)
	block    = bytes.Repeat([]byte{0x82}, 48)
	settings = []frame.Setting{
		{ID: frame.SettingMaxConcurrentStreams, Value: 250},
		{ID: frame.SettingInitialWindowSize, Value: 1 << 20},
		{ID: frame.SettingMaxHeaderListSize, Value: 64 << 10},
	}
	xnetSettings = []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: 250},
		{ID: http2.SettingInitialWindowSize, Val: 1 << 20},
		{ID: http2.SettingMaxHeaderListSize, Val: 64 << 10},
	}
)

var codecs = []codec{
	{
		name:  "DATA-16KiB",
		read:  func(h frame.Header, p []byte) error { _, err := frame.ParseData(h, p); return err },
		write: frame.Data{StreamID: 1, Data: body}.Append,
		xnet:  func(fr *http2.Framer) error { return fr.WriteData(1, false, body) },
	},
	{
		name:  "HEADERS",
		read:  func(h frame.Header, p []byte) error { _, err := frame.ParseHeaders(h, p); return err },
		write: frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: block}.Append,
		xnet: func(fr *http2.Framer) error {
			return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: block})
		},
	},
	{
		name:  "WINDOW_UPDATE",
		read:  func(h frame.Header, p []byte) error { _, err := frame.ParseWindowUpdate(h, p); return err },
		write: frame.WindowUpdate{StreamID: 1, Increment: 1 << 15}.Append,
		xnet:  func(fr *http2.Framer) error { return fr.WriteWindowUpdate(1, 1<<15) },
	},
	{
		name: "SETTINGS",
		read: func(h frame.Header, p []byte) error {
			f, err := frame.ParseSettings(h, p)
			for i := range f.Len() {
				_ = f.At(i)
			}
			return err
		},
		write: func(b []byte) []byte { return frame.AppendSettings(b, settings...) },
		xnet:  func(fr *http2.Framer) error { return fr.WriteSettings(xnetSettings...) },
	},
}

func BenchmarkFrameRead(b *testing.B) {
	for _, c := range codecs {
		one := c.write(nil)
		wire := bytes.Repeat(one, perRead)
		b.Run(c.name+"/sluice", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(one)))
			var rest []byte
			for b.Loop() {
				if len(rest) == 0 {
					rest = wire
				}
				h, p, n, err := frame.Split(rest, frame.MinMaxFrameSize)
				if err == nil {
					err = c.read(h, p)
				}
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(one)))
			r := bytes.NewReader(wire)
			fr := http2.NewFramer(io.Discard, r)
			fr.SetReuseFrames()
			for b.Loop() {
				if r.Len() == 0 {
					r.Reset(wire)
				}
				if _, err := fr.ReadFrame(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFrameWrite(b *testing.B) {
	for _, c := range codecs {
		one := c.write(nil)
		limit := perRead * len(one)
		b.Run(c.name+"/sluice", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(one)))
			out := make([]byte, 0, limit+len(one))
			for b.Loop() {
				if len(out) >= limit {
					out = out[:0]
				}
				out = c.write(out)
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(one)))
			w := &buffer{b: make([]byte, 0, limit+len(one)), limit: limit}
			fr := http2.NewFramer(w, nil)
			for b.Loop() {
				if err := c.xnet(fr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFrameCopy is the bound for DATA: the octets of the same frame copied
// to the same places, and nothing else.
func BenchmarkFrameCopy(b *testing.B) {
	one := codecs[0].write(nil)
	limit := perRead * len(one)
	b.Run(codecs[0].name, func(b *testing.B) {
		out := make([]byte, 0, limit+len(one))
		b.ReportAllocs()
		b.SetBytes(int64(len(one)))
		for b.Loop() {
			if len(out) >= limit {
				out = out[:0]
			}
			out = append(out, one...)
		}
	})
}

// buffer keeps what it is given, and starts over when it is full.
type buffer struct {
	b     []byte
	limit int
}

func (w *buffer) Write(p []byte) (int, error) {
	if len(w.b) >= w.limit {
		w.b = w.b[:0]
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// Both codecs write the same octets, so that the benchmarks compare the same
// work.
func TestCodecsAgree(t *testing.T) {
	for _, c := range codecs {
		var theirs bytes.Buffer
		if err := c.xnet(http2.NewFramer(&theirs, nil)); err != nil {
			t.Fatal(c.name, err)
		}
		ours := c.write(nil)
		if !bytes.Equal(ours, theirs.Bytes()) {
			t.Errorf("%s: %s\nx/net: %s", c.name, hex(ours), hex(theirs.Bytes()))
		}
		h, p, n, err := frame.Split(ours, frame.MinMaxFrameSize)
		if err != nil || n != len(ours) {
			t.Fatalf("%s: %d of %d octets, %v", c.name, n, len(ours), err)
		}
		if err := c.read(h, p); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func hex(b []byte) string { return fmt.Sprintf("%.40x", b[:min(len(b), 40)]) }
