package core

import (
	"fmt"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// sentFrames takes the frames that c has sent, as they are.
func (p *peer) sentFrames() (frames []frame.Header, payloads [][]byte) {
	p.tb.Helper()
	p.c.Fill(1 << 30)
	p.takeEvents()
	b := p.c.Output(nil)
	for len(b) > 0 {
		h, payload, n, err := frame.Split(b, frame.MaxMaxFrameSize)
		if n == 0 || err != nil {
			p.tb.Fatalf("%d octets are no frame: %v", len(b), err)
		}
		frames, payloads = append(frames, h), append(payloads, payload)
		b = b[n:]
	}
	return frames, payloads
}

func constantPadding(n int) func(*Config) {
	return func(cfg *Config) { cfg.Padding = func(frame.Header) int { return n } }
}

func TestPadding(t *testing.T) {
	for _, pad := range []int{-5, 0, 1, 100, 255, 1000} {
		t.Run(fmt.Sprint(pad), func(t *testing.T) {
			p := newPeer(t, Server, constantPadding(pad))
			p.send(h2test.Get(1))
			s := p.stream(1)
			before := p.c.SendWindow()
			wantErr(t, "head", p.c.SendHead(s, ResponseHead{Fields: responseFields()}), nil)
			wantErr(t, "content", p.c.Queue(s, Content{Data: make([]byte, 30_000), End: true}), nil)
			frames, payloads := p.sentFrames()
			want := uint8(min(max(pad, 0), 255))
			data := 0
			for i, h := range frames {
				var padded bool
				var got uint8
				switch h.Type {
				case frame.TypeHeaders:
					f, err := frame.ParseHeaders(h, payloads[i])
					wantErr(t, "HEADERS", err, nil)
					padded, got = f.Padded, f.PadLength
					if _, err := p.codec.Fields(f.Fragment); err != nil {
						t.Errorf("header block: %v", err)
					}
				case frame.TypeData:
					f, err := frame.ParseData(h, payloads[i])
					wantErr(t, "DATA", err, nil)
					padded, got = f.Padded, f.PadLength
					data += len(f.Data)
				}
				if padded != (want > 0) || got != want {
					t.Errorf("%v has padding of %d octets (%v), want %d", h, got, padded, want)
				}
				if h.Length > frame.MinMaxFrameSize {
					t.Errorf("%v is longer than the peer takes", h)
				}
			}
			if data != 30_000 {
				t.Errorf("%d octets of content, want 30000", data)
			}
			taken := int64(30_000)
			if want > 0 {
				taken += int64(len(frames)-1) * (1 + int64(want))
			}
			if got := before - p.c.SendWindow(); got != taken {
				t.Errorf("%d octets of window taken, want %d", got, taken)
			}
			if s.State().Closed() != true {
				t.Errorf("the stream is %v", s.State())
			}
		})
	}
}

// Padding is worth less than content, so a small window is never used up by it alone.
func TestPaddingInSmallWindows(t *testing.T) {
	for window := uint32(1); window < 600; window += 7 {
		p := newSilentPeer(t, Server, constantPadding(255))
		p.greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: window})
		p.send(frame.Settings{Ack: true}, h2test.Get(1))
		s := p.stream(1)
		wantErr(t, "head", p.c.SendHead(s, ResponseHead{Fields: responseFields()}), nil)
		wantErr(t, "content", p.c.Queue(s, Content{Data: make([]byte, 3000), End: true}), nil)
		sent := 0
		for i := 0; !s.State().Closed(); i++ {
			if i > 3000 {
				t.Fatalf("a window of %d: no progress", window)
			}
			frames, payloads := p.sentFrames()
			used := uint32(0)
			for i, h := range frames {
				if h.Type != frame.TypeData {
					continue
				}
				f, err := frame.ParseData(h, payloads[i])
				wantErr(t, "DATA", err, nil)
				sent += len(f.Data)
				used += h.Length
			}
			if used == 0 || used > window {
				t.Fatalf("a window of %d: %d octets used", window, used)
			}
			if !s.State().Closed() {
				p.send(frame.WindowUpdate{StreamID: 1, Increment: used})
			}
		}
		if sent != 3000 {
			t.Errorf("a window of %d: %d octets of content, want 3000", window, sent)
		}
	}
}

// A header block that is as long as one frame, or longer, has no room for padding.
func TestPaddingOfLongHeaderBlocks(t *testing.T) {
	for _, n := range []int{16_000, 16_200, 16_300, 16_384, 40_000} {
		p := newPeer(t, Server, constantPadding(255))
		p.send(h2test.Get(1))
		long := make([]byte, n)
		for i := range long {
			long[i] = '|' // 15 bits in Huffman's code, so it is sent as it is
		}
		wantErr(
			t,
			"head",
			p.c.SendHead(p.stream(1), ResponseHead{Fields: responseFields("x: " + string(long)), End: true}),
			nil,
		)
		frames, payloads := p.sentFrames()
		var block []byte
		for i, h := range frames {
			if h.Length > frame.MinMaxFrameSize {
				t.Errorf("%v is longer than the peer takes", h)
			}
			if h.Type == frame.TypeHeaders {
				f, err := frame.ParseHeaders(h, payloads[i])
				wantErr(t, "HEADERS", err, nil)
				if f.Padded && len(frames) > 1 {
					t.Errorf("%v is padded and goes on", h)
				}
				block = append(block, f.Fragment...)
			} else {
				block = append(block, payloads[i]...)
			}
		}
		if got, err := p.codec.Fields(block); err != nil || len(got) != 2 {
			t.Errorf("a field of %d octets: decoded %d fields, %v", n, len(got), err)
		}
	}
}
