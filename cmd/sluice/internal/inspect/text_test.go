package inspect

import (
	"bytes"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

var textTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(us int) time.Time { return textTime.Add(time.Duration(us) * time.Microsecond) }

// sent is the event of a frame.
func sent(d capture.Dir, us int, f frame.Frame, fields ...capture.Field) *capture.Frame {
	e := &capture.Frame{Conn: 1, Number: 1, First: at(us), Time: at(us), Dir: d, Header: f.FrameHeader(), Parsed: f}
	switch f := f.(type) {
	case frame.Data:
		e.DataLen = uint32(len(f.Data))
		if f.Padded {
			e.Padding = uint32(f.PadLength) + 1
		}
	case frame.Headers:
		if f.Padded {
			e.Padding = uint32(f.PadLength) + 1
		}
	}
	e.Fields = fields
	return e
}

// field makes a field that is known of "name: value".
func field(text string) capture.Field {
	name, value, _ := strings.Cut(text[1:], ": ")
	return capture.Field{Name: text[:1] + name, Value: value}
}

func fields(lines ...string) (list []capture.Field) {
	for _, l := range lines {
		list = append(list, field(l))
	}
	return list
}

// textEvents are events of all kinds.
func textEvents() []capture.Event {
	bad := sent(capture.Server, 900, frame.Data{StreamID: 1, Data: []byte("12345")})
	bad.Parsed, bad.Missing, bad.Err = nil, 2, errors.New("frame: \x1b[31mwrong")
	window := sent(capture.Client, 700, frame.WindowUpdate{StreamID: 1, Increment: 100})
	window.Window = capture.Windows{Stream: 100, Conn: 65000, StreamKnown: true, ConnKnown: true}
	tainted := sent(capture.Server, 800, frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true},
		capture.Field{Name: "x", Value: "y", State: capture.Tainted, Index: 62},
		capture.Field{State: capture.UnknownField, Index: 70},
		capture.Field{Name: "etag", Value: "\"\xff\u202e\x07\"", NeverIndex: true})
	tainted.Tainted, tainted.Trailer = true, true
	return []capture.Event{
		&capture.Connection{
			ID: 1, Time: at(0), Client: netip.MustParseAddrPort("192.0.2.1:50000"),
			Server: netip.MustParseAddrPort("192.0.2.2:443"), Protocol: capture.HTTP2, Found: "alpn", StartMissing: true,
			Parent: 3, ParentStream: 5, Twin: 2, Leg: "client", Problem: "a problem",
			TLS: &capture.TLS{
				Version: 0x304, CipherSuite: 0x1301, ALPN: "h2", Offered: []string{"h2", "http/1.1"}, ServerName: "a\nb",
				Resumed: true,
			},
		},
		sent(capture.Client, 100, frame.NewSettings(frame.Setting{ID: 4, Value: 100}, frame.Setting{ID: 99, Value: 1})),
		sent(capture.Server, 110, frame.Settings{Ack: true}),
		sent(capture.Client, 200, frame.Headers{
			StreamID: 1, EndStream: true, EndHeaders: true, Padded: true, PadLength: 4, HasPriority: true,
			Priority: frame.PriorityParam{DependsOn: 3, Exclusive: true, Weight: 15},
		}, fields(":method: GET", ":scheme: https", ":authority: a.example", ":path: /x?y", "accept: */*")...),
		sent(capture.Server, 300, frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true},
			fields(":method: GET", ":method: GET")...),
		sent(capture.Server, 400, frame.Headers{StreamID: 1, EndHeaders: true}, fields(":status: 200", "server: s")...),
		sent(capture.Server, 500, frame.Data{StreamID: 1, Data: []byte("12345"), Padded: true, PadLength: 7}),
		sent(capture.Client, 600, frame.Ping{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}),
		window, tainted, bad,
		sent(capture.Client, 1000, frame.RSTStream{StreamID: 1, Code: frame.Cancel}),
		sent(capture.Client, 1010, frame.Priority{StreamID: 7, PriorityParam: frame.PriorityParam{Weight: 255}}),
		sent(capture.Client, 1020, frame.PriorityUpdate{PrioritizedID: 9, Value: []byte("u=1")}),
		sent(capture.Server, 1030, frame.NewOrigin("https://a.example", "https://b.example")),
		sent(capture.Server, 1040, frame.AltSvc{Origin: []byte("https://a.example"), Value: []byte(`h3=":443"`)}),
		sent(capture.Server, 1050, frame.Unknown{Header: frame.Header{Type: 0xbe, Flags: 0x41}, Payload: []byte{1, 2}}),
		sent(capture.Server, 1060, frame.GoAway{LastStreamID: 1, Code: frame.NoError, DebugData: []byte("bye\x9b")}),
		&capture.Stall{
			Conn: 1, Stream: 1, Dir: capture.Server, Window: capture.ConnWindow, Start: at(1100), End: at(501100),
			Periods: 2, Blocked: 400 * time.Millisecond, EndedBy: "WINDOW_UPDATE on stream 0", Frame: 9,
		},
		&capture.Finding{
			Conn: 1, Stream: 1, Frame: 4, Time: at(1200), Dir: capture.Client, Rule: "some-rule", Section: "RFC 9113 §5.1",
			Severity: capture.Error, Text: "it is wrong",
		},
		&capture.Gap{
			Conn: 1, Time: at(1300), Dir: capture.Server, Octets: 1448, Reason: "lost", Text: "1448 octets are lost",
		},
		&capture.Request{
			Conn: 1, Stream: 1, Method: "GET", Scheme: "https", Authority: "a.example", Path: "/x?y", Status: 200,
			Start: at(200), End: at(1400), Body: [2]int64{0, 5}, ResetBy: "client", ResetCode: frame.Cancel,
			Wait: capture.Wait{Server: 200 * time.Microsecond, Connection: time.Second},
			GRPC: &capture.GRPC{
				Status: 5, Message: "not found", Count: [2]int64{1, 4}, Messages: [2][]int64{{3}, {300, 0, 5, 6}},
				Compressed: [2]int64{0, 1}, Encoding: [2]string{"", "gzip"},
			},
		},
		&capture.Body{Conn: 1, Stream: 1, Time: at(1500), Dir: capture.Server, Octets: []byte("as it was sent"), End: true},
		&capture.Message{
			Conn: 1, Stream: 1, Time: at(1600), Dir: capture.Client, Line: "GET / HTTP/1.1", Fields: fields("host: a"),
			Problems: []string{"no Host"},
		},
		&capture.End{
			Conn: 1, Time: at(1700), How: "reset", Frames: 18, Requests: 1, Octets: [2]int64{100, 20 << 20},
			Lost: [2]int64{0, 1448},
		},
	}
}

