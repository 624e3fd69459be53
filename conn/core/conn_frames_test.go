package core

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func setting(id frame.SettingID, v uint32) frame.Setting { return frame.Setting{ID: id, Value: v} }

// The rules of RFC 9113 §6 on frames of the connection.
var connFrameTests = []frameTest{
	{"6.5 SETTINGS", Server, false, []any{h2test.Settings()}, "SETTINGS ack; settings"},
	{"6.5 unknown setting", Server, false, []any{h2test.Settings(setting(0xabc, 1))}, "SETTINGS ack; settings"},
	{"6.5 on a stream", Server, true, []any{h2test.Frame(frame.TypeSettings, 0, 1)}, protocolError("6.5")},
	{
		"6.5 ACK with payload",
		Server,
		false,
		[]any{h2test.Frame(frame.TypeSettings, 1, 0, 0, 1, 0, 0, 0, 0)},
		sizeError("6.5"),
	},
	{"6.5 half a setting", Server, false, []any{h2test.Frame(frame.TypeSettings, 0, 0, 0, 1, 0)}, sizeError("6.5")},
	{"6.5 a second ACK", Server, false, []any{frame.Settings{Ack: true}}, ""},
	{
		"6.5.2 ENABLE_PUSH of 2", Server, false,
		[]any{h2test.Settings(setting(frame.SettingEnablePush, 2))},
		protocolError("6.5.2"),
	},
	{
		"6.5.2 ENABLE_PUSH of a server", Client, false,
		[]any{h2test.Settings(setting(frame.SettingEnablePush, 1))},
		protocolError("6.5.2"),
	},
	{
		"6.5.2 no push of a server", Client, false,
		[]any{h2test.Settings(setting(frame.SettingEnablePush, 0))},
		"SETTINGS ack; settings",
	},
	{
		"6.5.2 window of 2^31", Server, false,
		[]any{h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<31))},
		goAway(frame.FlowControlError, "RFC 9113 §6.5.2"),
	},
	{
		"6.5.2 window of 2^31-1", Server, true,
		[]any{h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<31-1))},
		"SETTINGS ack; settings",
	},
	{
		"6.9.2 setting takes a stream's window over 2^31-1", Server, true,
		[]any{h2test.WindowUpdate(1, 1), h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<31-1))},
		goAway(frame.FlowControlError, "RFC 9113 §6.9.2"),
	},
	{
		"6.5.2 frames of 16383", Server, false,
		[]any{h2test.Settings(setting(frame.SettingMaxFrameSize, 1<<14-1))},
		protocolError("6.5.2"),
	},
	{
		"6.5.2 frames of 0",
		Client,
		false,
		[]any{h2test.Settings(setting(frame.SettingMaxFrameSize, 0))},
		protocolError("6.5.2"),
	},
	{
		"6.5.2 frames of 2^24", Server, false,
		[]any{h2test.Settings(setting(frame.SettingMaxFrameSize, 1<<24))},
		protocolError("6.5.2"),
	},
	{
		"6.5.2 frames of 2^24-1", Server, false,
		[]any{h2test.Settings(setting(frame.SettingMaxFrameSize, 1<<24-1))},
		"SETTINGS ack; settings",
	},
	{
		"6.5.2 any table, streams and list", Server, false,
		[]any{
			h2test.Settings(
				setting(frame.SettingHeaderTableSize, 1<<32-1),
				setting(frame.SettingMaxConcurrentStreams, 0),
				setting(frame.SettingMaxHeaderListSize, 0),
			),
		},
		"SETTINGS ack; settings",
	},
	{
		"RFC 8441 3 value of 2", Client, false,
		[]any{h2test.Settings(setting(frame.SettingEnableConnectProtocol, 2))},
		goAway(frame.ProtocolError, "RFC 8441 §3"),
	},
	{
		"RFC 8441 3 taken back", Client, false, []any{
			h2test.Settings(
				setting(frame.SettingEnableConnectProtocol, 1),
			), h2test.Settings(setting(frame.SettingEnableConnectProtocol, 0)),
		}, goAway(frame.ProtocolError, "RFC 8441 §3"),
	},
	{
		"RFC 9218 2.1 changed", Server, false,
		[]any{h2test.Settings(setting(frame.SettingNoRFC7540Priorities, 1))},
		goAway(frame.ProtocolError, "RFC 9218 §2.1"),
	},

	{"6.6 PUSH_PROMISE to a server", Server, true, []any{h2test.Promise(1, 2)}, protocolError("8.4")},
	{"6.6 push is disabled", Client, true, []any{h2test.Promise(1, 2)}, protocolError("8.4")},

	{"6.7 PING", Server, false, []any{h2test.Ping("12345678")}, `PING "12345678" ack`},
	{"6.7 ACK", Server, false, []any{frame.Ping{Ack: true}}, `ping ack "\x00\x00\x00\x00\x00\x00\x00\x00"`},
	{"6.7 on a stream", Server, true, []any{h2test.Frame(frame.TypePing, 0, 1, make([]byte, 8)...)}, protocolError("6.7")},
	{"6.7 too short", Server, false, []any{h2test.Frame(frame.TypePing, 0, 0, make([]byte, 7)...)}, sizeError("6.7")},
	{"6.7 too long", Server, false, []any{h2test.Frame(frame.TypePing, 0, 0, make([]byte, 9)...)}, sizeError("6.7")},

	{
		"6.8 GOAWAY", Server, true,
		[]any{frame.GoAway{LastStreamID: 8, Code: frame.EnhanceYourCalm, DebugData: []byte("hm")}},
		`goaway: http2: peer ended the connection with ENHANCE_YOUR_CALM, last stream 8, debug data "hm"`,
	},
	{
		"6.8 on a stream",
		Server,
		true,
		[]any{h2test.Frame(frame.TypeGoAway, 0, 1, make([]byte, 8)...)},
		protocolError("6.8"),
	},
	{"6.8 too short", Server, false, []any{h2test.Frame(frame.TypeGoAway, 0, 0, make([]byte, 7)...)}, sizeError("6.8")},
	{
		"6.8 last stream increases", Client, true,
		[]any{frame.GoAway{LastStreamID: 3}, frame.GoAway{LastStreamID: 5}},
		protocolError("6.8"),
	},

	{
		"RFC 9218 7.1 PRIORITY_UPDATE",
		Server,
		false,
		[]any{frame.PriorityUpdate{PrioritizedID: 7, Value: []byte("u=1")}},
		"",
	},
	{
		"RFC 9218 7.1 to a client", Client, false,
		[]any{frame.PriorityUpdate{PrioritizedID: 7, Value: []byte("u=1")}},
		goAway(frame.ProtocolError, "RFC 9218 §7.1"),
	},
	{
		"RFC 9218 7.1 for stream 0", Server, false,
		[]any{h2test.Frame(frame.TypePriorityUpdate, 0, 0, 0, 0, 0, 0)},
		goAway(frame.ProtocolError, "RFC 9218 §7.1"),
	},
	{
		"RFC 7838 4 ALTSVC",
		Client,
		false,
		[]any{frame.AltSvc{Origin: []byte("https://x"), Value: []byte("clear")}},
		"ALTSVC 16",
	},
	{
		"RFC 7838 4 ALTSVC on a stream",
		Client,
		true,
		[]any{frame.AltSvc{StreamID: 1, Value: []byte("clear")}},
		"ALTSVC 1 7",
	},
	{
		"RFC 7838 4 ALTSVC on a stream that is closed",
		Client,
		false,
		[]any{frame.AltSvc{StreamID: 1, Value: []byte("clear")}},
		"",
	},
	{
		"RFC 7838 4 ALTSVC with an origin on a stream",
		Client,
		true,
		[]any{frame.AltSvc{StreamID: 1, Origin: []byte("x")}},
		"",
	},
	{"RFC 7838 4 ALTSVC without an origin", Client, false, []any{frame.AltSvc{Value: []byte("clear")}}, ""},
	{"RFC 7838 4 ALTSVC to a server", Server, false, []any{h2test.Frame(frame.TypeAltSvc, 0, 0, 9, 9)}, ""},
	{
		"RFC 7838 4 half an ALTSVC",
		Client,
		false,
		[]any{h2test.Frame(frame.TypeAltSvc, 0, 0, 9, 9)},
		"GOAWAY FRAME_SIZE_ERROR RFC 7838 §4",
	},
	{"RFC 8336 2 ORIGIN", Client, false, []any{h2test.Frame(frame.TypeOrigin, 0, 0, 0, 1, 'x')}, "ORIGIN 3"},
	{"RFC 8336 2 ORIGIN on a stream", Client, true, []any{h2test.Frame(frame.TypeOrigin, 0, 1, 0, 1, 'x')}, ""},
	{"RFC 8336 2 ORIGIN with a flag", Client, false, []any{h2test.Frame(frame.TypeOrigin, 1, 0, 0, 1, 'x')}, ""},
	{"RFC 8336 2 ORIGIN to a server", Server, false, []any{h2test.Frame(frame.TypeOrigin, 0, 0, 0)}, ""},
	{
		"RFC 8336 2 half an ORIGIN",
		Client,
		false,
		[]any{h2test.Frame(frame.TypeOrigin, 0, 0, 0, 9, 'x')},
		"GOAWAY FRAME_SIZE_ERROR RFC 8336 §2.1",
	},
}

