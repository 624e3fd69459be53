package capture

import (
	"strings"

	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

var streamCases = []ruleCase{
	{
		rule:   "stream-id-parity",
		breaks: func(p *script) { begin(p).server(h2.Response(3, 200)) },
		want:   "server 3: the server answers on stream 3, which the client has not opened",
		holds:  func(p *script) { begin(p).server(h2.Promise(1, 2), h2.Response(2, 200)) },
	},
	{
		rule:   "stream-id-order",
		breaks: func(p *script) { begin(p).client(h2.Get(7), h2.Get(5)) },
		want:   "client 5: the client opens stream 5 behind stream 7",
		holds:  func(p *script) { begin(p).client(h2.Get(5), h2.Get(9)) },
	},
	{
		rule:   "frame-on-idle-stream",
		breaks: func(p *script) { begin(p).client(h2.WindowUpdate(3, 1)) },
		want:   "client 3: the client has sent WINDOW_UPDATE on stream 3, which is idle",
		holds:  func(p *script) { begin(p).client(frame.Priority{StreamID: 5}, h2.Get(9), h2.RST(3, frame.Cancel)) },
	},
	{
		rule: "frame-after-end-stream",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200).End(), h2.Data(1, "late"), h2.Data(1, "later"))
		},
		want: "server 1: the server has sent DATA on stream 1, which it had ended",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200).End(), h2.RST(1, frame.NoError), h2.WindowUpdate(1, 1)).
				client(h2.WindowUpdate(1, 1))
		},
	},
	{
		rule:   "frame-after-reset",
		breaks: func(p *script) { begin(p).client(h2.RST(1, frame.Cancel), h2.WindowUpdate(1, 1)) },
		want:   "client 1: the client has sent WINDOW_UPDATE on stream 1, which it had reset",
		holds: func(p *script) {
			// The server has sent them before it received RST_STREAM.
			begin(p).client(h2.RST(1, frame.Cancel), frame.Priority{StreamID: 1})
			p.server(h2.Response(1, 200), h2.Data(1, "x"), h2.Promise(1, 2), h2.WindowUpdate(1, 1), h2.RST(1, frame.NoError))
		},
	},
	{
		rule:   "reset-twice",
		breaks: func(p *script) { begin(p).client(h2.RST(1, frame.Cancel), h2.RST(1, frame.Cancel)) },
		want:   "client 1: the client has reset stream 1 again",
		holds:  func(p *script) { begin(p).client(h2.RST(1, frame.Cancel)).server(h2.RST(1, frame.Cancel)) },
	},
	{
		rule: "frame-after-peer-reset",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200)).client(h2.RST(1, frame.Cancel)).at(2500).server(h2.Data(1, "x"))
		},
		want: "server 1: the server has sent DATA on stream 1, 2.5s after RST_STREAM of the client",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200)).client(h2.RST(1, frame.Cancel)).at(500).server(h2.Data(1, "x"))
		},
	},
	{
		rule:   "frame-on-reserved-stream",
		breaks: func(p *script) { begin(p).server(h2.Promise(1, 2), h2.Data(2, "x")) },
		want:   "server 2: the server has sent DATA on stream 2, which is promised",
		holds: func(p *script) {
			begin(p).server(h2.Promise(1, 2)).client(h2.WindowUpdate(2, 1), h2.RST(2, frame.Cancel))
		},
	},
	{
		rule: "streams-too-many",
		breaks: func(p *script) {
			p.settle(h2.Settings(), setting(frame.SettingMaxConcurrentStreams, 1)).client(h2.Get(1), h2.Get(3))
		},
		want: "client 3: the client opens stream 3 beside 1 others; the server permits 1",
		holds: func(p *script) {
			// The client may not have had the setting when it sent both.
			p.client(h2.Settings()).server(setting(frame.SettingMaxConcurrentStreams, 1)).client(h2.Get(1), h2.Get(3), h2.Ack)
			p.client(h2.RST(1, frame.Cancel)).server(h2.Response(3, 200).End(), h2.Ack).client(h2.Get(5))
		},
	},
}