const wantText = `
#1  192.0.2.1:50000 → 192.0.2.2:443  HTTP/2 (found by ALPN)  2026-01-02 03:04:05.000000 UTC
    inside the CONNECT tunnel of stream 5 of #3
    the other leg of the tunnel is #2
    the client's leg of an intercepting proxy
    TLS 1.3, TLS_AES_128_GCM_SHA256, server name a\x0ab, ALPN h2 of h2, http/1.1, resumed
    the capture begins in the midst of this connection
    a problem
#1     0.000100 → SETTINGS           0  12 octets  INITIAL_WINDOW_SIZE=100  UNKNOWN_0x63=1
#1     0.000110 ← SETTINGS           0  ACK  0 octets
#1     0.000200 → HEADERS            1  END_STREAM|END_HEADERS|PADDED|PRIORITY  5 octets and 4 of padding  ` +
	`depends on 3 exclusively, weight 16
                     GET https://a.example/x?y
                     accept: */*
#1     0.000300 ← PUSH_PROMISE       1  END_HEADERS  4 octets  promises stream 2
                     :method: GET
                     :method: GET
#1     0.000400 ← HEADERS            1  END_HEADERS  0 octets
                     200
                     server: s
#1     0.000500 ← DATA               1  PADDED  5 octets and 7 of padding
#1     0.000600 → PING               0  8 octets  0102030405060708
#1     0.000700 → WINDOW_UPDATE      1  4 octets  +100  window 100, of the connection 65000
#1     0.000800 ← HEADERS            1  END_STREAM|END_HEADERS  0 octets  trailers
                     octets were lost before this block: fields may be wrong
                     x: y  (uncertain: index 62 behind lost octets)
                     ?: ?  (index 70, sent before the capture)
                     etag: "\xff\u202e\x07"  (never indexed)
#1     0.000900 ← DATA               1  5 octets  2 octets missing  frame: \x1b[31mwrong
#1     0.001000 → RST_STREAM         1  4 octets  CANCEL
#1     0.001010 → PRIORITY           7  5 octets  depends on 0, weight 256
#1     0.001020 → PRIORITY_UPDATE    0  7 octets  stream 9: u=1
#1     0.001030 ← ORIGIN             0  38 octets  https://a.example  https://b.example
#1     0.001040 ← ALTSVC             0  28 octets  https://a.example  h3=":443"
#1     0.001050 ← UNKNOWN_0xbe       0  0x41  2 octets  0102
#1     0.001060 ← GOAWAY             0  12 octets  NO_ERROR  last stream 1  debug data: bye\x9b
#1     0.001100 = stall: the server had no window of the connection for stream 1 for 500ms, 2 times, ` +
	`400ms together; the client owed WINDOW_UPDATE; ended by WINDOW_UPDATE on stream 0 (frame 9)
#1     0.001200 ! error: it is wrong (by the client, stream 1, frame 4, RFC 9113 §5.1, some-rule)
#1     0.001300 ! 1448 octets are lost
#1     0.001400 = request 1: GET https://a.example/x?y 200, reset by the client with CANCEL, 5 octets in 1.2ms; ` +
	`waited 200µs for the server, 1s for the connection's window; gRPC status 5 not found, ` +
	`messages 1 (3 octets) → 4 (300, 0, 5, … octets; 1 compressed: gzip) ←
#1     0.001600 → message 1  GET / HTTP/1.1
                     host: a
                     no Host
#1     0.001700 = the connection was reset: 18 frames, 1 request, 100 octets of HTTP from the client and 20.0 MiB ` +
	`from the server, 1448 octets of the server lost
`

