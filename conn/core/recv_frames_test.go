package core

import (
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// frameTest is one rule on a frame: what is sent, and what comes of it.
type frameTest struct {
	name string
	role Role
	open bool  // stream 1 is open
	send []any // the frames
	want string
}

func goAway(code frame.Code, section string) string { return "GOAWAY " + code.String() + " " + section }

func protocolError(section string) string { return goAway(frame.ProtocolError, "RFC 9113 §"+section) }

func sizeError(section string) string { return goAway(frame.FrameSizeError, "RFC 9113 §"+section) }

const resetProtocol = "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1"

// The rules of RFC 9113 §6 on frames of streams.
var streamFrameTests = []frameTest{
	{"6.1 DATA", Server, true, []any{h2test.Data(1, "12")}, "data 1 2"},
	{"6.1 DATA on stream 0", Server, true, []any{h2test.Frame(frame.TypeData, 0, 0, 1)}, protocolError("6.1")},
	{"6.1 padded", Server, true, []any{h2test.Frame(frame.TypeData, 8, 1, 2, 'x', 0, 0)}, "data 1 1"},
	{"6.1 only padding", Server, true, []any{h2test.Frame(frame.TypeData, 8, 1, 2, 0, 0)}, "data 1 0"},
	{"6.1 padding of 0", Server, true, []any{h2test.Frame(frame.TypeData, 9, 1, 0, 'x')}, "data 1 1 end"},
	{
		"6.1 padding as long as the payload",
		Server,
		true,
		[]any{h2test.Frame(frame.TypeData, 8, 1, 3, 0, 0)},
		protocolError("6.1"),
	},
	{"6.1 no room for Pad Length", Server, true, []any{h2test.Frame(frame.TypeData, 8, 1)}, sizeError("6.1")},

	{"6.2 HEADERS on stream 0", Server, false, []any{h2test.GetOpen(0)}, protocolError("6.2")},
	{"6.2 padded, with priority", Server, false, []any{
		h2test.GetOpen(1).Pad(7).WithPriority(frame.PriorityParam{DependsOn: 3, Weight: 9}),
	}, "headers 1 GET /"},
	{
		"6.2 padding longer than the payload", Server, false,
		[]any{h2test.Frame(frame.TypeHeaders, 0xc, 1, 9, 0x82)},
		protocolError("6.2"),
	},
	{
		"6.2 no room for priority",
		Server,
		false,
		[]any{h2test.Frame(frame.TypeHeaders, 0x24, 1, 0, 0, 0, 0)},
		sizeError("6.2"),
	},
	{
		"6.2 self-dependency", Server, false,
		[]any{h2test.GetOpen(1).WithPriority(frame.PriorityParam{DependsOn: 1})},
		goAway(frame.ProtocolError, "RFC 7540 §5.3.1"),
	},

	{
		"6.3 PRIORITY on stream 0",
		Server,
		false,
		[]any{h2test.Frame(frame.TypePriority, 0, 0, 0, 0, 0, 0, 0)},
		protocolError("6.3"),
	},
	{"6.3 PRIORITY", Server, true, []any{frame.Priority{StreamID: 1}, frame.Priority{StreamID: 99}}, ""},
	{
		"6.3 wrong size", Server, true,
		[]any{h2test.Frame(frame.TypePriority, 0, 1, 0, 0, 0, 0)},
		"RST_STREAM 1 FRAME_SIZE_ERROR; reset 1 local FRAME_SIZE_ERROR; closed 1",
	},
	{
		"6.3 wrong size on an idle stream",
		Server,
		true,
		[]any{h2test.Frame(frame.TypePriority, 0, 3, 0, 0, 0, 0)},
		sizeError("6.3"),
	},
	{
		"6.3 self-dependency", Server, true,
		[]any{frame.Priority{StreamID: 1, PriorityParam: frame.PriorityParam{DependsOn: 1}}},
		goAway(frame.ProtocolError, "RFC 7540 §5.3.1"),
	},

	{
		"6.4 RST_STREAM on stream 0",
		Server,
		true,
		[]any{h2test.Frame(frame.TypeRSTStream, 0, 0, 0, 0, 0, 8)},
		protocolError("6.4"),
	},
	{"6.4 unknown code", Server, true, []any{h2test.RST(1, 0xabcd)}, "reset 1 remote UNKNOWN_ERROR_0xabcd; closed 1"},
	{"6.4 too short", Server, true, []any{h2test.Frame(frame.TypeRSTStream, 0, 1, 0, 0, 8)}, sizeError("6.4")},
	{"6.4 too long", Server, true, []any{h2test.Frame(frame.TypeRSTStream, 0, 1, 0, 0, 0, 8, 0)}, sizeError("6.4")},
	{"6.4 idle stream", Server, true, []any{h2test.RST(3, frame.Cancel)}, protocolError("5.1")},

	{"6.9 increment of 0", Server, true, []any{h2test.WindowUpdate(1, 0)}, resetProtocol},
	{"6.9 increment of 0 on the connection", Server, true, []any{h2test.WindowUpdate(0, 0)}, protocolError("6.9")},
	{"6.9 wrong size", Server, true, []any{h2test.Frame(frame.TypeWindowUpdate, 0, 1, 0, 0, 1)}, sizeError("6.9")},
	{"6.9 wrong size on a closed stream", Server, true, []any{
		h2test.RST(1, frame.Cancel), h2test.Frame(frame.TypeWindowUpdate, 0, 1, 0, 0, 1),
	}, sizeError("6.9")},
	{
		"6.9.1 connection window over 2^31-1", Server, true,
		[]any{h2test.WindowUpdate(0, frame.MaxWindow)},
		goAway(frame.FlowControlError, "RFC 9113 §6.9.1"),
	},
	{
		"6.9.1 connection window of 2^31-1",
		Server,
		true,
		[]any{h2test.WindowUpdate(0, frame.MaxWindow-frame.DefaultWindow)},
		"",
	},
	{
		"6.9.1 stream window over 2^31-1", Server, true,
		[]any{h2test.WindowUpdate(1, frame.MaxWindow)},
		"RST_STREAM 1 FLOW_CONTROL_ERROR; reset 1 local FLOW_CONTROL_ERROR; closed 1",
	},
	{
		"6.9.1 stream window of 2^31-1",
		Server,
		true,
		[]any{h2test.WindowUpdate(1, frame.MaxWindow-frame.DefaultWindow)},
		"",
	},

	{"6.10 CONTINUATION", Server, false, []any{h2test.GetOpen(1).Cut(3)}, "headers 1 GET /"},
	{"6.10 empty fragments", Server, false, []any{
		h2test.Frame(
			frame.TypeHeaders,
			1,
			1,
		), h2test.Frame(
			frame.TypeContinuation, 0, 1), h2test.Frame(frame.TypeContinuation, 4, 1, 0x82, 0x86, 0x84, 0x41, 1, 'x'),
	}, "headers 1 GET / end"},
	{
		"6.10 out of the blue", Server, true,
		[]any{frame.Continuation{StreamID: 1, EndHeaders: true}},
		protocolError("6.10"),
	},
	{
		"6.10 after END_HEADERS", Server, false,
		[]any{h2test.GetOpen(1), frame.Continuation{StreamID: 1, EndHeaders: true}},
		protocolError("6.10"),
	},
	{
		"6.10 on another stream", Server, false,
		[]any{h2test.GetOpen(1).Open(), frame.Continuation{StreamID: 3, EndHeaders: true}},
		protocolError("6.10"),
	},
	{
		"6.10 on stream 0", Server, false,
		[]any{h2test.GetOpen(1).Open(), h2test.Frame(frame.TypeContinuation, 4, 0)},
		protocolError("6.10"),
	},
	{
		"6.10 DATA between",
		Server,
		false,
		[]any{h2test.GetOpen(1).Open(), h2test.Data(1, "x")},
		protocolError("6.10"),
	},
	{
		"6.10 HEADERS between",
		Server,
		false,
		[]any{h2test.GetOpen(1).Open(), h2test.GetOpen(1)},
		protocolError("6.10"),
	},
	{
		"6.10 PING between",
		Server,
		false,
		[]any{h2test.GetOpen(1).Open(), h2test.Ping("12345678")},
		protocolError("6.10"),
	},
	{
		"5.5 unknown frame between",
		Server,
		false,
		[]any{h2test.GetOpen(1).Open(), h2test.Frame(0xbb, 0, 1)},
		protocolError("6.10"),
	},

	{"4.2 frame too large", Server, true, []any{h2test.DataOf(1, frame.MinMaxFrameSize+1)}, sizeError("4.2")},
	{
		"4.2 unknown frame too large", Server, true,
		[]any{h2test.Frame(0xbb, 0, 0, make([]byte, frame.MinMaxFrameSize+1)...)},
		sizeError("4.2"),
	},
	{"4.2 frame of the largest size", Server, true, []any{h2test.DataOf(1, frame.MinMaxFrameSize)}, "data 1 16384"},
	{
		"4.3 not HPACK", Server, false,
		[]any{h2test.Frame(frame.TypeHeaders, 4, 1, 0x80)},
		goAway(frame.CompressionError, "RFC 7541 §2.3.3"),
	},
	{
		"4.3 half a field", Server, false,
		[]any{h2test.Frame(frame.TypeHeaders, 4, 1, 0x82, 0x41, 9, 'x')},
		goAway(frame.CompressionError, "RFC 9113 §4.3"),
	},
	{
		"4.3 not HPACK on a stream that is reset", Server, true,
		[]any{h2test.RST(1, frame.Cancel), h2test.Frame(frame.TypeHeaders, 5, 1, 0x80)},
		goAway(frame.CompressionError, "RFC 7541 §2.3.3"),
	},
	{
		"5.5 unknown types",
		Server,
		true,
		[]any{h2test.Frame(0xbb, 0xff, 0), h2test.Frame(0xf0, 1, 1, 1, 2, 3), h2test.Frame(0xff, 0, 98)},
		"",
	},
	{"4.1 unknown flags and the reserved bit", Server, false, []any{
		[]byte{0, 0, 6, 1, 0xd5, 0x80, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, 'x'}, // HEADERS
	}, "headers 1 GET / end"},
}

func TestStreamFrames(t *testing.T) { runFrameTests(t, streamFrameTests) }

func runFrameTests(t *testing.T, tests []frameTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, tt.role)
			switch {
			case tt.open && tt.role == Server:
				p.send(h2test.GetOpen(1))
			case tt.open:
				p.open(false)
				p.send(h2test.Response(1, 200))
			}
			p.outcome()
			p.send(tt.send[:len(tt.send)-1]...)
			if len(tt.send) > 1 && p.err == nil && strings.HasPrefix(tt.want, "GOAWAY") {
				p.outcome() // what the frame under test is not to blame for
			}
			if p.err == nil {
				p.send(tt.send[len(tt.send)-1])
			}
			if got := p.outcome(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			wantAccounts(t, p.c)
		})
	}
}
