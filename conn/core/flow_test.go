package core

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// wantAccounts checks that no credit is lost: what of the connection's window is not with the peer
// is free, or withheld for DATA that was not read.
func wantAccounts(tb testing.TB, c Driver) {
	tb.Helper()
	w := &c.recv.window
	if sum := int64(w.Available()) + int64(w.Unsent()) + int64(w.Held()); sum != int64(w.Size()) {
		tb.Errorf("connection window: %d available + %d unsent + %d held is not its size of %d",
			w.Available(), w.Unsent(), w.Held(), w.Size())
	}
	if int64(w.Held()) != c.recv.withheld {
		tb.Errorf("connection window: %d held, but %d are owed", w.Held(), c.recv.withheld)
	}
	if c.recv.withheld > c.recv.unread ||
		!c.windowsSmall() && c.recv.withheld < min(c.recv.unread, c.recv.unread-c.cfg.MaxUnread) {
		tb.Errorf(
			"%d octets of credit are held back for %d that are unread, of which %d are free",
			c.recv.withheld,
			c.recv.unread,
			c.cfg.MaxUnread,
		)
	}
	for id, s := range c.streams.All() {
		if s.state.CanReceive() && int64(s.recv.window.Held()) != s.recv.unread {
			tb.Errorf("stream %d: %d octets held of %d unread", id, s.recv.window.Held(), s.recv.unread)
		}
	}
}

// wantLedger checks that both ends count the connection's window alike.
func (p *peer) wantLedger(why string) {
	p.tb.Helper()
	wantAccounts(p.tb, p.c)
	if have := frame.DefaultWindow - p.spent + p.granted[0]; have != int64(p.c.recv.window.Available()) {
		p.tb.Errorf("%s: the peer has %d octets of credit, c believes %d", why, have, p.c.recv.window.Available())
	}
}

// A dropTest is one way in which DATA goes. What is unread after it is consumed, as by an owner
// that drops it.
type dropTest struct {
	name string
	role Role
	do   func(p *peer)
}