func TestText(t *testing.T) {
	var b bytes.Buffer
	x := newText(&b, false)
	for _, e := range textEvents() {
		x.event(e)
	}
	if diff := cmp.Diff(wantText, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// Colours are all that --color adds, and they all end.
func TestTextColors(t *testing.T) {
	var b bytes.Buffer
	x := newText(&b, true)
	for _, e := range textEvents() {
		x.event(e)
	}
	codes := regexp.MustCompile(`\x1b\[[0-9;]+m`)
	for line := range strings.Lines(b.String()) {
		if n := len(codes.FindAllString(line, -1)); n%2 != 0 {
			t.Errorf("a colour goes on behind the line %q", line)
		}
	}
	plain := codes.ReplaceAllString(b.String(), "")
	if plain == b.String() {
		t.Error("there are no colours")
	}
	if diff := cmp.Diff(wantText, plain); diff != "" {
		t.Errorf("text without colours (-want +got):\n%s", diff)
	}
}

func TestRequestsTable(t *testing.T) {
	var b bytes.Buffer
	x := newTable(&b, false)
	for _, e := range textEvents() {
		x.event(e)
	}
	want := ` conn stream     start/s  total/ms for: slot    server    window   connwin   network     octets  ` +
		`response and request
   #1      1    0.000000       1.2         -       0.2         -    1000.0         -          5  ` +
		"200, reset by the client with CANCEL  GET https://a.example/x?y  gRPC 5\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
