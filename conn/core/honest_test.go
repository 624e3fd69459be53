package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// What honest peers do, much of it and for long: each test here has its twin among the attacks, and
// must pass untouched.

const plenty = 10_000

// An honestTest sends with each of plenty of requests what some peer sends so. They come as fast as
// they can: the clock stands still.
type honestTest struct {
	name string
	role Role
	each func(p *peer, id uint32) // once the stream is open, before it is answered
	late func(p *peer, id uint32) // once it has ended
}

var honestTests = []honestTest{
	{name: "WINDOW_UPDATE for the response that was read", late: func(p *peer, id uint32) {
		p.send(h2test.WindowUpdate(0, 1), h2test.WindowUpdate(id, 1))
	}},
	{name: "PING", each: func(p *peer, id uint32) { p.send(h2test.Ping("12345678")) }},
	{name: "several PINGs", each: func(p *peer, id uint32) {
		p.send(h2test.Ping("11111111"), h2test.Ping("22222222"), h2test.Ping("33333333"), h2test.Ping("44444444"))
	}},
	{name: "unknown frames", each: func(p *peer, id uint32) {
		p.send(h2test.Frame(0xbb, 0, 0), h2test.Frame(0xbc, 0, id))
	}},
	{name: "SETTINGS", each: func(p *peer, id uint32) {
		p.send(h2test.Settings(setting(frame.SettingMaxHeaderListSize, id)))
	}},
	{name: "PRIORITY", each: func(p *peer, id uint32) {
		p.send(frame.Priority{StreamID: id}, frame.Priority{StreamID: id + 2})
	}},
	{name: "PRIORITY_UPDATE", each: func(p *peer, id uint32) {
		p.send(priorityUpdate(id, "u=1"), priorityUpdate(id, "u=2, i"))
	}},
	{name: "RST_STREAM behind the complete response", late: func(p *peer, id uint32) {
		p.send(h2test.RST(id, frame.NoError))
	}},
	{name: "cancelled when the head of the response is there", each: func(p *peer, id uint32) {
		p.answer(id, false)
		p.send(h2test.RST(id, frame.Cancel))
	}},
	{name: "cancelled after a while", each: func(p *peer, id uint32) {
		if id%200 == 199 {
			p.now = p.now.Add(rapidResetAge)
			for i := id - 198; i <= id; i += 2 {
				p.send(h2test.RST(i, frame.Cancel))
			}
		}
	}},
	{name: "empty DATA", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Response(id, 200), h2test.Data(id, ""))
	}},
	{name: "empty DATA behind each piece", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Response(id, 200))
		for range 5 {
			p.send(h2test.Data(id, "piece"), h2test.Data(id, ""))
			p.consume(id, -1)
		}
	}},
	{name: "empty DATA of a request", each: func(p *peer, id uint32) {}},
	{name: "103", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Response(id, 103))
	}},
	{name: "WINDOW_UPDATE", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.WindowUpdate(0, 1), h2test.WindowUpdate(id, 1))
	}},
	{name: "PING of a server", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Ping("12345678"))
	}},
	{name: "SETTINGS of a server", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Settings())
	}},
	{name: "ALTSVC", role: Client, each: func(p *peer, id uint32) {
		p.send(frame.AltSvc{StreamID: id, Value: []byte(`h2=":1"`)})
	}},
	{name: "ORIGIN", role: Client, each: func(p *peer, id uint32) {
		p.send(frame.AppendOrigin(nil, "https://example.com"))
	}},
	{name: "PRIORITY of a server", role: Client, each: func(p *peer, id uint32) {
		p.send(frame.Priority{StreamID: id})
	}},
	{name: "RST_STREAM behind the complete response of a server", role: Client, late: func(p *peer, id uint32) {
		p.send(h2test.RST(id, frame.NoError))
	}},
	{name: "malformed responses", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Response(id, 200, "connection: close"))
	}},
	{name: "DATA beyond content-length", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Response(id, 200, "content-length: 1"), h2test.Data(id, "xx"))
	}},
	{name: "refused streams", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.RST(id, frame.RefusedStream))
	}},
	{name: "cancelled streams", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.RST(id, frame.InternalError))
	}},
	{name: "two pushes that cannot be", role: Client, each: func(p *peer, id uint32) {
		p.send(h2test.Promise(id, 2*id, "content-length: 5"), h2test.Promise(id, 2*id+2, "content-length: 5"))
	}},
}