var dropTests = []dropTest{
	{
		"read",
		Server,
		func(p *peer) { p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000), h2test.DataEnd(1, "x")) },
	},
	{"padding", Server, func(p *peer) {
		p.send(
			h2test.GetOpen(1),
			h2test.Frame(frame.TypeData, 8, 1, 3, 'x', 0, 0, 0),
			h2test.Frame(frame.TypeData, 9, 1, append([]byte{100}, make([]byte, 200)...)...),
		)
	}},
	{"only padding", Server, func(p *peer) {
		p.send(
			h2test.GetOpen(1),
			h2test.Frame(frame.TypeData, 8, 1, append([]byte{200}, make([]byte, 200)...)...),
		)
	}},
	{"unread, reset by us", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000))
		p.c.Reset(p.stream(1), frame.Cancel)
	}},
	{"unread, reset by the peer", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000), h2test.RST(1, frame.Cancel))
	}},
	{"after our reset", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000))
		p.c.Reset(p.stream(1), frame.Cancel)
		p.send(h2test.DataOf(1, 2000), h2test.Frame(frame.TypeData, 8, 1, 5, 0, 0, 0, 0, 0, 'x'), h2test.DataEnd(1, "x"))
	}},
	{"after their reset", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.RST(1, frame.Cancel), h2test.DataOf(1, 1000), h2test.DataOf(1, 1000))
	}},
	{
		"half-closed (remote)",
		Server,
		func(p *peer) { p.send(h2test.GetOpen(1), h2test.DataEnd(1, "x"), h2test.DataOf(1, 1000)) },
	},
	{"skipped stream", Server, func(p *peer) { p.send(h2test.GetOpen(3), h2test.DataOf(1, 1000)) }},
	{
		"malformed request",
		Server,
		func(p *peer) { p.send(h2test.GetOpen(1, "connection: x"), h2test.DataOf(1, 1000)) },
	},
	{"refused stream", Server, func(p *peer) {
		for id := uint32(1); id < 203; id += 2 {
			p.send(h2test.GetOpen(id))
		}
		p.want("100 streams are allowed", "RST_STREAM 201 REFUSED_STREAM")
		p.send(h2test.DataOf(201, 1000), h2test.DataEnd(201, "x"))
	}},
	{"beyond our GOAWAY", Server, func(p *peer) {
		p.send(h2test.GetOpen(1))
		p.c.Shutdown(p.now)
		p.send(
			frame.Ping{Ack: true, Data: drainPing},
			h2test.GetOpen(3),
			h2test.DataOf(3, 1000),
			h2test.DataOf(1, 1000),
			h2test.DataEnd(3, "x"),
		)
	}},
	{"more than content-length", Server, func(p *peer) {
		p.send(
			h2test.GetOpen(1, "content-length: 9"),
			h2test.Data(1, "12345"),
			h2test.DataOf(1, 1000),
			h2test.DataOf(1, 1000),
		)
	}},
	{"less than content-length", Server, func(p *peer) {
		p.send(h2test.GetOpen(1, "content-length: 9"), h2test.Data(1, "12345"), h2test.DataEnd(1, "123"))
	}},
	{"less than content-length, trailers", Server, func(p *peer) {
		p.send(h2test.GetOpen(1, "content-length: 9"), h2test.Data(1, "12345"), h2test.Trailers(1, "x: y"))
	}},
	{"trailers are malformed", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000), h2test.Trailers(1, ":path: /"))
	}},
	{"over the stream's window", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 5000), h2test.DataOf(1, 5001), h2test.DataOf(1, 5000))
	}},
	{"nobody wants it", Server, func(p *peer) {
		p.send(h2test.GetOpen(1), h2test.DataOf(1, 1000))
		p.c.StopRecv(p.stream(1))
		p.send(h2test.DataOf(1, 1000))
		p.answer(1, true)
		p.send(h2test.DataOf(1, 1000), h2test.DataEnd(1, "x"))
	}},
	{"stalled", Server, func(p *peer) {
		p.send(
			h2test.Settings(setting(frame.SettingInitialWindowSize, 0)),
			h2test.GetOpen(1),
			h2test.DataOf(1, 1000),
		)
		p.answer(1, false)
		p.queue(1, 100, true)
		p.tick(time.Hour)
		p.send(h2test.DataOf(1, 1000))
	}},
	{"before the response", Client, func(p *peer) {
		p.open(true)
		p.send(h2test.DataOf(1, 1000), h2test.DataOf(1, 1000))
	}},
	{"204", Client, func(p *peer) {
		p.open(true)
		p.send(h2test.Response(1, 204), h2test.DataOf(1, 1000), h2test.DataEnd(1, "x"))
	}},
	{"cancelled", Client, func(p *peer) {
		p.open(true)
		p.send(h2test.Response(1, 200), h2test.DataOf(1, 1000))
		p.c.Reset(p.stream(1), frame.Cancel)
		p.send(h2test.DataOf(1, 1000), h2test.DataEnd(1, "x"))
	}},
	{"refused by GOAWAY", Client, func(p *peer) {
		p.open(true)
		p.send(h2test.Response(1, 200), h2test.DataOf(1, 1000), frame.GoAway{}, h2test.DataOf(1, 1000))
	}},
	{"two streams, one unread", Client, func(p *peer) {
		p.open(true)
		p.open(true)
		p.send(h2test.Response(1, 200), h2test.Response(3, 200), h2test.DataOf(1, 1000), h2test.DataOf(3, 2000))
		p.consume(3, -1)
	}},
}

