package frame_test

import "github.com/sluice-go/sluice/frame"

// wireTests has the octets of every frame type, with and without each of its optional parts.
var wireTests = []struct {
	name  string
	frame frame.Frame
	wire  []byte
	str   string
}{{
	name:  "DATA",
	frame: frame.Data{StreamID: 1, Data: []byte("hello")},
	wire: []byte{
		0, 0, 5, // Length
		0x0,        // Type
		0x0,        // Flags
		0, 0, 0, 1, // Stream Identifier
		'h', 'e', 'l', 'l', 'o', // Data
	},
	str: "DATA stream=1 len=5",
}, {
	name:  "DATA empty with END_STREAM",
	frame: frame.Data{StreamID: 0x7fffffff, EndStream: true},
	wire: []byte{
		0, 0, 0, // Length
		0x0,                    // Type
		0x1,                    // Flags: END_STREAM
		0x7f, 0xff, 0xff, 0xff, // Stream Identifier
	},
	str: "DATA stream=2147483647 flags=END_STREAM len=0",
}, {
	name:  "DATA padded",
	frame: frame.Data{StreamID: 3, EndStream: true, Padded: true, PadLength: 2, Data: []byte("hi")},
	wire: []byte{
		0, 0, 5, // Length
		0x0,        // Type
		0x9,        // Flags: PADDED, END_STREAM
		0, 0, 0, 3, // Stream Identifier
		2,        // Pad Length
		'h', 'i', // Data
		0, 0, // Padding
	},
	str: "DATA stream=3 flags=END_STREAM|PADDED len=5 pad=2",
}, {
	name:  "DATA with Pad Length 0",
	frame: frame.Data{StreamID: 3, Padded: true, Data: []byte("hi")},
	wire: []byte{
		0, 0, 3, // Length
		0x0,        // Type
		0x8,        // Flags: PADDED
		0, 0, 0, 3, // Stream Identifier
		0,        // Pad Length
		'h', 'i', // Data
	},
	str: "DATA stream=3 flags=PADDED len=3 pad=0",
}, {
	name:  "DATA that is all padding",
	frame: frame.Data{StreamID: 3, Padded: true, PadLength: 3},
	wire: []byte{
		0, 0, 4, // Length
		0x0,        // Type
		0x8,        // Flags: PADDED
		0, 0, 0, 3, // Stream Identifier
		3,       // Pad Length
		0, 0, 0, // Padding
	},
	str: "DATA stream=3 flags=PADDED len=4 pad=3",
}, {
	name:  "HEADERS",
	frame: frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: []byte{0x82, 0x84}},
	wire: []byte{
		0, 0, 2, // Length
		0x1,        // Type
		0x5,        // Flags: END_HEADERS, END_STREAM
		0, 0, 0, 1, // Stream Identifier
		0x82, 0x84, // Field Block Fragment
	},
	str: "HEADERS stream=1 flags=END_STREAM|END_HEADERS len=2",
}, {
	name:  "HEADERS without fragment",
	frame: frame.Headers{StreamID: 1},
	wire: []byte{
		0, 0, 0, // Length
		0x1,        // Type
		0x0,        // Flags
		0, 0, 0, 1, // Stream Identifier
	},
	str: "HEADERS stream=1 len=0",
}, {
	name: "HEADERS with priority",
	frame: frame.Headers{
		StreamID: 5, EndHeaders: true, HasPriority: true,
		Priority: frame.PriorityParam{DependsOn: 3, Exclusive: true, Weight: 255},
		Fragment: []byte{0x82},
	},
	wire: []byte{
		0, 0, 6, // Length
		0x1,        // Type
		0x24,       // Flags: PRIORITY, END_HEADERS
		0, 0, 0, 5, // Stream Identifier
		0x80, 0, 0, 3, // Exclusive, Stream Dependency
		255,  // Weight
		0x82, // Field Block Fragment
	},
	str: "HEADERS stream=5 flags=END_HEADERS|PRIORITY len=6 depends=3 weight=256 exclusive",
}, {
	name: "HEADERS padded with priority",
	frame: frame.Headers{
		StreamID: 5, EndStream: true, EndHeaders: true, Padded: true, PadLength: 1, HasPriority: true,
		Priority: frame.PriorityParam{DependsOn: 0x7fffffff}, Fragment: []byte{0x82},
	},
	wire: []byte{
		0, 0, 8, // Length
		0x1,        // Type
		0x2d,       // Flags: PRIORITY, PADDED, END_HEADERS, END_STREAM
		0, 0, 0, 5, // Stream Identifier
		1,                      // Pad Length
		0x7f, 0xff, 0xff, 0xff, // Stream Dependency
		0,    // Weight
		0x82, // Field Block Fragment
		0,    // Padding
	},
	str: "HEADERS stream=5 flags=END_STREAM|END_HEADERS|PADDED|PRIORITY len=8 pad=1 depends=2147483647 weight=1",
}, {
	name:  "HEADERS padded",
	frame: frame.Headers{StreamID: 5, Padded: true, PadLength: 2, Fragment: []byte{0x82}},
	wire: []byte{
		0, 0, 4, // Length
		0x1,        // Type
		0x8,        // Flags: PADDED
		0, 0, 0, 5, // Stream Identifier
		2,    // Pad Length
		0x82, // Field Block Fragment
		0, 0, // Padding
	},
	str: "HEADERS stream=5 flags=PADDED len=4 pad=2",
}, {
	name:  "PRIORITY",
	frame: frame.Priority{StreamID: 7, PriorityParam: frame.PriorityParam{DependsOn: 5, Weight: 15}},
	wire: []byte{
		0, 0, 5, // Length
		0x2,        // Type
		0x0,        // Flags
		0, 0, 0, 7, // Stream Identifier
		0, 0, 0, 5, // Exclusive, Stream Dependency
		15, // Weight
	},
	str: "PRIORITY stream=7 len=5 depends=5 weight=16",
}, {
	name:  "RST_STREAM",
	frame: frame.RSTStream{StreamID: 7, Code: frame.Cancel},
	wire: []byte{
		0, 0, 4, // Length
		0x3,        // Type
		0x0,        // Flags
		0, 0, 0, 7, // Stream Identifier
		0, 0, 0, 8, // Error Code
	},
	str: "RST_STREAM stream=7 len=4 code=CANCEL",
}, {
	name:  "SETTINGS empty",
	frame: frame.Settings{},
	wire: []byte{
		0, 0, 0, // Length
		0x4,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
	},
	str: "SETTINGS stream=0 len=0",
}, {
	name: "SETTINGS",
	frame: frame.NewSettings(
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0x7fffffff},
		frame.Setting{ID: 0xf00d, Value: 1},
	),
	wire: []byte{
		0, 0, 12, // Length
		0x4,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 4, // Identifier
		0x7f, 0xff, 0xff, 0xff, // Value
		0xf0, 0x0d, // Identifier
		0, 0, 0, 1, // Value
	},
	str: "SETTINGS stream=0 len=12 SETTINGS_INITIAL_WINDOW_SIZE=2147483647 SETTINGS_UNKNOWN_0xf00d=1",
}, {
	name:  "SETTINGS with ACK",
	frame: frame.Settings{Ack: true},
	wire: []byte{
		0, 0, 0, // Length
		0x4,        // Type
		0x1,        // Flags: ACK
		0, 0, 0, 0, // Stream Identifier
	},
	str: "SETTINGS stream=0 flags=ACK len=0",
}, {
	name:  "PUSH_PROMISE",
	frame: frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: []byte{0x82}},
	wire: []byte{
		0, 0, 5, // Length
		0x5,        // Type
		0x4,        // Flags: END_HEADERS
		0, 0, 0, 1, // Stream Identifier
		0, 0, 0, 2, // Promised Stream ID
		0x82, // Field Block Fragment
	},
	str: "PUSH_PROMISE stream=1 flags=END_HEADERS len=5 promised=2",
}, {
	name:  "PUSH_PROMISE padded",
	frame: frame.PushPromise{StreamID: 1, PromisedID: 2, Padded: true, PadLength: 1, Fragment: []byte{0x82}},
	wire: []byte{
		0, 0, 7, // Length
		0x5,        // Type
		0x8,        // Flags: PADDED
		0, 0, 0, 1, // Stream Identifier
		1,          // Pad Length
		0, 0, 0, 2, // Promised Stream ID
		0x82, // Field Block Fragment
		0,    // Padding
	},
	str: "PUSH_PROMISE stream=1 flags=PADDED len=7 promised=2 pad=1",
}, {
	name:  "PING",
	frame: frame.Ping{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
	wire: []byte{
		0, 0, 8, // Length
		0x6,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		1, 2, 3, 4, 5, 6, 7, 8, // Opaque Data
	},
	str: "PING stream=0 len=8 data=0102030405060708",
}, {
	name:  "PING with ACK",
	frame: frame.Ping{Ack: true},
	wire: []byte{
		0, 0, 8, // Length
		0x6,        // Type
		0x1,        // Flags: ACK
		0, 0, 0, 0, // Stream Identifier
		0, 0, 0, 0, 0, 0, 0, 0, // Opaque Data
	},
	str: "PING stream=0 flags=ACK len=8 data=0000000000000000",
}, {
	name:  "GOAWAY",
	frame: frame.GoAway{LastStreamID: 0x7fffffff, Code: frame.NoError},
	wire: []byte{
		0, 0, 8, // Length
		0x7,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0x7f, 0xff, 0xff, 0xff, // Last-Stream-ID
		0, 0, 0, 0, // Error Code
	},
	str: "GOAWAY stream=0 len=8 last=2147483647 code=NO_ERROR",
}, {
	name:  "GOAWAY with debug data",
	frame: frame.GoAway{LastStreamID: 5, Code: frame.EnhanceYourCalm, DebugData: []byte("no\n")},
	wire: []byte{
		0, 0, 11, // Length
		0x7,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 0, 0, 5, // Last-Stream-ID
		0, 0, 0, 0xb, // Error Code
		'n', 'o', '\n', // Additional Debug Data
	},
	str: `GOAWAY stream=0 len=11 last=5 code=ENHANCE_YOUR_CALM debug="no\n"`,
}, {
	name:  "WINDOW_UPDATE",
	frame: frame.WindowUpdate{StreamID: 9, Increment: 0x7fffffff},
	wire: []byte{
		0, 0, 4, // Length
		0x8,        // Type
		0x0,        // Flags
		0, 0, 0, 9, // Stream Identifier
		0x7f, 0xff, 0xff, 0xff, // Window Size Increment
	},
	str: "WINDOW_UPDATE stream=9 len=4 increment=2147483647",
}, {
	name:  "WINDOW_UPDATE of the connection",
	frame: frame.WindowUpdate{Increment: 1},
	wire: []byte{
		0, 0, 4, // Length
		0x8,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 0, 0, 1, // Window Size Increment
	},
	str: "WINDOW_UPDATE stream=0 len=4 increment=1",
}, {
	name:  "CONTINUATION",
	frame: frame.Continuation{StreamID: 1, Fragment: []byte{0x82}},
	wire: []byte{
		0, 0, 1, // Length
		0x9,        // Type
		0x0,        // Flags
		0, 0, 0, 1, // Stream Identifier
		0x82, // Field Block Fragment
	},
	str: "CONTINUATION stream=1 len=1",
}, {
	name:  "CONTINUATION with END_HEADERS",
	frame: frame.Continuation{StreamID: 1, EndHeaders: true},
	wire: []byte{
		0, 0, 0, // Length
		0x9,        // Type
		0x4,        // Flags: END_HEADERS
		0, 0, 0, 1, // Stream Identifier
	},
	str: "CONTINUATION stream=1 flags=END_HEADERS len=0",
}, {
	name:  "ALTSVC of an origin",
	frame: frame.AltSvc{Origin: []byte("https://a"), Value: []byte("clear")},
	wire: []byte{
		0, 0, 16, // Length
		0xa,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 9, // Origin-Len
		'h', 't', 't', 'p', 's', ':', '/', '/', 'a', // Origin
		'c', 'l', 'e', 'a', 'r', // Alt-Svc-Field-Value
	},
	str: `ALTSVC stream=0 len=16 origin="https://a" value="clear"`,
}, {
	name:  "ALTSVC of a stream",
	frame: frame.AltSvc{StreamID: 1, Value: []byte("clear")},
	wire: []byte{
		0, 0, 7, // Length
		0xa,        // Type
		0x0,        // Flags
		0, 0, 0, 1, // Stream Identifier
		0, 0, // Origin-Len
		'c', 'l', 'e', 'a', 'r', // Alt-Svc-Field-Value
	},
	str: `ALTSVC stream=1 len=7 value="clear"`,
}, {
	name:  "ORIGIN empty",
	frame: frame.Origin{},
	wire: []byte{
		0, 0, 0, // Length
		0xc,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
	},
	str: "ORIGIN stream=0 len=0",
}, {
	name:  "ORIGIN",
	frame: frame.NewOrigin("https://a", "", "b"),
	wire: []byte{
		0, 0, 16, // Length
		0xc,        // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 9, // Origin-Len
		'h', 't', 't', 'p', 's', ':', '/', '/', 'a', // ASCII-Origin
		0, 0, // Origin-Len
		0, 1, // Origin-Len
		'b', // ASCII-Origin
	},
	str: `ORIGIN stream=0 len=16 "https://a" "" "b"`,
}, {
	name:  "PRIORITY_UPDATE",
	frame: frame.PriorityUpdate{PrioritizedID: 3, Value: []byte("u=1")},
	wire: []byte{
		0, 0, 7, // Length
		0x10,       // Type
		0x0,        // Flags
		0, 0, 0, 0, // Stream Identifier
		0, 0, 0, 3, // Prioritized Stream ID
		'u', '=', '1', // Priority Field Value
	},
	str: `PRIORITY_UPDATE stream=0 len=7 prioritized=3 value="u=1"`,
}, {
	name: "unknown type",
	frame: frame.Unknown{
		Header:  frame.Header{Length: 2, Type: 0xbe, Flags: 0xff, StreamID: 4},
		Payload: []byte{1, 2},
	},
	wire: []byte{
		0, 0, 2, // Length
		0xbe,       // Type
		0xff,       // Flags
		0, 0, 0, 4, // Stream Identifier
		1, 2, // payload
	},
	str: "UNKNOWN_0xbe stream=4 flags=0xff len=2",
}}
