package h2test

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// Raw are octets that are sent as they are.
type Raw string

// Ack acknowledges a SETTINGS frame (RFC 9113 §6.5.3).
var Ack = frame.Settings{Ack: true}

// A Block is a header section in HEADERS or PUSH_PROMISE, and in the CONTINUATION frames that
// belong to it (RFC 9113 §4.3). Its methods return a changed copy.
type Block struct {
	StreamID   uint32
	PromisedID uint32 // the stream that PUSH_PROMISE reserves; 0: the block begins with HEADERS
	Fields     []hpack.HeaderField
	EndStream  bool

	// What a Codec sends beside that, and does not report of what it receives. Frames is reported.
	Frames     int // frames that the block is cut into; 0 is 1
	Padded     bool
	PadLength  uint8
	Priority   *frame.PriorityParam
	Unfinished bool // the last frame is without END_HEADERS
}

// Fields makes fields of lines like "name: value".
func Fields(lines ...string) []hpack.HeaderField {
	var list []hpack.HeaderField
	for _, line := range lines {
		i := strings.Index(line[1:], ": ") + 1 // the name may begin with a colon
		if i == 0 {
			panic("h2test: no field of the form \"name: value\": " + strconv.Quote(line))
		}
		list = append(list, hpack.HeaderField{Name: line[:i], Value: line[i+2:]})
	}
	return list
}

// Field is a field of a name and a value, for those that are not written as a line.
func Field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// Pairs makes fields of names and values by turns.
func Pairs(pairs ...string) []hpack.HeaderField {
	var list []hpack.HeaderField
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, Field(pairs[i], pairs[i+1]))
	}
	return list
}

// Headers has exactly these fields.
func Headers(id uint32, lines ...string) Block { return Block{StreamID: id, Fields: Fields(lines...)} }

// Request is the head of a request to https://example.com, with more fields behind the
// pseudo-header fields.
func Request(id uint32, method, path string, more ...string) Block {
	b := Headers(id, ":method: "+method, ":scheme: https", ":authority: example.com", ":path: "+path)
	return b.With(more...)
}

// Get is a whole request for "/".
func Get(id uint32, more ...string) Block { return Request(id, "GET", "/", more...).End() }

// GetOpen is the head of a request for "/" that goes on with content or trailers, which HTTP
// permits for GET.
func GetOpen(id uint32, more ...string) Block { return Request(id, "GET", "/", more...) }

// Post is the head of a request for "/" with a body.
func Post(id uint32, more ...string) Block { return Request(id, "POST", "/", more...) }

// Response is the head of a response with a body.
func Response(id uint32, status int, more ...string) Block {
	return Headers(id, ":status: "+strconv.Itoa(status)).With(more...)
}

// Trailers is a trailer section, which ends the stream.
func Trailers(id uint32, lines ...string) Block { return Headers(id, lines...).End() }

// Promise is a PUSH_PROMISE on stream id for a request of "/".
func Promise(id, promised uint32, more ...string) Block {
	b := Request(id, "GET", "/", more...)
	b.PromisedID = promised
	return b
}

// With has more fields behind those of b.
func (b Block) With(lines ...string) Block {
	b.Fields = append(b.Fields[:len(b.Fields):len(b.Fields)], Fields(lines...)...)
	return b
}

// WithPairs is With for names and values by turns.
func (b Block) WithPairs(pairs ...string) Block {
	b.Fields = append(b.Fields[:len(b.Fields):len(b.Fields)], Pairs(pairs...)...)
	return b
}

// End has END_STREAM set.
func (b Block) End() Block { b.EndStream = true; return b }

// Cut is sent in n frames.
func (b Block) Cut(n int) Block { b.Frames = n; return b }

// Pad has n octets of padding in its first frame.
func (b Block) Pad(n uint8) Block { b.Padded, b.PadLength = true, n; return b }

// WithPriority has the fields of RFC 7540 §6.2 in its HEADERS frame.
func (b Block) WithPriority(p frame.PriorityParam) Block { b.Priority = &p; return b }

// Open leaves out END_HEADERS.
func (b Block) Open() Block { b.Unfinished = true; return b }

// Get returns the value of the first field of a name, "" where there is none.
func (b Block) Get(name string) string {
	for _, f := range b.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Data is DATA without END_STREAM.
func Data(id uint32, s string) frame.Data { return frame.Data{StreamID: id, Data: []byte(s)} }

// DataEnd is DATA with END_STREAM.
func DataEnd(id uint32, s string) frame.Data {
	return frame.Data{StreamID: id, Data: []byte(s), EndStream: true}
}

// DataOf is DATA of n octets that are zero.
func DataOf(id uint32, n int) frame.Data { return frame.Data{StreamID: id, Data: make([]byte, n)} }

// RST is RST_STREAM.
func RST(id uint32, code frame.Code) frame.RSTStream {
	return frame.RSTStream{StreamID: id, Code: code}
}

// WindowUpdate is WINDOW_UPDATE; stream 0 stands for the connection.
func WindowUpdate(id, increment uint32) frame.WindowUpdate {
	return frame.WindowUpdate{StreamID: id, Increment: increment}
}

// Settings is SETTINGS with these parameters.
func Settings(s ...frame.Setting) frame.Settings { return frame.NewSettings(s...) }

// InitialWindow is the parameter SETTINGS_INITIAL_WINDOW_SIZE.
func InitialWindow(n uint32) frame.Setting {
	return frame.Setting{ID: frame.SettingInitialWindowSize, Value: n}
}

// GoAway is GOAWAY; debug may be empty.
func GoAway(last uint32, code frame.Code, debug string) frame.GoAway {
	return frame.GoAway{LastStreamID: last, Code: code, DebugData: []byte(debug)}
}

// Ping is PING with up to eight octets of data.
func Ping(data string) (f frame.Ping) {
	copy(f.Data[:], data)
	return f
}

// PingAck answers Ping(data).
func PingAck(data string) frame.Ping {
	f := Ping(data)
	f.Ack = true
	return f
}

// Frame is a frame of any type, flags and payload.
func Frame(t frame.Type, flags frame.Flags, id uint32, payload ...byte) frame.Unknown {
	return frame.Unknown{Header: frame.Header{Type: t, Flags: flags, StreamID: id}, Payload: payload}
}