func TestDroppedData(t *testing.T) {
	for _, tt := range dropTests {
		for _, maxUnread := range []int64{0, 500, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, maxUnread), func(t *testing.T) {
				p := newPeer(t, tt.role, func(cfg *Config) {
					cfg.MaxUnread, cfg.StreamWindow, cfg.StallTimeout = maxUnread, 10_000, time.Minute
				})
				tt.do(p)
				p.take()
				p.wantLedger("before it is consumed")
				if p.spent == 0 {
					t.Fatal("no DATA was sent")
				}
				for s, n := range p.unread {
					p.c.Consume(s, n/2)
					p.c.Consume(s, n-n/2)
				}
				p.take()
				p.wantLedger("after")
				if n, held := p.c.State().Unread, p.c.recv.window.Held(); n != 0 || held != 0 {
					t.Errorf("%d octets are unread and %d held, although all are consumed", n, held)
				}
				p.alive("one stream's DATA is no matter of the connection")
			})
		}
	}
}

func TestConnWindowExceeded(t *testing.T) {
	p := newPeer(t, Server)
	for id := range 5 {
		p.send(h2test.GetOpen(ids(id)))
	}
	p.c.cfg.MaxUnread = 0
	for id := range 4 {
		p.send(h2test.DataOf(ids(id), 16383))
	}
	p.send(h2test.DataOf(9, 3))
	p.alive("65535 octets are allowed")
	p.send(h2test.Data(9, "x"))
	p.wantDead("one more is not", frame.FlowControlError, "RFC 9113 §6.9")
}

// A stream that is not read closes its own window and takes nothing from the others.
func TestUnreadStream(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1), h2test.GetOpen(3))
	p.outcome()
	for range 4 {
		p.send(h2test.DataOf(1, 16383))
	}
	p.want("the connection's credit comes back at once", "WINDOW_UPDATE 0 49149")
	if p.wantLedger("unread"); p.c.recv.window.Held() != 0 || p.c.State().Unread != 4*16383 {
		t.Errorf("%d octets held, %d unread", p.c.recv.window.Held(), p.c.State().Unread)
	}
	for range 20 {
		p.send(h2test.DataOf(3, 16000))
		p.consume(3, -1)
	}
	p.outcome()
	p.send(h2test.DataOf(1, 4))
	p.want("the stream's window", "RST_STREAM 1 FLOW_CONTROL_ERROR")
	p.alive("only the stream")
}

// Above MaxUnread connection credit waits for readers, and streams that are read go on all the
// same.
func TestMaxUnread(t *testing.T) {
	p := newPeer(t, Server, func(cfg *Config) { cfg.MaxUnread = 10_000 })
	p.send(h2test.GetOpen(1), h2test.GetOpen(3))
	for range 3 {
		p.send(h2test.DataOf(1, 16000))
	}
	p.wantLedger("held back")
	if held := p.c.recv.window.Held(); held < 38_000 || held > 48_000 {
		t.Errorf("%d octets are held back of 48,000 with 10,000 free", held)
	}
	// Less than half of the window is left: streams that are read must be able to use it again and
	// again.
	for range 100 {
		credit := frame.DefaultWindow - p.spent + p.granted[0]
		if credit < 4000 {
			t.Fatalf("the peer has %d octets of credit left", credit)
		}
		p.send(h2test.DataOf(3, 4000))
		p.consume(3, -1)
	}
	p.wantLedger("another stream was read")
	p.consume(1, -1)
	p.wantLedger("all is read")
	if held := p.c.recv.window.Held(); held != 0 {
		t.Errorf("%d octets are held back", held)
	}
}

