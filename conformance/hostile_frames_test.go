package conformance

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// A second request on an identifier that was used (CVE-2016-0150), while the first runs and after
// it has ended.
func TestHostileStreamReuse(t *testing.T) {
	for _, path := range []string{"/block", "/"} {
		t.Run(path, func(t *testing.T) {
			ls, g := startGate(t)
			p := dialRaw(t, ls).greet().get(1, path)
			p.mustFlush()
			if path == "/" {
				p.until("the end of the response", func(f frame.Frame) bool {
					return f.FrameHeader().StreamID == 1 && f.FrameHeader().Flags.Has(frame.FlagEndStream)
				})
			}
			p.get(1, path).mustFlush()
			e := p.readUntilQuiet(closedChan())
			switch {
			case e.goAway != nil && (e.goAway.Code == frame.ProtocolError || e.goAway.Code == frame.StreamClosed):
			case e.goAway == nil && e.resets[frame.StreamClosed] > 0:
			default:
				t.Errorf("the server answered with %v and resets %v, want PROTOCOL_ERROR or STREAM_CLOSED", e.goAway, e.resets)
			}
			if n := g.started.Load(); n > 1 {
				t.Errorf("%d requests reached the handler, want 1", n)
			}
			wantAlive(t, ls)
		})
	}
}

// closedChan is a flood that is over.
func closedChan() <-chan int {
	c := make(chan int)
	close(c)
	return c
}

// What follows a connection error in the same write is not looked at (CVE-2026-27135): the first
// error counts.
func TestHostileTerminateThenParse(t *testing.T) {
	fatal := []struct {
		name string
		code frame.Code
		wire []byte
	}{
		{
			"PING of wrong size", frame.FrameSizeError,
			append(frame.Header{Type: frame.TypePing, Length: 7}.Append(nil), make([]byte, 7)...),
		},
		{"DATA on stream 0", frame.ProtocolError, frame.Data{Data: []byte("x")}.Append(nil)},
		{"window overflow", frame.FlowControlError, frame.WindowUpdate{Increment: frame.MaxWindow}.Append(nil)},
		{
			"bad header block", frame.CompressionError,
			frame.Headers{StreamID: 1, EndHeaders: true, Fragment: []byte{0x80}}.Append(nil),
		},
	}
	behind := map[string][]byte{
		"frame of wrong size": append(frame.Header{Type: frame.TypeSettings, Length: 5}.Append(nil), make([]byte, 5)...),
		"oversized frame":     frame.Header{Type: frame.TypeData, Length: frame.MaxMaxFrameSize, StreamID: 1}.Append(nil),
		"lone CONTINUATION":   frame.Continuation{StreamID: 1, EndHeaders: true}.Append(nil),
		"half a frame":        {0, 0, 8, 6},
		"requests": bytes.Repeat(frame.Headers{
			StreamID: 3, EndStream: true, EndHeaders: true,
			Fragment: []byte{0x82, 0x86, 0x84},
		}.Append(nil), 100),
		"a megabyte of zeros": make([]byte, 1<<20),
	}
	ls, g := startGate(t)
	for _, f := range fatal {
		for name, wire := range behind {
			t.Run(f.name+", then "+name, func(t *testing.T) {
				p := dialRaw(t, ls).greet()
				p.out = append(append(p.out, f.wire...), wire...)
				p.flush() // the megabyte may not get through
				e := p.readToEnd()
				if !e.closed() {
					t.Fatalf("the connection goes on: %v", e.err)
				}
				// The kernel resets a connection that is closed with octets unread, and the GOAWAY
				// may be lost.
				if e.goAway == nil {
					t.Errorf("the connection ended (%v) without GOAWAY", e.err)
				} else if e.goAway.Code != f.code {
					t.Errorf("GOAWAY %v (%q), want %v", e.goAway.Code, e.debug, f.code)
				}
			})
		}
	}
	if n := g.started.Load(); n != 0 {
		t.Errorf("%d requests behind a connection error reached the handler", n)
	}
	wantAlive(t, ls)
}