var settingCases = []ruleCase{
	{
		rule:   "settings-first",
		breaks: func(p *script) { p.client(h2.WindowUpdate(0, 1)) },
		want:   "client 0: the client begins with WINDOW_UPDATE on stream 0",
		holds:  func(p *script) { p.client(h2.Settings(), h2.WindowUpdate(0, 1)) },
	},
	{
		rule:   "setting-value",
		breaks: func(p *script) { p.client(setting(frame.SettingMaxFrameSize, 0)) },
		want: "client 0: the client has sent SETTINGS_MAX_FRAME_SIZE=0: " +
			"SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24-1",
		holds: func(p *script) { p.client(setting(frame.SettingMaxFrameSize, 1<<14), setting(0x4242, 1<<31)) },
	},
	{
		rule:   "setting-push-by-server",
		breaks: func(p *script) { p.server(setting(frame.SettingEnablePush, 1)) },
		want:   "server 0: the server has sent SETTINGS_ENABLE_PUSH=1",
		holds: func(p *script) {
			p.client(setting(frame.SettingEnablePush, 1)).server(setting(frame.SettingEnablePush, 0))
		},
	},
	{
		rule: "setting-taken-back",
		breaks: func(p *script) {
			p.server(setting(frame.SettingEnableConnectProtocol, 1), setting(frame.SettingEnableConnectProtocol, 0))
		},
		want: "server 0: the server takes SETTINGS_ENABLE_CONNECT_PROTOCOL back",
		holds: func(p *script) {
			p.server(setting(frame.SettingEnableConnectProtocol, 0), setting(frame.SettingEnableConnectProtocol, 1))
		},
	},
	{
		rule:   "setting-twice",
		breaks: func(p *script) { p.client(h2.Settings(h2.InitialWindow(1), h2.InitialWindow(2))) },
		want:   "client 0: the client has sent SETTINGS_INITIAL_WINDOW_SIZE twice in one frame",
		holds:  func(p *script) { p.client(h2.Settings(h2.InitialWindow(1)), h2.Settings(h2.InitialWindow(2))) },
	},
	{
		rule: "settings-ack-missing",
		breaks: func(p *script) {
			p.client(h2.Settings(), h2.Get(1)).at(11000).server(h2.Settings(), h2.Response(1, 200))
		},
		want: "server 0: the server has not acknowledged SETTINGS for 11s",
		holds: func(p *script) {
			p.client(h2.Settings(), h2.Get(1)).at(11000).server(h2.Settings(), h2.Ack, h2.Response(1, 200))
		},
	},
	{
		rule:   "settings-ack-unexpected",
		breaks: func(p *script) { begin(p).server(h2.Ack) },
		want:   "server 0: the server acknowledges SETTINGS that the client has not sent",
		holds:  func(p *script) { begin(p).client(h2.Settings()).server(h2.Ack) },
	},
}

