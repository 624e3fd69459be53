package capture

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// stalls writes Stalls in lines, with times in milliseconds.
func stalls(p *script) (lines []string) {
	ms := func(t time.Time) int64 { return t.Sub(epoch).Milliseconds() }
	for _, s := range of[*Stall](p) {
		line := fmt.Sprintf("%v %d %v window %d-%d: %s", s.Dir, s.Stream, s.Window, ms(s.Start), ms(s.End), s.EndedBy)
		if s.Periods != 1 {
			line += fmt.Sprintf(", %d periods, blocked %d", s.Periods, s.Blocked.Milliseconds())
		}
		lines = append(lines, line)
	}
	return lines
}

// ask begins a connection with a window of 1,000 octets for the server on each stream, and opens
// stream 1.
func ask(p *script) *script {
	return p.settle(h2.Settings(h2.InitialWindow(1000)), h2.Settings()).client(h2.Get(1))
}

// stallCases are connections, and the Stalls of them.
var stallCases = []struct {
	name string
	play func(p *script)
	want []string
}{
	{"the stream's window is withheld", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		p.at(11).client(h2.WindowUpdate(0, 1000))
		p.at(310).client(h2.WindowUpdate(1, 5000))
		p.at(311).server(h2.DataEnd(1, "rest"))
	}, []string{"server 1 stream window 10-310: WINDOW_UPDATE on stream 1"}},

	{"the connection's window is withheld", func(p *script) {
		p.settle(h2.Settings(h2.InitialWindow(1<<20)), h2.Settings()).client(h2.Get(1), h2.Get(3))
		p.at(5).server(h2.Response(1, 200), h2.Response(3, 200), h2.DataOf(3, 100))
		p.at(10).server(h2.DataOf(1, 65435))
		p.at(210).client(h2.WindowUpdate(0, 1000))
		p.at(212).server(h2.DataOf(3, 1000))
		p.at(412).client(h2.WindowUpdate(0, 1000))
		p.at(413).server(h2.DataEnd(1, "rest"), h2.DataEnd(3, "rest"))
	}, []string{
		"server 3 connection window 10-210: WINDOW_UPDATE on stream 0",
		"server 1 connection window 10-412: WINDOW_UPDATE on stream 0",
		"server 3 connection window 212-412: WINDOW_UPDATE on stream 0",
	}},

	{"both are withheld", func(p *script) {
		p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1))
		p.at(10).server(h2.Response(1, 200), h2.DataOf(1, 65535))
		p.at(100).client(h2.WindowUpdate(0, 1000))
		p.at(160).client(h2.WindowUpdate(1, 1000))
		p.at(161).server(h2.DataEnd(1, "rest"))
	}, []string{"server 1 both window 10-160: WINDOW_UPDATE on stream 1"}},

	{"one octet at a time", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		for i := range 3 {
			p.at(60 + 50*i).client(h2.WindowUpdate(1, 1))
			p.at(61 + 50*i).server(h2.DataOf(1, 1))
		}
		p.at(200).client(h2.WindowUpdate(1, 1000))
		p.server(h2.DataEnd(1, "rest"))
	}, []string{
		"server 1 stream window 10-60: WINDOW_UPDATE on stream 1",
		"server 1 stream window 61-110: WINDOW_UPDATE on stream 1",
		"server 1 stream window 111-160: WINDOW_UPDATE on stream 1",
		"server 1 stream window 161-200: WINDOW_UPDATE on stream 1",
	}},

	{"one octet at a time, in short steps", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		for i := range 10 {
			p.at(15 + 5*i).client(h2.WindowUpdate(1, 1))
			p.at(16 + 5*i).server(h2.DataOf(1, 1))
		}
		p.at(65).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "rest"))
	}, []string{"server 1 stream window 10-65: WINDOW_UPDATE on stream 1, 11 periods, blocked 45"}},

	{"credit at once", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		for i := range 30 {
			p.at(20+10*i).client(h2.WindowUpdate(0, 2000), h2.WindowUpdate(1, 2000))
			p.at(21 + 10*i).server(h2.DataOf(1, 2000))
		}
		p.server(h2.DataEnd(1, ""))
	}, nil},

	{"nothing more to send", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		p.at(500).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, ""))
	}, nil},

	{"the last octets fit", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataEnd(1, string(make([]byte, 1000))))
		p.at(500).end(wire.Closed)
	}, nil},

	{"an upload, reset by the server", func(p *script) {
		p.settle(h2.Settings(), h2.Settings(h2.InitialWindow(10))).client(h2.Post(1), h2.DataOf(1, 10))
		p.at(90).server(h2.RST(1, frame.Cancel))
	}, []string{"client 1 stream window 0-90: RST_STREAM"}},

	{"no window from the beginning, until the capture ends", func(p *script) {
		p.settle(h2.Settings(h2.InitialWindow(0)), h2.Settings()).client(h2.Get(1))
		p.at(20).server(h2.Response(1, 200, "content-length: 5")).at(80).end(wire.Open)
	}, []string{"server 1 stream window 20-80: end of capture"}},

	{"a setting opens the window", func(p *script) {
		p.settle(h2.Settings(h2.InitialWindow(0)), h2.Settings()).client(h2.Get(1))
		p.at(20).server(h2.Response(1, 200))
		p.at(100).client(h2.Settings(h2.InitialWindow(100)))
		p.at(110).server(h2.Ack, h2.DataEnd(1, "content"))
	}, []string{"server 1 stream window 20-110: SETTINGS_INITIAL_WINDOW_SIZE"}},

	{"a setting shuts the window", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 700))
		p.at(20).client(h2.Settings(h2.InitialWindow(100))).server(h2.Ack)
		p.at(200).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "content"))
	}, []string{"server 1 stream window 20-200: WINDOW_UPDATE on stream 1"}},

	{"a few octets are left", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 990))
		p.at(110).client(h2.WindowUpdate(1, 1000))
		p.at(111).server(h2.DataEnd(1, "content of more than what was left"))
	}, []string{"server 1 stream window 10-110: WINDOW_UPDATE on stream 1"}},

	{"a few octets are left, and the server is slow", func(p *script) {
		ask(p).at(10).server(h2.Response(1, 200), h2.DataOf(1, 990))
		p.at(110).client(h2.WindowUpdate(1, 1000))
		p.at(900).server(h2.DataEnd(1, "content of more than what was left"))
	}, nil},

	{"another stream has used the window of an idle one", func(p *script) {
		p.settle(h2.Settings(h2.InitialWindow(1<<20)), h2.Settings()).client(h2.Get(1), h2.Get(3))
		p.server(h2.Response(1, 200), h2.Response(3, 200), h2.DataOf(3, 65535))
		p.at(100).client(h2.WindowUpdate(0, 1000)).at(101).server(h2.DataEnd(3, "rest"))
		p.at(900).server(h2.DataEnd(1, "an event"))
	}, []string{"server 3 connection window 0-100: WINDOW_UPDATE on stream 0"}},

	{"a push", func(p *script) {
		ask(p).server(h2.Promise(1, 2), h2.Response(2, 200), h2.DataOf(2, 1000))
		p.at(100).client(h2.WindowUpdate(2, 1000)).server(h2.DataEnd(2, "rest"))
	}, []string{"server 2 stream window 0-100: WINDOW_UPDATE on stream 2"}},

	{"padding uses the window", func(p *script) {
		ask(p).server(h2.Response(1, 200))
		for range 5 {
			p.server(frame.Data{StreamID: 1, Padded: true, PadLength: 199})
		}
		p.at(100).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "rest"))
	}, []string{"server 1 stream window 0-100: WINDOW_UPDATE on stream 1"}},

	{"DATA of a stream that is reset uses the connection's window", func(p *script) {
		p.settle(h2.Settings(h2.InitialWindow(1<<20)), h2.Settings()).client(h2.Get(1), h2.Get(3))
		p.server(h2.Response(1, 200), h2.Response(3, 200), h2.DataOf(3, 1)).client(h2.RST(1, frame.Cancel))
		p.at(2).server(h2.DataOf(1, 65534))
		p.at(100).client(h2.WindowUpdate(0, 1000)).server(h2.DataEnd(3, "rest"))
	}, []string{"server 3 connection window 2-100: WINDOW_UPDATE on stream 0"}},
}

