package capture

import (
	"crypto/tls"
	"slices"

	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// begin is the beginning of a connection without settings, and with a request on stream 1.
func begin(p *script) *script {
	return p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1))
}

// setting makes SETTINGS with one parameter.
func setting(id frame.SettingID, v uint32) frame.Settings {
	return h2.Settings(frame.Setting{ID: id, Value: v})
}

// ruleCases has the cases of all rules.
func ruleCases() []ruleCase {
	return slices.Concat(captureCases, frameCases, blockCases, streamCases, settingCases, controlCases,
		fieldCases, messageCases, flowCases, pushCases, tlsCases, attackCases, noteCases)
}

var captureCases = []ruleCase{
	{
		rule: "octets-missing",
		breaks: func(p *script) {
			begin(p)
			p.s.gap(&Gap{Dir: Server, Time: p.now, Octets: 1448, Reason: "lost", Text: "1448 octets are missing"})
		},
		want: "server 0: 1448 octets are missing",
		holds: func(p *script) {
			p.s.info.StartMissing = true
			begin(p)
			p.s.gap(&Gap{Dir: Server, Octets: -1, Reason: "start"})
		},
	},
	{
		rule: "octets-undecrypted",
		breaks: func(p *script) {
			begin(p)
			p.s.gap(&Gap{Dir: Client, Time: p.now, Octets: 20, Reason: "undecrypted", Text: "no key for 20 octets"})
		},
		want:  "client 0: no key for 20 octets",
		holds: func(p *script) { begin(p) },
	},
	{
		rule:   "start-missing",
		breaks: func(p *script) { p.s.info.StartMissing = true; p.client(h2.Get(7)) },
		want:   "client 0: the capture begins in the midst of the connection",
		holds:  func(p *script) { begin(p) },
	},
}

