package conformance

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
)

// A client that resets whatever is pushed, at once: it gets no more of it for a while, and is
// served otherwise.
func TestHostilePushResets(t *testing.T) {
	ls := startServer(t, false, testHandler())
	p := dialRaw(t, ls).greet()
	promises, refused := 0, 0
	for i := range uint32(1000) {
		id := 2*i + 1
		p.get(id, "/push?asset=/hello").mustFlush()
		p.until("the page", func(f frame.Frame) bool {
			switch f := f.(type) {
			case frame.PushPromise:
				promises++
				if _, err := p.codec.Fields(f.Fragment); err != nil {
					t.Fatal(err)
				}
				p.add(frame.RSTStream{StreamID: f.PromisedID, Code: frame.Cancel}).mustFlush()
			case frame.Headers:
				if p.status(f) != "200" && f.StreamID == id {
					refused++
				}
			}
			h := f.FrameHeader()
			return h.StreamID == id && h.Flags.Has(frame.FlagEndStream)
		})
	}
	if promises < 200 || promises > 500 || promises+refused < 1000 {
		t.Errorf("%d promises were reset, and %d pages told of no more; the budget is 200, then 50/s", promises, refused)
	}
	p.get(2001, "/hello").mustFlush()
	p.sync()
}

// Frames that a client must not send on streams that are pushed (RFC 9113 §5.1).
func TestHostilePushFrames(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(p *rawPeer)
		code frame.Code
	}{
		{"DATA", func(p *rawPeer) { p.add(frame.Data{StreamID: 2, Data: []byte("x")}) }, frame.StreamClosed},
		{"HEADERS", func(p *rawPeer) { p.headers(2, true, p.request("GET", "/hello")...) }, frame.StreamClosed},
		{"PUSH_PROMISE", func(p *rawPeer) {
			fragment := p.codec.Block(p.request("GET", "/hello")...)
			p.add(frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: fragment})
		}, frame.ProtocolError},
		{"HEADERS on an even stream", func(p *rawPeer) {
			p.headers(4, true, p.request("GET", "/hello")...)
		}, frame.ProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ls := startServer(t, false, testHandler())
			p := dialRaw(t, ls).greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0}) // so that both streams stay
			p.get(1, "/push").mustFlush()
			p.until("the pushed response", func(f frame.Frame) bool {
				h := f.FrameHeader()
				return h.Type == frame.TypeHeaders && h.StreamID == 2
			})
			tt.send(p)
			p.mustFlush()
			p.until("the answer", func(f frame.Frame) bool {
				switch f := f.(type) {
				case frame.RSTStream:
					return f.StreamID == 2 && f.Code == tt.code
				case frame.GoAway:
					return f.Code == tt.code
				}
				return false
			})
		})
	}
}

// SETTINGS_ENABLE_PUSH changes midway: from its acknowledgement on nothing more is promised, and
// what was promised is still answered (RFC 9113 §6.5.2).
func TestHostilePushToggled(t *testing.T) {
	ls := startServer(t, false, testHandler())
	p := dialRaw(t, ls).greet()
	for i := range uint32(100) {
		on, id := 1-i%2, 2*i+1
		p.add(frame.NewSettings(frame.Setting{ID: frame.SettingEnablePush, Value: on}))
		p.get(id, "/push?asset=/hello").mustFlush()
		promised, open := 0, 1
		p.until("the page and what is pushed", func(f frame.Frame) bool {
			if f, ok := f.(frame.PushPromise); ok {
				promised++
				if open++; f.StreamID != id {
					t.Errorf("a promise on stream %d", f.StreamID)
				}
			}
			if f.FrameHeader().Flags.Has(frame.FlagEndStream) {
				if h := f.FrameHeader(); h.Type == frame.TypeData || h.Type == frame.TypeHeaders {
					open--
				}
			}
			return open == 0
		})
		if promised != int(on) {
			t.Fatalf("SETTINGS_ENABLE_PUSH of %d: %d promises", on, promised)
		}
	}
}
