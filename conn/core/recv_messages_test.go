package core

import (
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

const (
	resetNew = "RST_STREAM 1 PROTOCOL_ERROR" // no event has named the stream
)

func connect(id uint32, more ...string) h2test.Block {
	return h2test.Headers(id, append([]string{":method: CONNECT", ":authority: example.com:443"}, more...)...)
}

// Requests (RFC 9113 §8.1, §8.2, §8.3.1, §8.5), in whole frames. What is malformed about fields has
// its own tests.
var requestTests = []frameTest{
	{"8.1 without content", Server, false, []any{h2test.Get(1)}, "headers 1 GET / end"},
	{"8.1 content and trailers", Server, false, []any{
		h2test.GetOpen(1), h2test.Data(1, "ab"), h2test.Data(1, "c"), h2test.Trailers(1, "x: y"),
	}, "headers 1 GET /; data 1 2; data 1 1; trailers 1 x=y end"},
	{"8.1 trailers without END_STREAM", Server, true, []any{h2test.Headers(1, "x: y")}, resetProtocol},
	{"8.1 empty trailers", Server, true, []any{h2test.Trailers(1)}, "trailers 1  end"},
	{"8.1 pseudo-header field in trailers", Server, true, []any{h2test.Trailers(1, ":path: /")}, resetProtocol},
	{
		"8.1 trailers after END_STREAM", Server, false,
		[]any{h2test.Get(1), h2test.Trailers(1, "x: y")},
		"RST_STREAM 1 STREAM_CLOSED; headers 1 GET / end; reset 1 local STREAM_CLOSED; closed 1",
	},
	{
		"8.1 trailers too large", Server, true,
		[]any{h2test.Trailers(1, "x: "+strings.Repeat("y", 64<<10)).Cut(5)},
		"RST_STREAM 1 ENHANCE_YOUR_CALM; reset 1 local ENHANCE_YOUR_CALM; closed 1",
	},
	{
		"8.1.1 content-length", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 3"), h2test.Data(1, "ab"), h2test.DataEnd(1, "c")},
		"headers 1 GET / content-length=3; data 1 2; data 1 1 end",
	},
	{
		"8.1.1 content-length of 0", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 0"), h2test.DataEnd(1, "")},
		"headers 1 GET / content-length=0; data 1 0 end",
	},
	{
		"8.1.1 content-length of 0 and END_STREAM", Server, false,
		[]any{h2test.Get(1, "content-length: 0")},
		"headers 1 GET / content-length=0 end",
	},
	{
		"8.1.1 content-length and END_STREAM",
		Server,
		false,
		[]any{h2test.Get(1, "content-length: 3")},
		resetNew,
	},
	{
		"8.1.1 too much content", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 3"), h2test.Data(1, "abcd")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 GET / content-length=3; data 1 3; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"8.1.1 one octet too much", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 3"), h2test.Data(1, "abc"), h2test.DataEnd(1, "d")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 GET / content-length=3; data 1 3; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"8.1.1 too little content", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 3"), h2test.DataEnd(1, "ab")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 GET / content-length=3; data 1 2; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"8.1.1 too little content before trailers", Server, false,
		[]any{h2test.GetOpen(1, "content-length: 3"), h2test.Data(1, "ab"), h2test.Trailers(1, "x: y")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 GET / content-length=3; data 1 2; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"8.1.1 two lengths",
		Server,
		false,
		[]any{h2test.GetOpen(1, "content-length: 3", "content-length: 4")},
		resetNew,
	},
	{"8.2 uppercase", Server, false, []any{h2test.GetOpen(1, "X-Upper: 1")}, resetNew},
	{"8.2.1 line feed", Server, false, []any{h2test.GetOpen(1, "x: a\nb")}, resetNew},
	{"8.2.2 connection", Server, false, []any{h2test.GetOpen(1, "connection: close")}, resetNew},
	{"8.2.2 te", Server, false, []any{h2test.GetOpen(1, "te: gzip")}, resetNew},
	{
		"8.2.3 cookie crumbs", Server, false,
		[]any{h2test.Get(1, "cookie: a=b", "cookie: c=d")},
		"headers 1 GET / cookie=a=b; c=d end",
	},
	{
		"8.3.1 no path",
		Server,
		false,
		[]any{h2test.Headers(1, ":method: GET", ":scheme: https", ":authority: x")},
		resetNew,
	},
	{
		"8.3 pseudo-header field after others", Server, false,
		[]any{h2test.Headers(1, ":method: GET", "x: y", ":scheme: https", ":path: /", ":authority: x")},
		resetNew,
	},
	{"8.3 a response", Server, false, []any{h2test.Response(1, 200)}, resetNew},
	{
		"8.3 malformed, then another", Server, false,
		[]any{h2test.GetOpen(1, "x: \n"), h2test.Get(3)},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 3 GET / end",
	},
	{
		"8.5 CONNECT", Server, false,
		[]any{connect(1), h2test.Data(1, "x"), h2test.DataEnd(1, "")},
		"headers 1 CONNECT ; data 1 1; data 1 0 end",
	},
	{"8.5 CONNECT with a path", Server, false, []any{connect(1, ":path: /", ":scheme: https")}, resetNew},
	{
		"8.5 HEADERS in a tunnel", Server, false,
		[]any{connect(1), h2test.Trailers(1, "x: y")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 CONNECT ; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"RFC 8441 3 not enabled", Server, false,
		[]any{connect(1, ":protocol: websocket", ":scheme: https", ":path: /")},
		resetNew,
	},
	{"5.1.1 even identifier", Server, false, []any{h2test.GetOpen(2)}, badID},
	{"5.1.1 lower identifier", Server, false, []any{h2test.GetOpen(3), h2test.GetOpen(1)}, badID},
	{
		"5.1.1 the same identifier", Server, false,
		[]any{h2test.Get(3), h2test.GetOpen(3)},
		"RST_STREAM 3 STREAM_CLOSED; headers 3 GET / end; reset 3 local STREAM_CLOSED; closed 3",
	},
	{
		"5.1.1 gaps", Server, false,
		[]any{h2test.GetOpen(3), h2test.Get(frame.MaxStreamID - 2)},
		"headers 3 GET /; headers 2147483645 GET / end",
	},
}

func TestRequests(t *testing.T) { runFrameTests(t, requestTests) }

// A request over the limits is handed over as far as it goes, so that 431 can be answered, and the
// table is in step.
func TestRequestTooLarge(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.MaxHeaderBytes, cfg.MaxHeaderFields = 1000, 10 })
	p.send(h2test.Get(1, "x: "+strings.Repeat("y", 1000), "z: late"))
	p.wantEvents("octets", "headers 1 GET / too large end")
	var many []string
	for range 8 {
		many = append(many, "a: b")
	}
	p.send(h2test.Get(3, many...), h2test.Get(5, "a: b"))
	p.wantEvents("lines", "headers 3 GET / a=b a=b a=b a=b a=b a=b too large end", "headers 5 GET / a=b end")
}

