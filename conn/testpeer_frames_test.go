package conn

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// The frames that a testPeer sends and wants. Everything that can be sent is a frame.Frame, raw
// octets or head.

// raw are octets as they are.
type raw string

// head is a header block in one HEADERS frame, or in as many CONTINUATION frames as it takes on
// arrival.
type head struct {
	id     uint32
	fields []header.Field
	end    bool
	push   uint32 // the stream that is promised: the block begins with PUSH_PROMISE
}

// request is the head of a request on stream id.
func request(id uint32, method, path string) head {
	return head{id: id, fields: []header.Field{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: path},
	}}
}

// get is a whole request.
func get(id uint32) head { return request(id, "GET", "/").endStream() }

// post is the head of a request with a body.
func post(id uint32) head { return request(id, "POST", "/") }

// response is the head of a response on stream id.
func response(id uint32, status int) head {
	return head{id: id, fields: status2(status)}
}

// trailers is a trailer section, given as pairs.
func trailers(id uint32, pairs ...string) head {
	return head{id: id, fields: pairFields(pairs...), end: true}
}

func (h head) with(pairs ...string) head {
	h.fields = append(h.fields[:len(h.fields):len(h.fields)], pairFields(pairs...)...)
	return h
}

func (h head) endStream() head {
	h.end = true
	return h
}

func pairFields(pairs ...string) (fields []header.Field) {
	for i := 0; i+1 < len(pairs); i += 2 {
		fields = append(fields, header.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return fields
}

// status2 are the fields of a response without anything but its status.
func status2(code int, pairs ...string) []header.Field {
	return append([]header.Field{{Name: ":status", Value: strconv.Itoa(code)}}, pairFields(pairs...)...)
}

func data(id uint32, s string) frame.Data { return frame.Data{StreamID: id, Data: []byte(s)} }
func dataEnd(id uint32, s string) frame.Data {
	return frame.Data{StreamID: id, Data: []byte(s), EndStream: true}
}

func rstStream(id uint32, code frame.Code) frame.RSTStream {
	return frame.RSTStream{StreamID: id, Code: code}
}

func windowUpdate(id, inc uint32) frame.WindowUpdate {
	return frame.WindowUpdate{StreamID: id, Increment: inc}
}

func settings(s ...frame.Setting) frame.Settings { return frame.NewSettings(s...) }

func initialWindow(n uint32) frame.Setting {
	return frame.Setting{ID: frame.SettingInitialWindowSize, Value: n}
}

var settingsAck = frame.Settings{Ack: true}

func goAway(last uint32, code frame.Code, debug string) frame.GoAway {
	return frame.GoAway{LastStreamID: last, Code: code, DebugData: []byte(debug)}
}

func ping(s string) (f frame.Ping) {
	copy(f.Data[:], s)
	return f
}

func pingAck(s string) frame.Ping {
	f := ping(s)
	f.Ack = true
	return f
}

// encode appends the wire form of f to b.
func (p *testPeer) encode(b []byte, f any) []byte {
	switch f := f.(type) {
	case raw:
		return append(b, f...)
	case head:
		return frame.Headers{StreamID: f.id, EndStream: f.end, EndHeaders: true, Fragment: p.block(f.fields)}.Append(b)
	case frame.Frame:
		return f.Append(b)
	default:
		panic(fmt.Sprintf("BUG: %T cannot be sent", f))
	}
}

// block encodes a header block with the peer's HPACK state.
func (p *testPeer) block(fields []header.Field) []byte {
	p.encBuf.Reset()
	for _, f := range fields {
		if err := p.enc.WriteField(f); err != nil {
			p.t.Fatal(err)
		}
	}
	return bytes.Clone(p.encBuf.Bytes())
}

// describe writes a frame in one line, with everything in it that matters.
func describe(f any) string {
	switch f := f.(type) {
	case head:
		var b strings.Builder
		if f.push != 0 {
			fmt.Fprintf(&b, "PUSH_PROMISE %d on %d", f.push, f.id)
		} else {
			fmt.Fprintf(&b, "HEADERS %d", f.id)
		}
		if f.end {
			b.WriteString(" END_STREAM")
		}
		for _, f := range f.fields {
			fmt.Fprintf(&b, " [%s: %s]", f.Name, brief([]byte(f.Value)))
		}
		return b.String()
	case frame.Data:
		end := ""
		if f.EndStream {
			end = " END_STREAM"
		}
		return fmt.Sprintf("DATA %d%s %s", f.StreamID, end, brief(f.Data))
	case frame.Ping:
		return fmt.Sprintf("PING ack=%v %q", f.Ack, f.Data[:])
	case fmt.Stringer:
		return f.String()
	default:
		return fmt.Sprintf("%T %v", f, f)
	}
}

// brief shows octets, or what identifies them where they are many.
func brief(p []byte) string {
	if len(p) <= 64 {
		return strconv.Quote(string(p))
	}
	return fmt.Sprintf("%d octets, crc %08x", len(p), crc32.ChecksumIEEE(p))
}

// next takes one frame, or a header block with its CONTINUATION frames, off what the peer has read.
func (p *testPeer) next() (any, bool) {
	h, payload, n, err := frame.Split(p.in, frame.MaxMaxFrameSize)
	if err != nil {
		p.t.Fatal(err)
	}
	if n == 0 {
		if len(p.in) > 0 {
			p.t.Fatalf("%d octets of a frame that does not end: %q", len(p.in), p.in[:min(len(p.in), 40)])
		}
		return nil, false
	}
	p.in = p.in[n:]
	f, err := frame.Parse(h, payload)
	if err != nil {
		p.t.Fatalf("the connection sent a frame that cannot be parsed: %v", err)
	}
	var block []byte
	var hf head
	switch f := f.(type) {
	case frame.Headers:
		block, hf = bytes.Clone(f.Fragment), head{id: f.StreamID, end: f.EndStream}
	case frame.PushPromise:
		block, hf = bytes.Clone(f.Fragment), head{id: f.StreamID, push: f.PromisedID}
	default:
		return f, true
	}
	for !h.Flags.Has(frame.FlagEndHeaders) {
		h, payload, n, err = frame.Split(p.in, frame.MaxMaxFrameSize)
		if err != nil || n == 0 || h.Type != frame.TypeContinuation || h.StreamID != hf.id {
			p.t.Fatalf("header block is followed by %v, %d octets, error %v", h, n, err)
		}
		p.in = p.in[n:]
		block = append(block, payload...)
	}
	if hf.fields, err = p.dec.DecodeFull(block); err != nil {
		p.t.Fatalf("header block: %v", err)
	}
	return hf, true
}

func newPeerHPACK(p *testPeer) {
	p.enc = hpack.NewEncoder(&p.encBuf)
	p.dec = hpack.NewDecoder(4096, nil)
}
