package core

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// What can come on stream 1 in each of its states (RFC 9113 §5.1).
var stateFrames = map[string]any{
	"DATA":            h2test.Data(1, "12345"),
	"DATA end":        h2test.DataEnd(1, "12345"),
	"HEADERS":         h2test.Headers(1, "x: y"),
	"HEADERS end":     h2test.Trailers(1, "x: y"),
	"PRIORITY":        frame.Priority{StreamID: 1},
	"RST_STREAM":      h2test.RST(1, frame.Cancel),
	"WINDOW_UPDATE":   h2test.WindowUpdate(1, 1),
	"WINDOW_UPDATE 0": h2test.WindowUpdate(1, 0),
	"CONTINUATION":    frame.Continuation{StreamID: 1, EndHeaders: true},
}

const (
	connProtocol = "GOAWAY PROTOCOL_ERROR RFC 9113 §5.1"
	badID        = "GOAWAY PROTOCOL_ERROR RFC 9113 §5.1.1"
	connClosed   = "GOAWAY STREAM_CLOSED RFC 9113 §5.1"
	onlyAfter    = "GOAWAY PROTOCOL_ERROR RFC 9113 §6.10"
	closedReset  = "RST_STREAM 1 STREAM_CLOSED; reset 1 local STREAM_CLOSED; closed 1"
	ignored      = ""
)

// stateTest is one state and what each of stateFrames leads to.
type stateTest struct {
	name   string
	role   Role
	setup  func(p *peer)
	answer map[string]string
}