var controlCases = []ruleCase{
	{
		rule:   "ping-ack-unexpected",
		breaks: func(p *script) { begin(p).client(h2.Ping("a")).server(h2.PingAck("b")) },
		want:   "server 0: the server answers PING 6200000000000000, which the client has not sent",
		holds:  func(p *script) { begin(p).client(h2.Ping("a"), h2.Ping("b")).server(h2.PingAck("b"), h2.PingAck("a")) },
	},
	{
		rule:   "ping-ack-missing",
		breaks: func(p *script) { begin(p).client(h2.Ping("a")).at(12500).server(h2.Response(1, 200)) },
		want:   "server 0: the server has not answered PING for 12.5s",
		holds:  func(p *script) { begin(p).client(h2.Ping("a")).at(12500).server(h2.PingAck("a"), h2.Response(1, 200)) },
	},
	{
		rule: "goaway-rises",
		breaks: func(p *script) {
			begin(p).server(h2.GoAway(1, frame.NoError, ""), h2.GoAway(3, frame.NoError, ""))
		},
		want: "server 0: the server has sent GOAWAY with the last stream 3 after one with 1",
		holds: func(p *script) {
			begin(p).server(h2.GoAway(frame.MaxStreamID, frame.NoError, ""), h2.GoAway(1, frame.NoError, ""))
		},
	},
	{
		rule:   "goaway-error",
		breaks: func(p *script) { begin(p).server(h2.GoAway(1, frame.EnhanceYourCalm, "too_many\npings")) },
		want:   `server 0: the server ends the connection with ENHANCE_YOUR_CALM: "too_many.pings"`,
		holds:  func(p *script) { begin(p).server(h2.GoAway(1, frame.NoError, "bye")) },
	},
	{
		rule:   "stream-after-goaway",
		breaks: func(p *script) { begin(p).server(h2.GoAway(1, frame.NoError, "")).at(3000).client(h2.Get(3)) },
		want:   "client 3: the client opens stream 3, 3s after GOAWAY of the server",
		holds:  func(p *script) { begin(p).server(h2.GoAway(1, frame.NoError, "")).at(100).client(h2.Get(3)) },
	},
	{
		rule:   "reset-error",
		breaks: func(p *script) { begin(p).server(h2.RST(1, frame.InternalError)) },
		want:   "server 1: the server resets stream 1 with INTERNAL_ERROR",
		holds: func(p *script) {
			begin(p).client(h2.RST(1, frame.Cancel), h2.Get(3))
			p.server(h2.Headers(3, ":status: 200").End()).client(h2.RST(3, frame.StreamClosed))
		},
	},
	{
		rule:   "stream-refused",
		breaks: func(p *script) { begin(p).server(h2.RST(1, frame.RefusedStream)) },
		want:   "server 1: the server refuses stream 1",
		holds:  func(p *script) { begin(p).server(h2.RST(1, frame.NoError)) },
	},
}

// head plays a request with these fields.
func head(lines ...string) func(p *script) {
	return func(p *script) { begin(p).client(h2.Headers(3, lines...).End()) }
}

// request is head with more fields behind those of a request.
func request(more ...string) func(p *script) {
	return func(p *script) { begin(p).client(h2.Get(3, more...)) }
}

var fieldCases = []ruleCase{
	{
		rule:   "field-invalid",
		breaks: request("X-Upper: 1"),
		want:   "client 3: the client has sent a malformed header section: uppercase letter in a field name",
		holds:  request("x-lower: 1", "cookie: a=1", "cookie: b=2"),
	},
	{
		rule:   "field-connection-specific",
		breaks: request("transfer-encoding: chunked"),
		want:   "client 3: the client has sent a malformed header section: connection-specific field",
		holds:  request("te: trailers"),
	},
	{
		rule:   "pseudo-field",
		breaks: head("a: b", ":method: GET", ":scheme: https", ":path: /", ":authority: a"),
		want:   "client 3: the client has sent a malformed header section: pseudo-header field after a regular field",
		holds:  request("a: b"),
	},
	{
		rule:   "request-head",
		breaks: head(":method: GET", ":scheme: https", ":authority: example.com", ":path: Service/Method"),
		want:   "client 3: the client has sent a malformed header section: invalid :path",
		holds:  head(":method: OPTIONS", ":scheme: https", ":authority: example.com", ":path: *"),
	},
	{
		rule:   "response-head",
		breaks: func(p *script) { begin(p).server(h2.Headers(1, "a: b")) },
		want:   "server 1: the server has sent a malformed header section: no :status",
		holds:  func(p *script) { begin(p).server(h2.Response(1, 103), h2.Response(1, 200), h2.Trailers(1, "a: b")) },
	},
	{
		rule:   "host-twice",
		breaks: request("host: example.com", "host: example.com"),
		want:   "client 3: the client has sent a malformed header section: more than one host field",
		holds:  request("host: example.com"),
	},
	{
		rule:   "connect-head",
		breaks: head(":method: CONNECT", ":authority: example.com"),
		want:   "client 3: the client has sent a malformed header section: CONNECT without a port in :authority",
		holds:  head(":method: CONNECT", ":authority: example.com:443"),
	},
	{
		rule:   "protocol-field",
		breaks: head(":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /"),
		want:   "client 3: the client has sent a malformed header section: invalid or unexpected :protocol",
		holds: func(p *script) {
			p.settle(h2.Settings(), setting(frame.SettingEnableConnectProtocol, 1))
			p.client(h2.Headers(1, ":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /"))
		},
	},
	{
		rule:   "switching-protocols",
		breaks: func(p *script) { begin(p).server(h2.Response(1, 101)) },
		want:   "server 1: the server has sent a malformed header section: :status 101",
		holds:  func(p *script) { begin(p).server(h2.Response(1, 102), h2.Response(1, 200)) },
	},
	{
		rule:   "content-length-invalid",
		breaks: request("content-length: 0", "content-length: 0"),
		want:   "client 3: the client has sent a malformed header section: more than one content-length",
		holds:  request("content-length: 0"),
	},
	{
		rule: "promised-request",
		breaks: func(p *script) {
			b := h2.Post(1)
			b.PromisedID = 2
			begin(p).server(b)
		},
		want: "server 1: the server has sent a malformed header section: " +
			"promised request is not safe, cacheable and without content",
		holds: func(p *script) { begin(p).server(h2.Promise(1, 2)) },
	},
}

