package core

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// sendRefused sends items as send does, and refuses every frame that they are.
func (p *peer) sendRefused(code frame.Code, items ...any) {
	p.tb.Helper()
	b := p.encode(items)
	for len(b) > 0 {
		n, err := p.c.Decode(b)
		if err == nil && n == 0 {
			p.tb.Fatalf("%d octets are no frame", len(b))
		}
		if err == nil {
			if _, _, ok := p.c.Frame(); !ok {
				p.tb.Fatal("Frame gives no frame after Decode has taken one")
			}
			p.c.Refuse(code)
			err = p.c.Apply(p.now)
		}
		p.takeEvents()
		if err != nil {
			p.die(err)
			return
		}
		b = b[n:]
	}
	p.take()
}

func TestRefuse(t *testing.T) {
	data := frame.Data{StreamID: 1, Data: make([]byte, 1000), Padded: true, PadLength: 9}
	for _, tt := range []struct {
		name string
		code frame.Code
		item any
		want string
	}{
		{"request", frame.NoError, h2test.Get(3), "RST_STREAM 3 REFUSED_STREAM"},
		{"request with a code", frame.EnhanceYourCalm, h2test.GetOpen(3), "RST_STREAM 3 ENHANCE_YOUR_CALM"},
		{"request in pieces", frame.NoError, h2test.GetOpen(3).Cut(5), "RST_STREAM 3 REFUSED_STREAM"},
		{
			"trailers", frame.NoError, h2test.Trailers(1),
			"RST_STREAM 1 REFUSED_STREAM; reset 1 local REFUSED_STREAM; closed 1",
		},
		{"data", frame.Cancel, data, "RST_STREAM 1 CANCEL; reset 1 local CANCEL; closed 1"},
		{"data dropped", frame.NoError, data, "RST_STREAM 1 REFUSED_STREAM; reset 1 local REFUSED_STREAM; closed 1"},
		{"PING", frame.NoError, frame.Ping{}, ""},
		{"PING with a code", frame.Cancel, frame.Ping{}, ""},
		{"PRIORITY", frame.NoError, frame.Priority{StreamID: 1}, ""},
		{
			"PRIORITY with a code", frame.Cancel,
			frame.Priority{StreamID: 1},
			"RST_STREAM 1 CANCEL; reset 1 local CANCEL; closed 1",
		},
		{"PRIORITY on an idle stream", frame.Cancel, frame.Priority{StreamID: 99}, ""},
		{"PING's answer", frame.NoError, frame.Ping{Ack: true, Data: [8]byte([]byte("12345678"))}, `ping ack "12345678"`},
		{
			"WINDOW_UPDATE with a code", frame.Cancel, h2test.WindowUpdate(1, 1),
			"RST_STREAM 1 CANCEL; reset 1 local CANCEL; closed 1",
		},
		{"WINDOW_UPDATE of 0", frame.NoError, frame.WindowUpdate{}, "GOAWAY PROTOCOL_ERROR RFC 9113 §6.9"},
		{"WINDOW_UPDATE", frame.NoError, frame.WindowUpdate{Increment: 1 << 30}, ""},
		{
			"RST_STREAM has its effect", frame.NoError,
			frame.RSTStream{StreamID: 1, Code: frame.Cancel},
			"reset 1 remote CANCEL; closed 1",
		},
		{
			"SETTINGS have theirs", frame.NoError,
			frame.NewSettings(frame.Setting{ID: frame.SettingMaxFrameSize, Value: 1 << 20}),
			"SETTINGS ack; settings",
		},
		{"unknown", frame.NoError, frame.Unknown{Header: frame.Header{Type: 0x77}}, ""},
		{
			"a frame that is wrong", frame.NoError,
			frame.Data{StreamID: 0, Data: []byte("x")},
			"GOAWAY PROTOCOL_ERROR RFC 9113 §6.1",
		},
		{"an even stream", frame.NoError, h2test.Get(2), "GOAWAY PROTOCOL_ERROR RFC 9113 §5.1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Server)
			p.send(h2test.GetOpen(1))
			p.outcome()
			p.sendRefused(tt.code, tt.item)
			if got := p.outcome(); got != tt.want {
				t.Errorf("outcome %q, want %q", got, tt.want)
			}
		})
	}
}

// The connection stays in order whatever is refused: HPACK, windows, and identifiers.
func TestRefuseKeepsTheConnectionInOrder(t *testing.T) {
	p := newPeer(t, Server)
	id := uint32(1)
	for range 1000 { // more than Limits lets a peer have reset for its faults
		p.sendRefused(frame.Cancel, h2test.GetOpen(id, "x-new: value "+itoa(id)))
		p.sendRefused(frame.NoError, frame.Data{StreamID: id, Data: make([]byte, 5000)})
		id += 2
		p.send(h2test.Get(id, "x-new: value "+itoa(id-2)))
		if got := p.stream(id).Head.Fields; len(got) == 0 || got[len(got)-1].Value != "value "+itoa(id-2) {
			t.Fatalf("stream %d came with %v", id, got)
		}
		p.answer(id, true)
		id += 2
	}
	p.alive("a thousand of each")
	p.flush()
	if p.granted[0] < p.spent/2 {
		t.Errorf("of %d octets of DATA %d were given back", p.spent, p.granted[0])
	}
}

// A WINDOW_UPDATE that is refused opens the window all the same: the peer will not give the credit
// a second time.
func TestRefuseKeepsCredit(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.answer(1, false)
	p.queue(1, 3*frame.DefaultWindow, true)
	p.flush()
	p.out = nil
	p.sendRefused(
		frame.NoError,
		h2test.WindowUpdate(1, 2*frame.DefaultWindow),
		h2test.WindowUpdate(0, 2*frame.DefaultWindow),
	)
	p.flush()
	if p.c.NumStreams() != 0 {
		t.Errorf("the rest of the response was not sent: %q", p.out)
	}
}

// What Compact frees is not that a frame of the header block which is being received was refused.
func TestRefuseSurvivesCompact(t *testing.T) {
	p := newPeer(t, Server)
	block := p.codec.Block(h2test.Get(1).Fields...)
	p.sendRefused(frame.NoError, frame.Headers{StreamID: 1, EndStream: true, Fragment: block[:2]})
	p.c.Compact()
	p.send(frame.Continuation{StreamID: 1, EndHeaders: true, Fragment: block[2:]})
	if got := p.outcome(); got != "RST_STREAM 1 REFUSED_STREAM" {
		t.Errorf("got %s", got)
	}
}
