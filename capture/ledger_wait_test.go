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

const ms = time.Millisecond

// limit is the setting of concurrent streams.
func limit(n uint32) frame.Settings {
	return h2.Settings(frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: n})
}

// waitCases are connections, and what one of their streams has waited for.
var waitCases = []struct {
	name   string
	play   func(p *script)
	stream uint32
	want   Wait
}{
	{"server", func(p *script) {
		p.client(h2.Post(1)).at(10).client(h2.DataEnd(1, "x"))
		p.at(20).server(h2.Response(1, 103)).at(50).server(h2.Response(1, 200))
	}, 1, Wait{Server: 40 * ms}},

	{"a server that does not answer", func(p *script) {
		p.client(h2.Get(1)).at(70).client(h2.RST(1, frame.Cancel))
	}, 1, Wait{Server: 70 * ms}},

	{"a response before the end of the request", func(p *script) {
		p.client(h2.Post(1)).at(10).server(h2.Response(1, 200)).at(90).client(h2.DataEnd(1, ""))
	}, 1, Wait{}},

	{"both windows, one after the other", func(p *script) {
		p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1))
		p.server(h2.Response(1, 200), h2.DataOf(1, 65535))
		p.at(30).client(h2.WindowUpdate(1, 100))
		p.at(100).client(h2.WindowUpdate(0, 100))
		p.server(h2.DataOf(1, 10))
	}, 1, Wait{Stream: 30 * ms, Connection: 70 * ms}},

	{"a short wait is no Stall", func(p *script) {
		ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		p.at(3).client(h2.WindowUpdate(1, 100)).server(h2.DataOf(1, 10))
	}, 1, Wait{Stream: 3 * ms}},

	{"concurrency", func(p *script) {
		p.settle(h2.Settings(), limit(2)).client(h2.Get(1), h2.Get(3))
		p.at(40).server(h2.Response(3, 200).End()).at(41).client(h2.Get(5))
		p.at(90).server(h2.Response(1, 200).End()).at(92).client(h2.Get(7))
	}, 7, Wait{Concurrency: 92 * ms}},

	{"a stream was free", func(p *script) {
		p.settle(h2.Settings(), limit(2)).client(h2.Get(1), h2.Get(3))
		p.at(40).server(h2.Response(3, 200).End())
		p.at(300).server(h2.Response(1, 200).End()).client(h2.Get(5))
	}, 5, Wait{}},

	{"a stream was free for long", func(p *script) {
		p.settle(h2.Settings(), limit(1)).client(h2.Get(1))
		p.at(40).server(h2.Response(1, 200).End()).at(300).client(h2.Get(3))
	}, 3, Wait{}},

	{"octets that were sent again, reported before their frames", func(p *script) {
		p.client(h2.Post(1), h2.Post(3))
		p.at(50)
		p.s.retransmitted(Client, p.now, 30*ms)
		p.client(h2.Data(1, "x"), h2.Data(3, "x"), h2.Data(3, "x")).at(60).client(h2.Data(3, "x"))
	}, 3, Wait{Network: 30 * ms}},

	{"octets that were sent again, reported behind their frames", func(p *script) {
		p.client(h2.Post(1), h2.Post(3)).at(50).client(h2.Data(3, "x"), h2.Data(3, "x"))
		p.s.retransmitted(Client, p.now, 30*ms)
		p.s.retransmitted(Server, p.now, 30*ms)
	}, 3, Wait{Network: 30 * ms}},
}

func TestWaits(t *testing.T) {
	for _, tt := range waitCases {
		t.Run(tt.name, func(t *testing.T) {
			p := newScript(t, Options{})
			tt.play(p)
			if d := cmp.Diff(tt.want, p.s.ledger.waits(tt.stream)); d != "" {
				t.Errorf("stream %d has waited (-want +got):\n%s", tt.stream, d)
			}
		})
	}
}

// The windows on frames are those of the side that the frame concerns.
func TestFrameWindows(t *testing.T) {
	p := newScript(t, Options{})
	p.settle(h2.Settings(h2.InitialWindow(1000)), h2.Settings(h2.InitialWindow(2000)))
	p.client(h2.Post(1), frame.Data{StreamID: 1, Padded: true, PadLength: 9, Data: make([]byte, 90)})
	p.server(h2.WindowUpdate(1, 7), h2.Response(1, 200), h2.DataOf(1, 300)).client(h2.WindowUpdate(0, 5))
	p.client(h2.Settings(h2.InitialWindow(100))).server(h2.Ack, h2.Data(1, "")).client(h2.RST(1, frame.Cancel))
	p.server(h2.DataOf(1, 40)).client(h2.WindowUpdate(1, 50))
	var got []string
	for _, f := range of[*Frame](p) {
		if w := f.Window; w != (Windows{}) {
			line := fmt.Sprint(f.Dir, " ", f.Header.Type, " ", w.Conn)
			if w.StreamKnown {
				line += fmt.Sprint(" ", w.Stream)
			}
			got = append(got, line)
		}
	}
	want := []string{
		"client HEADERS 65535 2000",
		"client DATA 65435 1900",
		"server WINDOW_UPDATE 65435 1907",
		"server HEADERS 65535 1000",
		"server DATA 65235 700",
		"client WINDOW_UPDATE 65240",
		"server DATA 65240 -200",
		"server DATA 65200",
		"client WINDOW_UPDATE 65200",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("windows (-want +got):\n%s", d)
	}
}