var messageCases = []ruleCase{
	{
		rule:   "data-before-headers",
		breaks: func(p *script) { begin(p).server(h2.Data(1, "x")) },
		want:   "server 1: the server has sent DATA on stream 1 before a response",
		holds:  func(p *script) { begin(p).server(h2.Response(1, 200), h2.Data(1, "x")) },
	},
	{
		rule:   "interim-ends-stream",
		breaks: func(p *script) { begin(p).server(h2.Response(1, 103).End()) },
		want:   "server 1: the server ends stream 1 with :status 103",
		holds:  func(p *script) { begin(p).server(h2.Response(1, 103), h2.Response(1, 204).End()) },
	},
	{
		rule:   "trailers-without-end-stream",
		breaks: func(p *script) { begin(p).server(h2.Response(1, 200), h2.Headers(1, "a: b").Cut(2)) },
		want:   "server 1: the server has sent a second header section on stream 1, which does not end it",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200), h2.Data(1, "x"), h2.Trailers(1, "a: b").Cut(2))
		},
	},
	{
		rule: "headers-in-tunnel",
		breaks: func(p *script) {
			begin(p).client(h2.Headers(3, ":method: CONNECT", ":authority: a:443"))
			p.server(h2.Response(3, 200), h2.Headers(3, "a: b").End())
		},
		want: "server 3: the server has sent a header section in the tunnel of stream 3",
		holds: func(p *script) {
			begin(p).client(h2.Headers(3, ":method: CONNECT", ":authority: a:443"))
			p.server(h2.Response(3, 200), h2.Data(3, "x"), h2.DataEnd(3, ""))
		},
	},
	{
		rule:   "content-length-wrong",
		breaks: func(p *script) { begin(p).server(h2.Response(1, 200, "content-length: 5"), h2.DataEnd(1, "four")) },
		want:   "server 1: content-length on stream 1 is 5, and there are 4 octets of content",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200, "content-length: 5"), h2.Data(1, "four"), h2.Data(1, "!"))
			for id := uint32(2); id <= 4; id += 2 { // also with CONTINUATION
				pushed := h2.Request(1, "HEAD", "/").Cut(int(id) / 2)
				pushed.PromisedID = id
				p.server(pushed, h2.Response(id, 200, "content-length: 5").End())
			}
			p.server(h2.Trailers(1, "a: b"))
			p.client(h2.Request(3, "HEAD", "/").End()).server(h2.Response(3, 200, "content-length: 5").End())
			p.client(h2.Get(5)).server(h2.Response(5, 304, "content-length: 5").End())
			p.client(h2.Post(7, "content-length: 3"), h2.Data(7, "no"), h2.RST(7, frame.Cancel))
		},
	},
	{
		rule: "content-unexpected",
		breaks: func(p *script) {
			begin(p).client(h2.Request(3, "HEAD", "/").End()).server(h2.Response(3, 200), h2.DataEnd(3, "x"))
		},
		want: "server 3: the server has sent 1 octets of content on stream 3",
		holds: func(p *script) {
			begin(p).client(h2.Request(3, "HEAD", "/").End()).server(h2.Response(3, 200), h2.DataEnd(3, ""))
		},
	},
	{
		rule: "grpc-status-missing",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200, "content-type: application/grpc+proto"), h2.DataEnd(1, "x"))
		},
		want: "server 1: the call on stream 1 has ended without grpc-status",
		holds: func(p *script) {
			const grpc = "content-type: application/grpc"
			begin(p).server(h2.Response(1, 200, grpc), h2.Data(1, "x"), h2.Trailers(1, "grpc-status: 0").Cut(2))
			p.client(h2.Get(3)).server(h2.Response(3, 200, grpc, "grpc-status: 12").End())
			p.client(h2.Get(5)).server(h2.Response(5, 200, "content-type: application/grpc-web"), h2.DataEnd(5, "x"))
		},
	},
	{
		rule:   "grpc-te-missing",
		breaks: func(p *script) { begin(p).client(h2.Post(3, "content-type: application/grpc")) },
		want:   "client 3: the request on stream 3 has no te: trailers",
		holds:  func(p *script) { begin(p).client(h2.Post(3, "content-type: application/grpc", "te: trailers")) },
	},
}