func TestHonest(t *testing.T) {
	for _, tt := range honestTests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, tt.role, func(cfg *Config) { cfg.EnablePush = tt.role == Client })
			for i := range plenty {
				tt.round(p, ids(i))
				p.out, p.events, p.faults = nil, nil, nil
				if p.err != nil {
					t.Fatalf("request %d: %v", i, p.err)
				}
			}
			if p.c.State().Draining {
				t.Error("the connection is drained")
			}
			wantAccounts(t, p.c)
		})
	}
}

// round is one request and its response.
func (tt *honestTest) round(p *peer, id uint32) {
	open := func() bool { _, ok := p.c.streams.Get(id); return ok }
	if tt.role == Client {
		p.open(true)
	} else {
		p.send(h2test.GetOpen(id))
		if tt.name == "empty DATA of a request" {
			p.send(h2test.Data(id, ""))
		}
		p.send(h2test.DataEnd(id, ""))
	}
	if tt.each != nil {
		tt.each(p, id)
	}
	switch later := tt.name == "cancelled after a while"; {
	case !open() || later:
	case tt.role == Client && !p.stream(id).headRecv:
		p.send(h2test.Response(id, 200).End())
	case tt.role == Client:
		p.send(h2test.DataEnd(id, ""))
	case !p.stream(id).headSent:
		p.answer(id, true)
	}
	if tt.late != nil {
		tt.late(p, id)
	}
}

// A client that reads in small pieces gives credit back in small pieces, for the stream and for the
// connection.
func TestHonestCreditInPieces(t *testing.T) {
	for _, piece := range []int{100, 512, 1024, 16384} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			p := newPeer(t, Server)
			p.send(h2test.Get(1))
			p.answer(1, false)
			const total = 10 << 20
			sent := 0
			for sent < total {
				n := min(int(p.stream(1).SendWindow()), total-sent)
				p.queue(1, n, sent+n == total)
				sent += n
				for ; n > 0; n -= piece {
					p.send(h2test.WindowUpdate(0, uint32(min(piece, n))), h2test.WindowUpdate(1, uint32(min(piece, n))))
				}
			}
			p.alive("all of it is read")
		})
	}
}

// storm sends n requests that are cancelled within 0.1 s: 63% of them in the very read that has the
// request, the others 10 to 30 ms later, some of them answered.
func storm(p *peer, first, n int) {
	for i := range n {
		id := ids(first + i)
		p.send(h2test.Get(id))
		switch {
		case i%100 < 63:
			p.send(h2test.RST(id, frame.Cancel))
		case i%100 < 70:
			p.answer(id, true)
		default:
			p.now = p.now.Add(100 * time.Microsecond)
			p.send(h2test.RST(id, frame.Cancel))
		}
		p.out, p.events = nil, nil
	}
}

// grpc-go's users leave: frame for frame it is a rapid reset.
func TestHonestStormsOfCancels(t *testing.T) {
	p := newPeer(t, Server)
	for i := range 20 {
		storm(p, i*1001, 1001)
		p.alive("a storm")
		p.now = p.now.Add(time.Second)
	}
	for i := range 4 { // in a row
		storm(p, (20+i)*1001, 1001)
	}
	p.alive("storm upon storm")
	if p.c.State().Draining {
		t.Error("the connection is drained")
	}
}

