package core

import (
	"sync"
	"testing"

	"github.com/sluice-go/sluice/internal/h2test"
)

// Decode needs no lock: it runs while other goroutines, which have the lock, answer what was
// applied before. Only the race detector can tell.
func TestDecodeWithoutLock(t *testing.T) {
	const requests = 2000
	p := newPeer(t, Server, func(cfg *Config) {
		cfg.MaxConcurrentStreams, cfg.Limits = requests, Limits{GlitchBurst: -1, MaxQueuedControl: -1}
	})
	var wire []byte
	for i := range requests {
		wire = p.codec.Append(wire, h2test.GetOpen(ids(i), "x: y").Cut(2))
		wire = h2test.Data(ids(i), "content").Append(wire)
		wire = p.codec.Append(wire, h2test.Trailers(ids(i), "z: 1"))
		wire = h2test.Ping("12345678").Append(wire)
	}

	a := &answerer{p: p}
	a.cond.L = &a.mu
	done := make(chan struct{})
	go func() { // ends when it has answered all requests
		defer close(done)
		for left := requests; left > 0; {
			left -= a.answer(t)
		}
	}()
	for len(wire) > 0 {
		n, err := p.c.Decode(wire)
		if err != nil || n == 0 {
			t.Fatalf("%d octets were taken: %v", n, err)
		}
		a.apply(t)
		wire = wire[n:]
	}
	<-done
	if n := p.c.NumStreams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// An answerer answers requests from another goroutine than the reader's.
type answerer struct {
	p *peer

	mu    sync.Mutex // guards all but Decode
	cond  sync.Cond
	heads []*Stream
}

// apply is what the reader does between two calls of Decode.
func (a *answerer) apply(t *testing.T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.p.c
	if err := c.Apply(a.p.now); err != nil {
		t.Fatal(err)
	}
	for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
		switch e.Kind {
		case EventHeaders:
			a.heads = append(a.heads, e.Stream)
			a.cond.Signal()
		case EventData:
			c.Consume(e.Stream, len(e.Data))
		default:
		}
	}
}

// answer waits for requests and answers them.
func (a *answerer) answer(t *testing.T) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.heads) == 0 {
		a.cond.Wait()
	}
	c := a.p.c
	for _, s := range a.heads {
		if s.Head.Fields[0].Name != "x" {
			t.Errorf("stream %d: fields %v", s.ID, s.Head.Fields)
		}
		if err := c.SendHead(s, ResponseHead{Fields: responseFields("x: y"), End: true}); err != nil {
			t.Error(err)
		}
	}
	n = len(a.heads)
	a.heads = a.heads[:0]
	c.SetTime(a.p.now)
	c.Fill(1000)
	c.Output(nil)
	return n
}
