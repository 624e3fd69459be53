package core

import (
	"sync"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

// Decode needs no lock: it runs while others, who have it, answer what was applied before. Only the race detector can
// tell.
func TestDecodeWithoutLock(t *testing.T) {
	const requests = 2000
	p := newPeer(t, Server, func(cfg *Config) {
		cfg.MaxConcurrentStreams, cfg.Limits = requests, Limits{GlitchBurst: -1, MaxQueuedControl: -1}
	})
	var wire []byte
	for i := range requests {
		id := ids(i)
		for _, it := range []any{request(id, "x: y").cut(2), data(id, "content"), trailers(id, "z: 1"), ping("12345678")} {
			switch it := it.(type) {
			case message:
				wire = it.append(p, wire)
			case frame.Frame:
				wire = it.Append(wire)
			}
		}
	}

	var mu sync.Mutex // guards p.c, but for Decode, and heads
	var heads []*Stream
	cond := sync.NewCond(&mu)
	done := make(chan struct{})
	go func() { // ends when it has answered all requests
		defer close(done)
		answered := 0
		for answered < requests {
			mu.Lock()
			for len(heads) == 0 {
				cond.Wait()
			}
			for _, s := range heads {
				if s.Head.Fields[0].Name != "x" {
					t.Errorf("stream %d: fields %v", s.ID, s.Head.Fields)
				}
				if err := p.c.SendHead(s, responseFields("x: y"), false, true); err != nil {
					t.Error(err)
				}
				answered++
			}
			heads = heads[:0]
			p.c.SetTime(p.now)
			p.c.Fill(1000)
			p.c.Output(nil)
			mu.Unlock()
		}
	}()

	for len(wire) > 0 {
		n, err := p.c.Decode(wire)
		if err != nil || n == 0 {
			t.Fatalf("%d octets were taken: %v", n, err)
		}
		mu.Lock()
		if err := p.c.Apply(p.now); err != nil {
			t.Fatal(err)
		}
		for e, ok := p.c.NextEvent(); ok; e, ok = p.c.NextEvent() {
			switch e.Kind {
			case EventHeaders:
				heads = append(heads, e.Stream)
				cond.Signal()
			case EventData:
				p.c.Consume(e.Stream, len(e.Data))
			default:
			}
		}
		mu.Unlock()
		wire = wire[n:]
	}
	<-done
	if n := p.c.NumStreams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