var honestCancelsForLongTests = map[string]func(p *peer, next func() uint32){
	"10% of 1,000 requests a second": func(p *peer, next func() uint32) {
		for i := range 1000 {
			id := next()
			p.send(h2test.Get(id))
			if i%10 == 0 {
				p.send(h2test.RST(id, frame.Cancel))
			} else {
				p.answer(id, true)
			}
			p.now = p.now.Add(time.Millisecond)
		}
	},
	"20 of 20, thirty times": func(p *peer, next func() uint32) {
		for range 30 {
			var open []uint32
			for range 20 {
				open = append(open, next())
				p.send(h2test.Get(open[len(open)-1]))
			}
			p.now = p.now.Add(time.Second / 30)
			for _, id := range open {
				p.send(h2test.RST(id, frame.Cancel))
			}
		}
	},
	"240 of 250 at once": func(p *peer, next func() uint32) {
		for i := range 250 {
			id := next()
			p.send(h2test.Get(id))
			if i < 240 {
				p.send(h2test.RST(id, frame.Cancel))
			} else {
				p.answer(id, true)
			}
		}
		p.now = p.now.Add(time.Second)
	},
}

// Users that leave before they are answered, for two minutes: one of ten, or all twenty thirty
// times a second, and nearly all of those that one connection has at once.
func TestHonestCancelsForLong(t *testing.T) {
	for name, second := range honestCancelsForLongTests {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 250 })
			id := ^uint32(0)
			next := func() uint32 { id += 2; return id }
			for range 120 {
				second(p, next)
				p.out, p.events = nil, nil
			}
			p.alive(name)
			if p.c.State().Draining {
				t.Error("the connection is drained")
			}
		})
	}
}

// Before a client has seen our SETTINGS it may take any number of streams for allowed (RFC 9113
// §10.5).
func TestHonestFirstFlight(t *testing.T) {
	for _, n := range []int{600, 5000} {
		p := newSilentPeer(t, Server, func(cfg *Config) { cfg.MaxConcurrentStreams = 250 })
		p.greet()
		for i := range n {
			p.send(h2test.Get(ids(i)))
		}
		p.alive("the first flight")
		refused := 0
		for _, f := range p.out {
			if strings.HasSuffix(f, "REFUSED_STREAM") {
				refused++
			}
		}
		if refused != n-250 || p.c.NumStreams() != 250 {
			t.Errorf("%d of %d were refused, %d are open", refused, n, p.c.NumStreams())
		}
		p.send(frame.Settings{Ack: true})
		for i := range 250 {
			p.answer(ids(i), true)
		}
		for i := range n - 250 { // again
			p.send(h2test.Get(ids(n + i)))
			p.answer(ids(n+i), true)
		}
		p.alive("the rest")
	}
}

// Header blocks may be split as the peer likes.
func TestHonestFragments(t *testing.T) {
	for _, size := range []int{16, 20, 64, 256, 1000, 1024, 10_000} {
		for _, role := range []Role{Server, Client} {
			p := newPeer(t, role, func(cfg *Config) { cfg.MaxHeaderBytes = 1 << 20 })
			value := strings.Repeat("v", 43<<10)
			var m h2test.Block
			if role == Client {
				p.open(true)
				m = h2test.Response(1, 200, "x: "+value).End()
			} else {
				m = h2test.Get(1, "x: "+value)
			}
			p.send(m.Cut(43 << 10 * 7 / 8 / size)) // Huffman codes of seven bits
			p.alive(fmt.Sprintf("pieces of %d octets", size))
			if s := p.stream(1); len(s.Head.Fields) != 1 || s.Head.Fields[0].Value != value {
				t.Errorf("pieces of %d octets: another header arrived", size)
			}
		}
	}
}

// Small DATA that is not read, within the window: a server's is not charged on its client, and what
// has the length of a word is charged on neither side.
func TestHonestSmallData(t *testing.T) {
	for _, tt := range []struct {
		role Role
		size int
	}{{Client, 1}, {Client, 10}, {Server, 9}, {Server, 60}} {
		p := newPeer(t, tt.role, func(cfg *Config) { cfg.StreamWindow, cfg.ConnWindow, cfg.MaxUnread = 1<<23, 1<<23, 1<<23 })
		if tt.role == Client {
			p.open(true)
			p.send(h2test.Response(1, 200))
		} else {
			p.send(h2test.GetOpen(1))
		}
		b := h2test.Data(1, strings.Repeat("x", tt.size)).Append(nil)
		pieces := []byte(strings.Repeat(string(b), 50))
		for range 2000 {
			p.send(pieces)
			p.out, p.events = nil, nil
		}
		p.alive("within the window")
	}
}
