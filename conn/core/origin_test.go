package core

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func TestSendOrigin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		origins []string
		frames  int
		left    int // out
	}{
		{"none", nil, 0, 0},
		{"two", []string{"https://a.example", "https://b.example:8443"}, 1, 0},
		{"more than one frame holds", slices.Repeat([]string{"https://" + strings.Repeat("x", 4000)}, 10), 3, 0},
		{"longer than a frame", []string{"https://a", strings.Repeat("x", 16_383), "https://b"}, 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Server)
			p.c.SendOrigin(tt.origins)
			var got []string
			headers, payloads := p.sentFrames()
			for i, h := range headers {
				f, err := frame.ParseOrigin(h, payloads[i])
				if err != nil {
					t.Fatal(err)
				}
				for o := range f.All() {
					got = append(got, string(o))
				}
			}
			if len(headers) != tt.frames || len(got) != len(tt.origins)-tt.left {
				t.Errorf(
					"%d frames with %d origins, want %d with %d",
					len(headers),
					len(got),
					tt.frames,
					len(tt.origins)-tt.left,
				)
			}
		})
	}
}

func TestSendAltSvc(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	if !p.c.SendAltSvc(nil, "https://a.example", "clear") || !p.c.SendAltSvc(p.stream(1), "", `h2=":8443"`) {
		t.Fatal("there is room for both")
	}
	if p.c.SendAltSvc(nil, "https://a.example", strings.Repeat("x", 16_384)) {
		t.Error("longer than a frame")
	}
	headers, payloads := p.sentFrames()
	if len(headers) != 2 {
		t.Fatalf("%d frames, want 2", len(headers))
	}
	a, err := frame.ParseAltSvc(headers[0], payloads[0])
	if err != nil || string(a.Origin) != "https://a.example" || string(a.Value) != "clear" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err = frame.ParseAltSvc(headers[1], payloads[1]); err != nil || a.StreamID != 1 ||
		string(a.Value) != `h2=":8443"` {
		t.Errorf("%v, %v", a, err)
	}
}

// A server may say so as often as it likes, which costs us what it costs any frame without use.
func TestOriginFlood(t *testing.T) {
	for name, f := range map[string]frame.Frame{
		"ORIGIN": frame.NewOrigin("https://a.example"),
		"ALTSVC": frame.AltSvc{Origin: []byte("https://a"), Value: []byte("clear")},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, Client)
			for i := 0; p.err == nil; i++ {
				if i > 2000 {
					t.Fatal("2000 frames, and the connection lives")
				}
				p.send(f)
			}
			p.wantDead("a flood", frame.EnhanceYourCalm, "glitches")
		})
	}
}