// The time for the acknowledgement of a larger initial window runs from the first call that knows
// the time, since Consume does not: an application may read long after something has come last.
func TestLargeWindowIsAcknowledgedInTime(t *testing.T) {
	const timeout = 20 * time.Second
	p := newPeer(t, Server, func(cfg *Config) {
		cfg.MaxUnread, cfg.StreamWindow, cfg.ConnWindow, cfg.SettingsTimeout = 20_000, 1<<20, 1<<20, timeout
	})
	p.send(h2test.GetOpen(1))
	for range 3 {
		p.send(h2test.DataOf(1, 16000))
	}
	if p.send(h2test.Ack); !p.c.windowsSmall() {
		t.Fatal("48,000 octets are unread, and the windows are large")
	}
	p.tick(2 * smallWindowFor * time.Second)
	p.send(h2test.Ping("12345678"))
	p.now = p.now.Add(10 * timeout) // in which nothing comes, and nothing is called
	p.out = nil
	p.consume(1, -1)
	if !slices.Contains(p.out, "SETTINGS") || !p.c.NeedsTime() {
		t.Fatalf("all is read, and %q was sent", p.out)
	}
	p.tick(0)
	p.alive("the peer has had no time yet")
	if at, ok := p.c.Deadline(); !ok || at.After(p.now.Add(timeout)) {
		t.Errorf("Deadline: %v, %v, more than %v after %v", at, ok, timeout, p.now)
	}
	p.tick(timeout)
	p.wantDead("no acknowledgement", frame.SettingsTimeout, "not acknowledged in time")
}

// Reading in small steps costs no WINDOW_UPDATE for each of them.
func TestUpdatesAreBatched(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1))
	for range 3 {
		p.send(h2test.DataOf(1, 16000))
	}
	p.outcome()
	for range 480 {
		p.consume(1, 100)
	}
	if n := p.c.Counts().WindowUpdatesOut; n > 4 {
		t.Errorf("%d WINDOW_UPDATE frames for 48,000 octets", n)
	}
	if left := frame.DefaultWindow - 48_000 + p.granted[1]; left < frame.DefaultWindow/2 {
		t.Errorf("the peer has %d octets of credit on the stream", left)
	}
}

// A stream that has ended, or whose peer has, needs no credit.
func TestNoUpdateAtTheEnd(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.GetOpen(1))
	for range 3 {
		p.send(h2test.DataOf(1, 16384))
	}
	p.send(h2test.DataEnd(1, "x"))
	p.outcome()
	p.consume(1, -1)
	p.want("nothing for stream 1")
	p.wantLedger("all is read")
}

// A window below 65535 holds when the peer has acknowledged it, also for streams that were open
// before (RFC 9113 §6.9.2), and reading makes the peer go on.
func TestSmallStreamWindow(t *testing.T) {
	p := newSilentPeer(t, Server, func(cfg *Config) { cfg.StreamWindow = 1000 })
	p.greet()
	p.send(
		h2test.GetOpen(1),
		h2test.DataOf(1, 1500),
		h2test.GetOpen(3),
		h2test.GetOpen(5),
		h2test.DataOf(5, 400),
	)
	p.alive("the peer may not know yet")
	p.outcome()
	p.send(frame.Settings{Ack: true})
	credit := func(id uint32, sent int64) int64 { return 1000 - sent + p.granted[id] }
	p.consume(1, -1)
	p.consume(5, -1)
	if a, b, c := credit(1, 1500), credit(3, 0), credit(5, 400); a < 500 || b != 1000 || c < 500 {
		t.Errorf("the peer has credit %d, %d and %d", a, b, c)
	}
	p.send(h2test.DataOf(3, 1000))
	p.alive("the window is 1000")
	p.outcome()
	p.send(h2test.Data(3, "x"))
	p.want("one more", "RST_STREAM 3 FLOW_CONTROL_ERROR")
	p.send(h2test.GetOpen(7), h2test.DataOf(7, 1000), h2test.Data(7, "x"))
	p.want("new streams, too", "RST_STREAM 7 FLOW_CONTROL_ERROR")
	p.wantLedger("all the same")
}

// The first flight opens the connection's window, and it is that large.
func TestLargeConnWindow(t *testing.T) {
	p := newSilentPeer(t, Client, func(cfg *Config) { cfg.ConnWindow, cfg.StreamWindow = 1<<20, 1<<20 })
	p.want("one flight", "SETTINGS", "WINDOW_UPDATE 0 983041")
	p.greet()
	p.open(true)
	p.send(h2test.Response(1, 200))
	for range 64 {
		p.send(h2test.DataOf(1, 16384))
	}
	p.alive("1 MiB is allowed on both")
	p.wantLedger("unread")
}