var responsesTests = []struct {
	name string
	send []any
	want string
}{
	{"final", []any{h2test.Response(1, 200, "x: y").End()}, "headers 1 200 x=y end"},
	{
		"interim",
		[]any{h2test.Response(1, 103, "link: x"), h2test.Response(1, 100), h2test.Response(1, 200).End()},
		"interim 1 103 link=x; interim 1 100; headers 1 200 end",
	},
	{"interim ends", []any{h2test.Response(1, 103).End()}, resetProtocol},
	{"101", []any{h2test.Response(1, 101)}, resetProtocol},
	{
		"interim after final",
		[]any{h2test.Response(1, 200), h2test.Response(1, 103)},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 200; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"two finals",
		[]any{h2test.Response(1, 200), h2test.Response(1, 200).End()},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 200; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{"no status", []any{h2test.Headers(1, "x: y")}, resetProtocol},
	{"a request", []any{h2test.GetOpen(1)}, resetProtocol},
	{"bad status", []any{h2test.Response(1, 20)}, resetProtocol},
	{"DATA first", []any{h2test.Data(1, "x")}, resetProtocol},
	{
		"DATA after interim",
		[]any{h2test.Response(1, 100), h2test.Data(1, "x")},
		"RST_STREAM 1 PROTOCOL_ERROR; interim 1 100; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{"END_STREAM in DATA first", []any{h2test.DataEnd(1, "")}, resetProtocol},
	{
		"trailers",
		[]any{h2test.Response(1, 200), h2test.Data(1, "x"), h2test.Trailers(1, "x: y")},
		"headers 1 200; data 1 1; trailers 1 x=y end",
	},
	{
		"content-length",
		[]any{h2test.Response(1, 200, "content-length: 1"), h2test.DataEnd(1, "x")},
		"headers 1 200 content-length=1; data 1 1 end",
	},
	{"content-length and END_STREAM", []any{h2test.Response(1, 200, "content-length: 1").End()}, resetProtocol},
	{
		"too much content",
		[]any{h2test.Response(1, 200, "content-length: 1"), h2test.Data(1, "xy")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 200 content-length=1; data 1 1; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{
		"304 with content-length",
		[]any{h2test.Response(1, 304, "content-length: 9").End()},
		"headers 1 304 content-length=9 end",
	},
	{
		"304 with content",
		[]any{h2test.Response(1, 304), h2test.Data(1, "x")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 304; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{"204 with an empty DATA", []any{h2test.Response(1, 204), h2test.DataEnd(1, "")}, "headers 1 204; data 1 0 end"},
	{
		"204 with content",
		[]any{h2test.Response(1, 204), h2test.Data(1, "x")},
		"RST_STREAM 1 PROTOCOL_ERROR; headers 1 204; reset 1 local PROTOCOL_ERROR; closed 1",
	},
	{"te in a response", []any{h2test.Response(1, 200, "te: trailers")}, resetProtocol},
	{
		"complete, then NO_ERROR",
		[]any{h2test.Response(1, 200).End(), h2test.RST(1, frame.NoError)},
		"headers 1 200 end; reset 1 remote NO_ERROR; closed 1",
	},
	{"idle stream", []any{h2test.Response(3, 200)}, badID},
	{"stream that was not promised", []any{h2test.Response(2, 200)}, badID},
}

// Responses (RFC 9113 §8.1, §8.3.2) to the request on stream 1, which is still being sent.
func TestResponses(t *testing.T) {
	for _, tt := range responsesTests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Client)
			p.open(false)
			p.outcome()
			p.send(tt.send...)
			if got := p.outcome(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			wantAccounts(t, p.c)
		})
	}
}

// The answer to HEAD describes content that does not come.
func TestHeadResponse(t *testing.T) {
	open := func(t *testing.T) *peer {
		p := newPeer(t, Client)
		s, err := p.c.Open(
			Request{
				Fields: h2test.Fields(":method: HEAD", ":scheme: https", ":authority: x", ":path: /"),
				Head:   true,
				End:    true,
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		p.streams[1] = s
		p.take()
		p.outcome()
		return p
	}
	p := open(t)
	p.send(h2test.Response(1, 200, "content-length: 1000").End())
	p.wantEvents("content-length says nothing", "headers 1 200 content-length=1000 end", "closed 1")
	p = open(t)
	p.send(h2test.Response(1, 200, "content-length: 1000"), h2test.DataEnd(1, ""))
	p.wantEvents("an empty DATA", "headers 1 200 content-length=1000", "data 1 0 end", "closed 1")
	p = open(t)
	p.send(h2test.Response(1, 200, "content-length: 1000"), h2test.Data(1, "x"))
	p.wantEvents("content", "headers 1 200 content-length=1000", "reset 1 local PROTOCOL_ERROR", "closed 1")
}

// A 2xx to CONNECT begins a tunnel: its content-length means nothing (RFC 9110 §9.3.6), and only
// DATA may follow.
func TestConnectResponse(t *testing.T) {
	open := func(t *testing.T) *peer {
		p := newPeer(t, Client)
		s, err := p.c.Open(Request{Fields: h2test.Fields(":method: CONNECT", ":authority: x:443")})
		if err != nil {
			t.Fatal(err)
		}
		p.streams[1] = s
		p.take()
		p.outcome()
		return p
	}
	p := open(t)
	p.send(h2test.Response(1, 200, "content-length: 0"), h2test.Data(1, "tunnelled"), h2test.DataEnd(1, ""))
	p.wantEvents("DATA", "headers 1 200 content-length=0", "data 1 9", "data 1 0 end")
	p = open(t)
	p.send(h2test.Response(1, 200), h2test.Data(1, "x"), h2test.Trailers(1, "x: y"))
	p.wantEvents("HEADERS in a tunnel", "headers 1 200", "data 1 1", "reset 1 local PROTOCOL_ERROR", "closed 1")
	p = open(t)
	p.send(h2test.Response(1, 204), h2test.DataEnd(1, "x"))
	p.wantEvents("any 2xx does", "headers 1 204", "data 1 1 end")
	p = open(t)
	p.send(h2test.Response(1, 407, "content-length: 1"), h2test.Data(1, "x"), h2test.Trailers(1, "x: y"))
	p.wantEvents("a response like others", "headers 1 407 content-length=1", "data 1 1", "trailers 1 x=y end")
	p = open(t)
	p.send(h2test.Response(1, 407, "content-length: 1"), h2test.Data(1, "xy"))
	p.wantEvents("whose length counts", "headers 1 407 content-length=1", "data 1 1",
		"reset 1 local PROTOCOL_ERROR", "closed 1")
}

// Streams over SETTINGS_MAX_CONCURRENT_STREAMS are refused, and the others are not disturbed (RFC
// 9113 §5.1.2).
func TestMaxConcurrentStreams(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 2 })
	p.send(
		h2test.GetOpen(1),
		h2test.Get(3),
		h2test.GetOpen(5, "x-custom: value"),
		h2test.GetOpen(7, "x-custom: value"),
	)
	p.want("two are one too many each", "RST_STREAM 5 REFUSED_STREAM", "RST_STREAM 7 REFUSED_STREAM")
	p.wantEvents("two are in", "headers 1 GET /", "headers 3 GET / end")
	p.send(h2test.Data(5, "x"), h2test.Trailers(5, "x: y"), h2test.WindowUpdate(5, 1), h2test.RST(5, frame.Cancel))
	p.wantQuiet("what was on its way is ignored")
	p.answer(3, true)
	p.outcome()
	p.send(h2test.Get(9, "x-custom: value"))
	p.wantEvents("there is room again", "headers 9 GET / x-custom=value end")
}