func serverStates() []stateTest {
	return []stateTest{
		{"idle", Server, func(*peer) {}, map[string]string{
			"DATA": connProtocol, "DATA end": connProtocol,
			"HEADERS":         "RST_STREAM 1 PROTOCOL_ERROR", // a request without pseudo-header fields
			"HEADERS end":     "RST_STREAM 1 PROTOCOL_ERROR",
			"PRIORITY":        ignored,
			"RST_STREAM":      connProtocol,
			"WINDOW_UPDATE":   connProtocol,
			"WINDOW_UPDATE 0": connProtocol,
		}},
		{"open", Server, func(p *peer) { p.send(h2test.GetOpen(1)) }, map[string]string{
			"DATA":            "data 1 5",
			"DATA end":        "data 1 5 end",
			"HEADERS":         "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
			"HEADERS end":     "trailers 1 x=y end",
			"PRIORITY":        ignored,
			"RST_STREAM":      "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE":   ignored,
			"WINDOW_UPDATE 0": "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
		}},
		{"half-closed (remote)", Server, func(p *peer) { p.send(h2test.Get(1)) }, map[string]string{
			"DATA": closedReset, "DATA end": closedReset, "HEADERS": closedReset, "HEADERS end": closedReset,
			"PRIORITY":        ignored,
			"RST_STREAM":      "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE":   ignored,
			"WINDOW_UPDATE 0": "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
		}},
		{"half-closed (local)", Server, func(p *peer) {
			p.send(h2test.GetOpen(1))
			p.answer(1, true)
		}, map[string]string{
			"DATA":            "data 1 5",
			"DATA end":        "data 1 5 end; closed 1",
			"HEADERS":         "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
			"HEADERS end":     "trailers 1 x=y end; closed 1",
			"PRIORITY":        ignored,
			"RST_STREAM":      "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE":   ignored,
			"WINDOW_UPDATE 0": "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
		}},
		{"closed by END_STREAM", Server, func(p *peer) {
			p.send(h2test.Get(1))
			p.answer(1, true)
		}, map[string]string{
			"DATA": connClosed, "DATA end": connClosed, "HEADERS": connClosed, "HEADERS end": connClosed,
			"PRIORITY": ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
		{"closed by our RST_STREAM", Server, func(p *peer) {
			p.send(h2test.GetOpen(1))
			p.c.Reset(p.stream(1), frame.Cancel)
		}, map[string]string{
			"DATA": ignored, "DATA end": ignored, "HEADERS": ignored, "HEADERS end": ignored,
			"PRIORITY": ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
		{"closed by their RST_STREAM", Server, func(p *peer) {
			p.send(h2test.GetOpen(1), h2test.RST(1, frame.Cancel))
		}, map[string]string{
			"DATA":        "RST_STREAM 1 STREAM_CLOSED",
			"DATA end":    "RST_STREAM 1 STREAM_CLOSED",
			"HEADERS":     "RST_STREAM 1 STREAM_CLOSED",
			"HEADERS end": "RST_STREAM 1 STREAM_CLOSED",
			"PRIORITY":    ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
		{"skipped", Server, func(p *peer) { p.send(h2test.GetOpen(5)) }, map[string]string{
			"HEADERS": badID, "HEADERS end": badID,
			"DATA": ignored, "DATA end": ignored, "PRIORITY": ignored, "RST_STREAM": ignored,
			"WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
	}
}

func clientStates() []stateTest {
	return []stateTest{
		{"idle", Client, func(*peer) {}, map[string]string{
			"DATA": connProtocol, "DATA end": connProtocol, "HEADERS": badID, "HEADERS end": badID,
			"PRIORITY": ignored, "RST_STREAM": connProtocol,
			"WINDOW_UPDATE": connProtocol, "WINDOW_UPDATE 0": connProtocol,
		}},
		{"open", Client, func(p *peer) {
			p.open(false)
			p.send(h2test.Response(1, 200))
		}, map[string]string{
			"DATA":            "data 1 5",
			"DATA end":        "data 1 5 end",
			"HEADERS":         "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
			"HEADERS end":     "trailers 1 x=y end",
			"PRIORITY":        ignored,
			"RST_STREAM":      "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE":   ignored,
			"WINDOW_UPDATE 0": "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
		}},
		{"half-closed (local)", Client, func(p *peer) {
			p.open(true)
			p.send(h2test.Response(1, 200))
		}, map[string]string{
			"DATA":            "data 1 5",
			"DATA end":        "data 1 5 end; closed 1",
			"HEADERS":         "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
			"HEADERS end":     "trailers 1 x=y end; closed 1",
			"PRIORITY":        ignored,
			"RST_STREAM":      "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE":   ignored,
			"WINDOW_UPDATE 0": "RST_STREAM 1 PROTOCOL_ERROR; reset 1 local PROTOCOL_ERROR; closed 1",
		}},
		{"half-closed (remote)", Client, func(p *peer) {
			p.open(false)
			p.send(h2test.Response(1, 200).End())
		}, map[string]string{
			"DATA": closedReset, "DATA end": closedReset, "HEADERS": closedReset, "HEADERS end": closedReset,
			"PRIORITY":      ignored,
			"RST_STREAM":    "reset 1 remote CANCEL; closed 1",
			"WINDOW_UPDATE": ignored,
		}},
		{"closed by END_STREAM", Client, func(p *peer) {
			p.open(true)
			p.send(h2test.Response(1, 200).End())
		}, map[string]string{
			"DATA": connClosed, "DATA end": connClosed, "HEADERS": connClosed, "HEADERS end": connClosed,
			"PRIORITY": ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
		{"closed by our RST_STREAM", Client, func(p *peer) {
			p.open(true)
			p.c.Reset(p.stream(1), frame.Cancel)
		}, map[string]string{
			"DATA": ignored, "DATA end": ignored, "HEADERS": ignored, "HEADERS end": ignored,
			"PRIORITY": ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
		{"closed by their RST_STREAM", Client, func(p *peer) {
			p.open(true)
			p.send(h2test.RST(1, frame.RefusedStream))
		}, map[string]string{
			"DATA":        "RST_STREAM 1 STREAM_CLOSED",
			"DATA end":    "RST_STREAM 1 STREAM_CLOSED",
			"HEADERS":     "RST_STREAM 1 STREAM_CLOSED",
			"HEADERS end": "RST_STREAM 1 STREAM_CLOSED",
			"PRIORITY":    ignored, "RST_STREAM": ignored, "WINDOW_UPDATE": ignored, "WINDOW_UPDATE 0": ignored,
		}},
	}
}

func TestFrameInState(t *testing.T) {
	for _, tt := range append(serverStates(), clientStates()...) {
		for name, f := range stateFrames {
			want, ok := tt.answer[name]
			if name == "CONTINUATION" {
				want, ok = onlyAfter, true
			}
			if !ok {
				continue
			}
			t.Run(tt.role.String()+"/"+tt.name+"/"+name, func(t *testing.T) {
				p := newPeer(t, tt.role)
				tt.setup(p)
				p.take()
				p.takeEvents()
				p.outcome()
				p.send(f)
				if got := p.outcome(); got != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
				wantAccounts(t, p.c)
			})
		}
	}
}

// A peer that goes on after its own RST_STREAM gets one RST_STREAM, not one for each frame; and
// RST_STREAM is never answered by RST_STREAM (RFC 9113 §5.4.2).
func TestOneReset(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1), h2test.RST(1, frame.Cancel))
	p.want("RST_STREAM has no answer")
	p.send(
		h2test.Data(1, "x"),
		h2test.Data(1, "x"),
		h2test.Trailers(1, "x: y"),
		h2test.RST(1, frame.StreamClosed),
		h2test.DataEnd(1, ""),
	)
	p.want("one answer to all that follows", "RST_STREAM 1 STREAM_CLOSED")
	p.alive("streams' errors are no connection's")

	p.send(h2test.Get(3))
	p.c.Reset(p.stream(3), frame.InternalError)
	p.c.Reset(p.stream(3), frame.InternalError)
	p.take()
	p.want("a stream is reset once", "RST_STREAM 3 INTERNAL_ERROR")
	p.send(h2test.RST(3, frame.Cancel), h2test.RST(3, frame.Cancel), h2test.RST(1, frame.Cancel))
	p.want("RST_STREAM on closed streams has no answer")
	p.send(h2test.Frame(frame.TypePriority, 0, 3), h2test.Frame(frame.TypePriority, 0, 1))
	p.want("an error of a stream that we have reset already")
}

// No frame makes c send RST_STREAM on an idle stream: the peer would have to end the connection for
// that.
func TestNoResetOnIdle(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		for typ := range frame.Type(0x20) {
			for _, flags := range []frame.Flags{0, 0x1, 0x4, 0x5, 0x8, 0x20, 0x2c, 0xff} {
				for size := range 12 {
					for _, id := range []uint32{1, 2, 7, 8} {
						checkNoResetOnIdle(t, role, h2test.Frame(typ, flags, id, make([]byte, size)...))
					}
				}
			}
		}
	}
}

func checkNoResetOnIdle(t *testing.T, role Role, f frame.Unknown) {
	t.Helper()
	p := newPeer(t, role, func(cfg *Config) { cfg.EnablePush = role == Client })
	p.send(f)
	for _, line := range p.out {
		// A server may refuse what opens a stream.
		opens := role == Server && f.Header.Type == frame.TypeHeaders && f.Header.StreamID&1 == 1
		if len(line) > 3 && line[:3] == "RST" && !opens {
			t.Errorf("%v: %v is answered with %s", role, f, line)
		}
	}
}