// SETTINGS may be applied before they are acknowledged: DATA shows it.
func TestSettingsAppliedEarly(t *testing.T) {
	p := newScript(t, Options{})
	ask(p).client(h2.Settings(h2.InitialWindow(5000)))
	p.server(h2.Response(1, 200), h2.DataOf(1, 3000))
	if e := p.s.ledger.excess; e != (excess{}) {
		t.Errorf("DATA within the new window is beyond it: %+v", e)
	}
	p.server(h2.Ack, h2.DataOf(1, 2500))
	if e := p.s.ledger.excess; e != (excess{stream: 500}) {
		t.Errorf("500 octets beyond the window: %+v", e)
	}
}

// However much a peer does, the ledger remembers no more than its bounds.
func TestLedgerBounds(t *testing.T) {
	t.Run("streams", func(t *testing.T) {
		p := newScript(t, Options{})
		p.s.a.handler = func(Event) {}
		for id := uint32(1); id < 4*maxLedgerStreams; id += 2 {
			p.client(frame.Headers{StreamID: id, EndHeaders: true})
		}
		if n := p.s.ledger.streams.Len(); n != maxLedgerStreams {
			t.Errorf("%d streams are remembered", n)
		}
		for i := range uint32(1000) {
			p.client(h2.Settings(h2.InitialWindow(i))).server(h2.Ack)
		}
		if w := p.s.ledger.get(1).send[Server].window; w.known {
			t.Error("the windows of all streams are changed as often as a peer wants")
		}
		for range 3 * maxUnacknowledged {
			p.client(h2.Settings(h2.InitialWindow(1)))
		}
		if n := len(p.s.ledger.senders[Client].settings); n != maxUnacknowledged {
			t.Errorf("%d SETTINGS are remembered", n)
		}
	})
	t.Run("streams that end", func(t *testing.T) {
		p := newScript(t, Options{})
		for id := uint32(1); id < 100; id += 2 {
			p.client(h2.Get(id)).server(h2.Response(id, 200), h2.DataEnd(id, "x"))
		}
		p.client(h2.Ping(""))
		l := p.s.ledger
		if l.streams.Len() != 0 || len(l.senders[Server].active) != 0 || l.slots.open != 0 {
			t.Errorf("%d streams, %d active, %d open", l.streams.Len(), len(l.senders[Server].active), l.slots.open)
		}
	})
	t.Run("stalls", func(t *testing.T) {
		p := newScript(t, Options{MinStall: ms})
		ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000))
		for i := 1; i <= maxStalls+10; i++ {
			p.at(2 * i).client(h2.WindowUpdate(1, 1)).server(h2.DataOf(1, 1))
		}
		p.at(1e6).end(wire.Closed)
		list := of[*Stall](p)
		if len(list) != maxStalls+1 {
			t.Fatalf("%d stalls are reported", len(list))
		}
		last := list[maxStalls]
		if last.Periods != 11 || last.EndedBy != "end of the connection" {
			t.Errorf("the last one stands for %d and ended by %s", last.Periods, last.EndedBy)
		}
	})
}

// The streams that all connections together have followed are bounded, and all are given back.
func TestFollowedStreams(t *testing.T) {
	first := newScript(t, Options{})
	a := first.s.a
	a.handler = func(Event) {}
	scripts := []*script{first}
	for range 4 {
		p := newScript(t, Options{})
		p.s = a.open(p.s.info.Client, p.s.info.Server, p.now)
		scripts = append(scripts, p)
	}
	for _, p := range scripts {
		for id := uint32(1); id < 2*maxLedgerStreams; id += 2 {
			p.client(frame.Headers{StreamID: id, EndHeaders: true, EndStream: true})
			if id%64 == 1 {
				p.server(frame.Headers{StreamID: id, EndHeaders: true, EndStream: true})
			}
		}
	}
	if n := a.followed.Load(); n > maxFollowed+int64(len(scripts)*2*freeFollowed) {
		t.Errorf("%d streams are followed", n)
	}
	if n := scripts[4].s.ledger.streams.Len(); n < freeFollowed || n > 2*freeFollowed {
		t.Errorf("the last connection has %d streams", n)
	}
	for _, p := range scripts {
		p.end(wire.Closed)
	}
	if n := a.followed.Load(); n != 0 {
		t.Errorf("%d streams are not given back", n)
	}
}
