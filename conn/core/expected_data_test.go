package core

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func TestExpectedData(t *testing.T) {
	p := newPeer(t, Server, func(c *Config) { c.ConnWindow = 1 << 20 })
	want := func(why string, n int) {
		t.Helper()
		if got := p.c.ExpectedData(); got != n {
			t.Errorf("%s: %d octets are expected, want %d", why, got, n)
		}
	}
	body := func(id uint32, n int, end bool) {
		t.Helper()
		p.send(frame.Data{StreamID: id, Data: make([]byte, n), EndStream: end})
	}
	want("no stream is open", 0)
	p.send(h2test.GetOpen(1, "content-length: 50000"))
	want("nobody knows whether the client has begun", 0)
	body(1, 10_000, false)
	want("the rest of the body", 40_000)
	p.send(h2test.GetOpen(3))
	body(3, 100, false)
	want("a body of unknown length", 0)
	p.send(h2test.GetOpen(5, "content-length: 1000000"))
	body(5, 15_535, false)
	want("half of what the stream's window lets pass", 25_000)
	body(5, 15_000, false)
	body(5, 15_000, false)
	body(5, 15_000, false)
	want("half of what there will be credit for", frame.DefaultWindow/4)
	p.consume(5, -1)
	want("there is", 65_535/2)
	p.c.Ping([8]byte{1})
	want("a PING that nobody measures", 65_535/2)
	body(1, 16_000, false)
	body(1, 16_000, false)
	want("the last part", 8000)
	p.consume(1, -1)
	body(1, 8000, true)
	want("the body is complete", 0)
	body(5, 1, false)
	want("again", 65_534/2)
	p.send(frame.RSTStream{StreamID: 5, Code: frame.Cancel})
	want("the stream is reset", 0)
	p.alive("all of that")
}