// Every frame type that RFC 9113 does not assign, with every flag and several lengths, on the
// connection, on an open and on an idle stream, is ignored (RFC 9113 §5.5).
func TestHostileUnknownTypes(t *testing.T) {
	ls, _ := startGate(t, func(s *server.Server) { s.Limits.GlitchBurst = -1 })
	p := dialRaw(t, ls).greet()
	p.headers(1, false, p.request("POST", "/block")...)
	for typ := 0x0a; typ <= 0xff; typ++ {
		if frame.Type(typ) == frame.TypePriorityUpdate {
			continue // RFC 9218 §7.1 has rules for it
		}
		for length := range 10 {
			for _, id := range []uint32{0, 1, 7} {
				h := frame.Header{Type: frame.Type(typ), Length: uint32(length), StreamID: id}
				for bit := range 9 { // each flag, and none
					h.Flags = frame.Flags(1 << bit)
					p.out = append(h.Append(p.out), make([]byte, length)...)
				}
			}
		}
		p.mustFlush()
	}
	p.sync()
	p.get(3, "/").mustFlush()
	p.until("a response", func(f frame.Frame) bool {
		h, ok := f.(frame.Headers)
		return ok && h.StreamID == 3 && p.status(h) == "200"
	})
	wantAlive(t, ls)
}

// Header blocks that do not decode: integers that overflow, references to nothing, Huffman codes
// that end wrongly.
func TestHostileBadHeaderBlocks(t *testing.T) {
	tests := []struct {
		name  string
		block []byte
	}{
		{"integer of ten octets", slices.Concat([]byte{0xff}, bytes.Repeat([]byte{0xff}, 9), []byte{0x01})},
		{"integer without end", bytes.Repeat([]byte{0xff}, 40)},
		{"string length beyond 2^62", slices.Concat([]byte{0x00, 0x7f}, bytes.Repeat([]byte{0xff}, 8), []byte{0x3f})},
		{"index 0", []byte{0x80}},
		{"index beyond the table", []byte{0xc6}},
		{"table size beyond the setting", []byte{0x3f, 0xe2, 0x1f}},
		{"table size after a field", []byte{0x82, 0x20}},
		{"Huffman padding of zeros", []byte{0x00, 0x81, 0x18, 0x01, 'v'}},
		{"Huffman padding of eight bits", []byte{0x00, 0x82, 0x1f, 0xff, 0x01, 'v'}},
		{"Huffman EOS", []byte{0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 'v'}},
		{"cut string", []byte{0x00, 0x05, 'a'}},
	}
	ls, g := startGate(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := dialRaw(t, ls).greet()
			block := append(p.codec.Block(p.request("GET", "/")...), tt.block...)
			if tt.name == "table size beyond the setting" {
				block = tt.block // only legal at the beginning of a block
			}
			p.add(frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: block}).mustFlush()
			p.wantEnd(frame.CompressionError)
		})
	}
	if n := g.started.Load(); n != 0 {
		t.Errorf("%d requests with a broken header block reached the handler", n)
	}
	wantAlive(t, ls)
}

// A client that opens with something else than the preface gets no HTTP/2 from a server that takes
// HTTP/2 only.
func TestHostilePreface(t *testing.T) {
	ls, _ := startGate(t, onlyHTTP2)
	for _, hello := range []string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	} {
		p := dialRaw(t, ls)
		p.out = append(p.out, hello...)
		p.mustFlush()
		if e := p.readToEnd(); !e.closed() && !errors.Is(e.err, frame.FrameSizeError) {
			t.Errorf("%q: the connection goes on: %v", hello, e.err)
		}
	}
	// The first frame has to be SETTINGS (RFC 9113 §3.4).
	p := dialRaw(t, ls)
	p.out = append(p.out, frame.Preface...)
	p.add(frame.Ping{}).mustFlush()
	p.wantEnd(frame.ProtocolError)
	wantAlive(t, ls)
}