func TestStalls(t *testing.T) {
	for _, tt := range stallCases {
		t.Run(tt.name, func(t *testing.T) {
			p := newScript(t, Options{})
			tt.play(p)
			if d := cmp.Diff(tt.want, stalls(p)); d != "" {
				t.Errorf("stalls (-want +got):\n%s", d)
			}
		})
	}
}

// Where the start is missing, or octets are lost, windows are unknown, and no Stall is reported.
func TestStallsOfUnknownWindows(t *testing.T) {
	withheld := func(p *script, id uint32) {
		p.server(h2.Response(id, 200), h2.DataOf(id, 1000))
		p.at(100).client(h2.WindowUpdate(id, 1000)).server(h2.DataEnd(id, "rest"))
	}
	t.Run("start", func(t *testing.T) {
		p := newScript(t, Options{})
		p.s.info.StartMissing = true
		p.client(h2.Get(7))
		withheld(p, 7)
		p.client(h2.Settings(h2.InitialWindow(1000))).server(h2.Ack).client(h2.Get(9)).at(0)
		withheld(p, 9)
		want := []string{"server 9 stream window 0-100: WINDOW_UPDATE on stream 9"}
		if d := cmp.Diff(want, stalls(p)); d != "" {
			t.Errorf("stalls (-want +got):\n%s", d)
		}
	})
	for _, d := range []Dir{Client, Server} {
		t.Run("lost of the "+d.String(), func(t *testing.T) {
			p := newScript(t, Options{})
			ask(p)
			p.s.ledger.lost(d, p.now, 100)
			p.send(d, h2.Ping("x"))
			withheld(p, 1)
			p.client(h2.Get(3)).at(0)
			withheld(p, 3)
			want := []string{"server 3 stream window 0-100: WINDOW_UPDATE on stream 3"}
			if diff := cmp.Diff(want, stalls(p)); diff != "" {
				t.Errorf("stalls (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("in the payload of one frame", func(t *testing.T) {
		p := newScript(t, Options{})
		ask(p).server(h2.Response(1, 200))
		p.s.ledger.lost(Server, p.now, 300)
		h := frame.Header{Length: 1000, Type: frame.TypeData, StreamID: 1}
		p.server(&Frame{Header: h, Missing: 300, DataLen: 1000})
		p.at(100).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "rest"))
		want := []string{"server 1 stream window 0-100: WINDOW_UPDATE on stream 1"}
		if d := cmp.Diff(want, stalls(p)); d != "" {
			t.Errorf("stalls (-want +got):\n%s", d)
		}
	})
}

// An Upgrade begins stream 1 with the settings that are in it.
func TestStallsAfterUpgrade(t *testing.T) {
	p := newScript(t, Options{})
	p.started = true
	p.s.found(HTTP2, "upgrade")
	p.s.upgrade(&Request{Stream: 1, Method: "HEAD"}, h2.Settings(h2.InitialWindow(1000)))
	p.server(h2.Settings(), h2.Response(1, 200, "content-length: 7"), h2.DataOf(1, 1000))
	p.client(h2.Settings(h2.InitialWindow(1000)), h2.Ack).server(h2.Ack)
	p.at(90).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "rest")).end(wire.Closed)
	want := []string{"server 1 stream window 0-90: WINDOW_UPDATE on stream 1"}
	if d := cmp.Diff(want, stalls(p)); d != "" {
		t.Errorf("stalls (-want +got):\n%s", d)
	}
	want = []string{"content-unexpected server 1: the server has sent 1000 octets of content on stream 1"}
	if d := cmp.Diff(want, findings(p, Error)); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}