func TestConnFrames(t *testing.T) { runFrameTests(t, connFrameTests) }

// RFC 9113 §3.4.
func TestPreface(t *testing.T) {
	bad := "RFC 9113 §3.4"
	tests := []struct {
		name string
		role Role
		send []any
		want string
	}{
		{"good", Server, []any{frame.Preface, h2test.Settings()}, "SETTINGS ack; settings"},
		{"good, to a client", Client, []any{h2test.Settings()}, "SETTINGS ack; settings"},
		{"HTTP/1.1", Server, []any{"GET / HTTP/1.1\r\n\r\n"}, goAway(frame.ProtocolError, bad)},
		{"first octet", Server, []any{"X"}, goAway(frame.ProtocolError, bad)},
		{"last octet", Server, []any{frame.Preface[:23], "X"}, goAway(frame.ProtocolError, bad)},
		{"no SETTINGS", Server, []any{frame.Preface, h2test.GetOpen(1)}, goAway(frame.ProtocolError, bad)},
		{"ACK first", Server, []any{frame.Preface, frame.Settings{Ack: true}}, goAway(frame.ProtocolError, bad)},
		{"unknown frame first", Server, []any{frame.Preface, h2test.Frame(0xbb, 0, 0)}, goAway(frame.ProtocolError, bad)},
		{"server begins with PING", Client, []any{h2test.Ping("12345678")}, goAway(frame.ProtocolError, bad)},
		{
			"server speaks HTTP/1.1",
			Client,
			[]any{"HTTP/1.1 400 Bad Request\r\n"},
			goAway(frame.FrameSizeError, "RFC 9113 §4.2"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newSilentPeer(t, tt.role)
			p.outcome()
			p.send(tt.send...)
			if got := p.outcome(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// Bytes may come one by one.
func TestDrips(t *testing.T) {
	p := newSilentPeer(t, Server)
	b := p.codec.Append(nil, frame.Preface, h2test.Settings(), h2test.Ack,
		h2test.GetOpen(1).Cut(3).Pad(5), h2test.Data(1, "hello"), h2test.DataEnd(1, ""))
	p.outcome()
	for i := range b {
		p.send(b[i : i+1])
	}
	p.want("SETTINGS are acknowledged", "SETTINGS ack")
	p.wantEvents("all has arrived", "settings", "headers 1 GET /", "data 1 5", "data 1 0 end")
	if n := p.c.Counts().FramesIn; n != 7 {
		t.Errorf("%d frames were counted, want 7", n)
	}
}

// The settings of a frame are applied in order, all before anything else, and those that come again
// replace what they were (RFC 9113 §6.5.3).
func TestSettingsInOrder(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.answer(1, false)
	p.outcome()
	p.send(
		h2test.Settings(
			setting(frame.SettingInitialWindowSize, 1),
			setting(frame.SettingInitialWindowSize, 70000),
			setting(frame.SettingMaxFrameSize, 20000),
			setting(frame.SettingMaxFrameSize, 30000),
			setting(frame.SettingMaxConcurrentStreams, 9),
			setting(frame.SettingMaxHeaderListSize, 10),
			setting(0xff, 1),
			setting(frame.SettingHeaderTableSize, 0),
			setting(frame.SettingEnablePush, 0),
		),
	)
	want := initialSettings()
	want.HeaderTableSize, want.EnablePush, want.MaxConcurrentStreams = 0, false, 9
	want.InitialWindowSize, want.MaxFrameSize, want.MaxHeaderListSize = 70000, 30000, 10
	if got := p.c.PeerSettings(); got != want {
		t.Errorf("settings in force are %+v, want %+v", got, want)
	}
	if got := p.stream(1).SendWindow(); got != 70000 {
		t.Errorf("the stream's window is %d, want 70000", got)
	}
	// A bad one keeps those behind it from being applied, and ends the connection.
	p.send(
		h2test.Settings(
			setting(frame.SettingMaxConcurrentStreams, 7),
			setting(frame.SettingMaxFrameSize, 1),
			setting(frame.SettingMaxConcurrentStreams, 8),
		),
	)
	p.wantDead("SETTINGS_MAX_FRAME_SIZE of 1", frame.ProtocolError, "RFC 9113 §6.5.2")
	if got := p.c.PeerSettings().MaxConcurrentStreams; got != 7 {
		t.Errorf("SETTINGS_MAX_CONCURRENT_STREAMS is %d, want 7", got)
	}
}

// A smaller SETTINGS_INITIAL_WINDOW_SIZE makes windows negative, and they have to be filled up
// before anything goes (RFC 9113 §6.9.2).
func TestNegativeWindow(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.answer(1, false)
	p.queue(1, 60, false)
	p.outcome()
	p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 0)))
	p.queue(1, 50, true)
	p.want("the window is 60 below 0", "SETTINGS ack")
	p.send(h2test.WindowUpdate(1, 60))
	p.flush()
	p.want("the window is 0")
	p.send(h2test.WindowUpdate(1, 1))
	p.flush()
	p.want("the window is 1", "DATA 1 1 octets")
	p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 9)))
	p.flush()
	p.want("the window is 9", "SETTINGS ack", "DATA 1 9 octets")
	p.send(h2test.WindowUpdate(1, 1<<20))
	p.flush()
	p.want("the rest", "DATA 1 40 octets END_STREAM")
}