var flowCases = []ruleCase{
	{
		rule: "window-exceeded",
		breaks: func(p *script) {
			ask(p).server(h2.Response(1, 200), h2.DataOf(1, 900), frame.Data{StreamID: 1, Padded: true, PadLength: 119})
		},
		want: "server 1: DATA on stream 1 has 20 octets more than the window of the stream",
		holds: func(p *script) {
			ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000)).client(h2.WindowUpdate(1, 5)).server(h2.DataOf(1, 5))
		},
	},
	{
		rule:   "window-overflow",
		breaks: func(p *script) { begin(p).client(h2.WindowUpdate(1, frame.MaxWindow)) },
		want:   "client 1: WINDOW_UPDATE of the client takes a window beyond 2^31-1 octets",
		holds:  func(p *script) { begin(p).client(h2.WindowUpdate(1, frame.MaxWindow-frame.DefaultWindow)) },
	},
}

var pushCases = []ruleCase{
	{
		rule:   "push-by-client",
		breaks: func(p *script) { p.settle(h2.Settings(), h2.Settings()).client(h2.Post(1), h2.Promise(1, 3)) },
		want:   "client 1: the client has sent PUSH_PROMISE",
		holds:  func(p *script) { begin(p).server(h2.Promise(1, 2)) },
	},
	{
		rule: "push-disabled",
		breaks: func(p *script) {
			p.settle(setting(frame.SettingEnablePush, 0), h2.Settings()).client(h2.Get(1)).server(h2.Promise(1, 2))
		},
		want: "server 1: the server promises a stream, though SETTINGS_ENABLE_PUSH of the client is 0",
		holds: func(p *script) {
			begin(p).client(setting(frame.SettingEnablePush, 0)).server(h2.Promise(1, 2), h2.Ack)
		},
	},
	{
		rule:   "promised-id",
		breaks: func(p *script) { begin(p).server(h2.Promise(1, 4), h2.Promise(1, 2)) },
		want:   "server 1: the server promises stream 2, which is not a new one of its own",
		holds:  func(p *script) { begin(p).server(h2.Promise(1, 4), h2.Promise(1, 8)) },
	},
	{
		rule: "push-refused",
		breaks: func(p *script) {
			begin(p).server(h2.Promise(1, 2), h2.Response(2, 200)).client(h2.RST(2, frame.Cancel))
		},
		want:  "client 2: the client resets stream 2, which is pushed",
		holds: func(p *script) { begin(p).server(h2.Promise(1, 2), h2.Response(2, 200).End()) },
	},
}

// long is a field value of n octets.
func long(n int) string { return strings.Repeat("x", n) }
