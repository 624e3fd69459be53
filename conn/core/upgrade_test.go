package core

import (
	"testing"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// upgrade begins a connection with a request that came in HTTP/1.1 (RFC 7540 §3.2).
func upgrade(t *testing.T, payload []byte) (*peer, error) {
	t.Helper()
	p := newSilentPeer(t, Server)
	m := header.Message{Method: "GET", Path: "/old", ContentLength: -1}
	err := p.c.Upgrade(payload, m)
	p.takeEvents()
	p.take()
	return p, err
}

func TestUpgrade(t *testing.T) {
	f := h2test.Settings(setting(frame.SettingInitialWindowSize, 10), setting(frame.SettingMaxFrameSize, 1<<15))
	payload := f.Append(nil)[frame.HeaderLen:]
	p, err := upgrade(t, payload)
	if err != nil {
		t.Fatal(err)
	}
	p.want("SETTINGS of the upgrade have no acknowledgement", "SETTINGS")
	p.wantEvents("the request is stream 1, and complete", "headers 1 GET /old end")
	p.answer(1, false)
	p.queue(1, 15, true)
	p.want("before the preface, within the client's window", "HEADERS 1 :status=200", "DATA 1 10 octets")
	p.greet(setting(frame.SettingInitialWindowSize, 20))
	p.flush()
	p.want("the client's preface", "SETTINGS ack", "DATA 1 5 octets END_STREAM")
	p.send(h2test.Get(3))
	p.wantEvents("life goes on", "settings", "drained 1", "closed 1", "headers 3 GET / end")
}

func TestUpgradeErrors(t *testing.T) {
	if _, err := upgrade(t, []byte{1, 2, 3}); err == nil {
		t.Error("half a setting was taken")
	}
	if _, err := upgrade(t, []byte{0, 4, 0xff, 0, 0, 0}); err == nil {
		t.Error("a window of 2^32-2^24 was taken")
	}
	p, err := upgrade(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.greet()
	p.send(h2test.Data(1, "x"))
	p.want("stream 1 is half-closed (remote)", "SETTINGS", "SETTINGS ack", "RST_STREAM 1 STREAM_CLOSED")
	p.wantEvents("as any other", "headers 1 GET /old end", "settings", "reset 1 local STREAM_CLOSED", "closed 1")
	p.send(h2test.Trailers(1, "x: y"))
	p.wantQuiet("once")
}

// A request that came in HTTP/1.1 can be refused like others, and its preface is still due.
func TestUpgradeReset(t *testing.T) {
	p, err := upgrade(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.c.Reset(p.stream(1), frame.HTTP11Required)
	p.take()
	p.want("reset", "SETTINGS", "RST_STREAM 1 HTTP_1_1_REQUIRED")
	p.send("GET / HTTP/1.1\r\n")
	p.wantDead("no preface", frame.ProtocolError, "RFC 9113 §3.4")
}