// A reduced table is announced in the next header block, the smallest size in between first (RFC
// 7541 §4.2), and what was in the table is not used any more.
func TestHeaderTableSize(t *testing.T) {
	p := newPeer(t, Server)
	respond := func(id uint32) {
		p.send(h2test.Get(id))
		p.answer(id, true, "x-custom: value", "server: something")
	}
	want := func(id uint32) string {
		return "HEADERS " + itoa(id) + " :status=200 x-custom=value server=something END_STREAM"
	}
	respond(1)
	p.want("literals", want(1))
	p.codec.Decoder().SetAllowedMaxDynamicTableSize(0)
	p.send(h2test.Settings(setting(frame.SettingHeaderTableSize, 0)))
	respond(3)
	p.want("an empty table", "SETTINGS ack", want(3))
	p.codec.Decoder().SetAllowedMaxDynamicTableSize(1 << 20)
	p.send(h2test.Settings(setting(frame.SettingHeaderTableSize, 60), setting(frame.SettingHeaderTableSize, 1<<20)))
	for id := uint32(5); id < 11; id += 2 {
		respond(id)
	}
	p.want("a large table", "SETTINGS ack", want(5), want(7), want(9))
}

// Our own table is in force when the peer has acknowledged it, and it has to say so (RFC 9113
// §4.3.1).
func TestOwnHeaderTableSize(t *testing.T) {
	p := newSilentPeer(t, Server, func(cfg *Config) { cfg.DecoderTableSize = 0 })
	p.greet()
	p.send(h2test.Get(1, "x-custom: value"), h2test.Get(3, "x-custom: value"))
	p.alive("the peer may use its table before the acknowledgement")
	p.codec.Encoder().SetMaxDynamicTableSize(0)
	p.send(
		frame.Settings{Ack: true},
		h2test.Get(5, "x-custom: value"),
		h2test.Get(7, "x-custom: value"),
	)
	p.alive("the peer has announced an empty table")
	p.wantEvents(
		"all requests",
		"settings",
		"headers 1 GET / x-custom=value end",
		"headers 3 GET / x-custom=value end",
		"headers 5 GET / x-custom=value end",
		"headers 7 GET / x-custom=value end",
	)

	p = newSilentPeer(t, Server, func(cfg *Config) { cfg.DecoderTableSize = 0 })
	p.greet()
	p.send(
		h2test.Get(1, "x-custom: value"),
		frame.Settings{Ack: true},
		h2test.Get(3, "x-custom: value"),
	)
	p.wantDead("the size update is missing", frame.CompressionError, "RFC")
}

// The round trip of a PING, and those of the connection's own.
func TestPing(t *testing.T) {
	p := newPeer(t, Client, func(cfg *Config) { cfg.PingInterval, cfg.PingTimeout = time.Minute, time.Second })
	p.c.Ping([8]byte([]byte("question")))
	p.take()
	p.want("PING", `PING "question"`)
	p.send(frame.Ping{Ack: true, Data: [8]byte([]byte("question"))})
	p.wantEvents("its answer", `ping ack "question"`)
	p.tick(time.Minute)
	p.want("keepalive", `PING "sluiceka"`)
	p.send(frame.Ping{Ack: true, Data: keepalivePing})
	p.wantQuiet("the answer to a keepalive concerns nobody")
}