var frameCases = []ruleCase{
	{
		rule:   "frame-size",
		breaks: func(p *script) { begin(p).client(h2.Frame(frame.TypePing, 0, 0, 1, 2, 3)) },
		want:   "client 0: the client has sent an invalid frame: PING payload is not 8 octets",
		holds:  func(p *script) { begin(p).client(h2.Ping("12345678")).server(h2.PingAck("12345678")) },
	},
	{
		rule:   "frame-too-long",
		breaks: func(p *script) { begin(p).server(h2.Response(1, 200), h2.DataOf(1, 16385)) },
		want:   "server 1: DATA on stream 1 has 16385 octets, and the client takes 16384 at most",
		holds: func(p *script) {
			// More is permitted from when the setting is sent: the server may have it already.
			p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1), setting(frame.SettingMaxFrameSize, 20000))
			p.server(h2.Response(1, 200), h2.DataOf(1, 20000), h2.Ack, h2.DataOf(1, 20000))
		},
	},
	{
		rule:   "frame-on-wrong-stream",
		breaks: func(p *script) { begin(p).client(h2.Data(0, "x")) },
		want:   "client 0: the client has sent an invalid frame: DATA on stream 0",
		holds:  func(p *script) { begin(p).client(h2.WindowUpdate(0, 1), h2.WindowUpdate(1, 1)) },
	},
	{
		rule: "padding-too-long",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200), h2.Frame(frame.TypeData, frame.FlagPadded, 1, 2, 0))
		},
		want: "server 1: the server has sent an invalid frame: DATA padding is longer than its payload",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200).Pad(9), frame.Data{StreamID: 1, Padded: true, PadLength: 4})
		},
	},
	{
		rule:   "window-update-zero",
		breaks: func(p *script) { begin(p).client(h2.WindowUpdate(1, 0)) },
		want:   "client 1: the client has sent an invalid frame: WINDOW_UPDATE with increment 0",
		holds:  func(p *script) { begin(p).client(h2.WindowUpdate(1, 1)) },
	},
	{
		rule: "priority-self",
		breaks: func(p *script) {
			begin(p).client(h2.Get(3).WithPriority(frame.PriorityParam{DependsOn: 3}))
		},
		want: "client 3: the client has made stream 3 depend on itself",
		holds: func(p *script) {
			begin(p).client(h2.Get(3).WithPriority(frame.PriorityParam{DependsOn: 1}), frame.Priority{StreamID: 9})
		},
	},
	{
		rule:   "frame-invalid",
		breaks: func(p *script) { begin(p).client(h2.Frame(frame.TypePriorityUpdate, 0, 0, 0, 0, 0, 0, 'u')) },
		want:   "client 0: the client has sent an invalid frame: PRIORITY_UPDATE for stream 0",
		holds:  func(p *script) { begin(p).client(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u=1")}) },
	},
	{
		rule:   "extension-invalid",
		breaks: func(p *script) { begin(p).server(h2.Frame(frame.TypeOrigin, 0, 1)) },
		want:   "server 1: the server has sent ORIGIN on stream 1, which has to be ignored",
		holds:  func(p *script) { begin(p).server(h2.Frame(frame.TypeOrigin, 0, 0), frame.AltSvc{StreamID: 1}) },
	},
	{
		rule:   "extension-by-client",
		breaks: func(p *script) { begin(p).client(frame.AltSvc{Origin: []byte("https://example.com")}) },
		want:   "client 0: the client has sent ALTSVC, which is for servers",
		holds:  func(p *script) { begin(p).server(frame.AltSvc{Origin: []byte("https://example.com")}) },
	},
	{
		rule:   "priority-update-by-server",
		breaks: func(p *script) { begin(p).server(frame.PriorityUpdate{PrioritizedID: 1}) },
		want:   "server 0: the server has sent PRIORITY_UPDATE",
		holds:  func(p *script) { begin(p).client(frame.PriorityUpdate{PrioritizedID: 1}) },
	},
	{
		rule:   "flags-undefined",
		breaks: func(p *script) { begin(p).client(h2.Frame(frame.TypeWindowUpdate, 0x42, 1, 0, 0, 0, 1)) },
		want:   "client 1: WINDOW_UPDATE on stream 1 has the flags 0x42, which the type does not have",
		holds:  func(p *script) { begin(p).client(h2.Frame(0xb9, 0x42, 1, 0)) },
	},
}

var blockCases = []ruleCase{
	{
		rule:   "continuation-interrupted",
		breaks: func(p *script) { begin(p).client(h2.Get(3).Open(), h2.Ping("")) },
		want:   "client 0: PING on stream 0 comes in the midst of a header block of stream 3",
		holds:  func(p *script) { begin(p).client(h2.Get(3).Cut(3), h2.Ping("")) },
	},
	{
		rule:   "continuation-unexpected",
		breaks: func(p *script) { begin(p).client(frame.Continuation{StreamID: 1, EndHeaders: true}) },
		want:   "client 1: CONTINUATION on stream 1 continues no header block",
		holds:  func(p *script) { begin(p).client(h2.Get(3).Cut(2)) },
	},
	{
		rule: "hpack-invalid",
		breaks: func(p *script) {
			err := frame.NewConnError(frame.CompressionError, "RFC 9113 §4.3", "header block cannot be decoded")
			h := frame.Header{Type: frame.TypeHeaders, Flags: frame.FlagEndHeaders, StreamID: 3, Length: 1}
			begin(p).client(&Frame{Header: h, Err: err})
		},
		want:  "client 3: the client: header block cannot be decoded",
		holds: func(p *script) { begin(p) },
	},
	{
		rule: "header-list-too-large",
		breaks: func(p *script) {
			p.settle(h2.Settings(), setting(frame.SettingMaxHeaderListSize, 200)).client(h2.Get(1, "a: "+long(100)))
		},
		want: "client 1: a header section of 310 octets; the server takes 200",
		holds: func(p *script) {
			p.settle(h2.Settings(), setting(frame.SettingMaxHeaderListSize, 200)).client(h2.Get(1))
		},
	},
}

var tlsCases = []ruleCase{
	{
		rule:   "tls-version",
		breaks: func(p *script) { p.s.info.TLS = &TLS{Version: tls.VersionTLS11}; begin(p) },
		want:   "server 0: the connection is TLS 1.1",
		holds:  func(p *script) { p.s.info.TLS = &TLS{Version: tls.VersionTLS13}; begin(p) },
	},
	{
		rule: "tls-cipher-suite",
		breaks: func(p *script) {
			p.s.info.TLS = &TLS{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
			begin(p)
		},
		want: "server 0: the connection uses TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
		holds: func(p *script) {
			p.s.info.TLS = &TLS{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
			begin(p)
		},
	},
	{
		rule:   "tls-server-name",
		breaks: func(p *script) { p.s.info.TLS = &TLS{ClientRandom: make([]byte, 32)}; begin(p) },
		want:   "client 0: the client does not name the server in its ClientHello",
		holds: func(p *script) {
			p.s.info.TLS = &TLS{ClientRandom: make([]byte, 32), ServerName: "example.com"}
			begin(p)
		},
	},
}
