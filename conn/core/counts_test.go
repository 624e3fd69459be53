package core

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Streams are counted when they close, and by the side that has reset them.
func TestCountsOfStreams(t *testing.T) {
	p := newPeer(t, Server)
	for id := uint32(1); id <= 9; id += 2 {
		p.send(h2test.GetOpen(id))
	}
	p.answer(1, true)
	p.send(h2test.DataEnd(1, "x"))
	p.send(h2test.RST(3, frame.Cancel))
	p.c.Reset(p.stream(5), frame.InternalError)
	p.c.Reset(p.stream(7), frame.InternalError)
	p.take()
	c := p.c.Counts()
	if c.StreamsOpened != 5 || c.StreamsClosed != 4 || c.StreamsResetLocal != 2 || c.StreamsResetRemote != 1 {
		t.Errorf("server: %+v", c)
	}

	p = newPeer(t, Client)
	p.open(true)
	p.open(true)
	p.send(frame.GoAway{LastStreamID: 1})
	c = p.c.Counts()
	if c.StreamsOpened != 2 || c.StreamsClosed != 1 || c.StreamsResetLocal != 0 || c.StreamsResetRemote != 1 {
		t.Errorf("client: %+v", c)
	}
}
