package conn

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func TestOriginAndAltSvc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string // written by the goroutine that reads; looked at when nothing runs
		p := newTestServer(t, Config{
			OnOrigin: func(_ *Client, origins []string) { got = append(got, origins...) },
			OnAltSvc: func(_ *Client, a AltSvc) { got = append(got, fmt.Sprint(a.Owner, a.Origin, " ", a.Value)) },
		})
		st, err := p.client.OpenRequest(
			&Request{Fields: h2test.Request(1, "GET", "/").Fields, End: true, Owner: "the request "},
		)
		check(t, "OpenRequest", err)
		long := "https://" + strings.Repeat("x", maxOriginOctets)
		p.send(frame.NewOrigin("https://a.example", long, "https://b.example"),
			frame.AltSvc{Origin: []byte("https://a.example"), Value: []byte("clear")},
			frame.AltSvc{StreamID: st.ID(), Value: []byte(`h2=":1"`)})
		many := slices.Repeat([]string{"x"}, maxOrigins+100)
		want := []string{
			"https://a.example", "https://b.example", "<nil>https://a.example clear", `the request  h2=":1"`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("told of %q, want %q", got, want)
		}
		got = nil
		p.send(frame.NewOrigin(many...))
		if len(got) != maxOrigins {
			t.Errorf("told of %d origins of one frame, want %d", len(got), maxOrigins)
		}
		st.Release()
	})
}

func TestSendOriginAndAltSvc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		check(t, "SendOrigin", p.server.SendOrigin("https://a.example"))
		check(t, "SendAltSvc", p.server.SendAltSvc("https://a.example", "clear"))
		check(t, "SendAltSvc of a stream", st.SendAltSvc("clear"))
		for name, err := range map[string]error{
			"no origin": p.server.SendAltSvc("", "clear"), "too long": p.server.SendAltSvc("x", strings.Repeat("x", 1<<14)),
			"too long on a stream": st.SendAltSvc(strings.Repeat("x", 1<<14)),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		p.c.Flush()
		p.want(
			"in order",
			frame.NewOrigin("https://a.example"),
			frame.AltSvc{Origin: []byte("https://a.example"), Value: []byte("clear")},
			frame.AltSvc{StreamID: 1, Value: []byte("clear")},
		)
		st.Release()
		check(t, "Close", p.c.Close())
		if p.server.SendOrigin("https://a.example") == nil {
			t.Error("SendOrigin on a connection that is closed")
		}
	})
}
