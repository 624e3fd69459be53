package stream

import (
	"math/rand/v2"
	"testing"
)

// remembered counts the streams that c remembers.
func remembered(c *ClosedStreams) int {
	n := c.resets.Len()
	for _, e := range c.ended {
		if e != 0 {
			n++
		}
	}
	return n
}

func TestClosedStreamsForgetsTheOldest(t *testing.T) {
	c := NewClosedStreams(7, 2) // remembers 4 and 2
	for id := uint32(1); id <= 19; id += 2 {
		c.Add(id, ClosedEnd)
	}
	for id := uint32(101); id <= 109; id += 2 {
		c.Add(id, ClosedResetLocal)
	}
	for id := uint32(1); id <= 109; id += 2 {
		want := id >= 13 && id <= 19 || id >= 107
		if s, ok := c.State(id); ok != want {
			t.Errorf("State(%d) = %v, %v; want known %v", id, s, ok, want)
		}
	}
	if n := remembered(&c); n != 6 {
		t.Errorf("%d are remembered, want 6", n)
	}
}

// No stream is forgotten before the table has grown to its limit, and a connection with few streams
// has a small table.
func TestClosedStreamsGrowsBeforeItForgets(t *testing.T) {
	var c ClosedStreams
	for id := uint32(1); id < 2*minEnded; id += 2 {
		c.Add(id, ClosedEnd)
	}
	if len(c.ended) != minEnded {
		t.Errorf("%d slots for %d streams", len(c.ended), minEnded)
	}
	for id := uint32(1); id < 2*DefaultEnded; id += 2 {
		c.Add(id, ClosedResetRemote)
	}
	if len(c.ended) != DefaultEnded || remembered(&c) != DefaultEnded {
		t.Errorf("%d of %d streams are remembered in %d slots", remembered(&c), DefaultEnded, len(c.ended))
	}
}

// A reset whose frames may be in flight is not forgotten for streams that end without one.
func TestClosedStreamsKeepsResets(t *testing.T) {
	var c ClosedStreams
	c.Add(1, ClosedResetLocal)
	c.Add(3, ClosedResetRemote)
	for id := uint32(5); id < 100_000; id += 2 {
		c.Add(id, ClosedEnd)
	}
	if s, ok := c.State(1); !ok || s != ClosedResetLocal {
		t.Errorf("State(1) = %v, %v", s, ok)
	}
	if s, ok := c.State(3); ok {
		t.Errorf("State(3) = %v after thousands of others", s)
	}
	if n := remembered(&c); n != DefaultEnded+1 {
		t.Errorf("%d are remembered, want %d", n, DefaultEnded+1)
	}
}

func TestClosedStreamsChangesOfCause(t *testing.T) {
	c := NewClosedStreams(2, 2)
	c.Add(1, ClosedEnd)
	c.Add(1, ClosedResetRemote) // another state of an ended stream
	if s, _ := c.State(1); s != ClosedResetRemote {
		t.Errorf("State = %v", s)
	}
	c.Add(1, ClosedResetLocal) // the answer to a late frame
	c.Add(1, ClosedEnd)        // does not change it
	if s, _ := c.State(1); s != ClosedResetLocal {
		t.Errorf("State = %v", s)
	}
	// Other streams take its former slot.
	c.Add(3, ClosedEnd)
	c.Add(5, ClosedEnd)
	c.Add(7, ClosedEnd)
	if s, _ := c.State(1); s != ClosedResetLocal {
		t.Errorf("State = %v", s)
	}
	c.Add(9, ClosedResetLocal)
	c.Add(11, ClosedResetLocal)
	if s, ok := c.State(1); ok {
		t.Errorf("State = %v, want forgotten", s)
	}
}

func TestClosedStreamsOfNothing(t *testing.T) {
	c := NewClosedStreams(0, -1)
	c.Add(1, ClosedEnd)
	c.Add(1, ClosedResetLocal)
	if s, ok := c.State(1); ok || remembered(&c) != 0 {
		t.Errorf("remembers %v", s)
	}
	c = NewClosedStreams(1, 0)
	c.Add(1, ClosedEnd)
	c.Add(1, ClosedResetLocal)
	if s, ok := c.State(1); ok {
		t.Errorf("remembers %v, though the stream was reset later", s)
	}
	mustPanic(t, "adding an open stream", func() { c.Add(1, Open) })
	mustPanic(t, "adding stream 0", func() { c.Add(0, ClosedEnd) })
}

func TestClosedStreamsAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		slots, resets := 1<<rng.IntN(6), 1+rng.IntN(20)
		c := NewClosedStreams(slots+rng.IntN(slots), resets)
		ended := map[uint32]uint32{} // by slot
		states := map[uint32]State{}
		var order []uint32 // our resets, oldest first
		for range 500 {
			id := 1 + rng.Uint32N(200) // some close for a second time
			s := ClosedEnd + State(rng.IntN(3))
			c.Add(id, s)
			switch slot := id / 2 % uint32(slots); {
			case states[id] == ClosedResetLocal:
			case s == ClosedResetLocal:
				if ended[slot] == id {
					delete(ended, slot)
				}
				states[id] = s
				if order = append(order, id); len(order) > resets {
					delete(states, order[0])
					order = order[1:]
				}
			default:
				if other := ended[slot]; other != id {
					delete(states, other)
				}
				states[id], ended[slot] = s, id
			}
			if n := remembered(&c); n != len(states) {
				t.Fatalf("seed %d: %d are remembered, want %d", seed, n, len(states))
			}
			ask := rng.Uint32N(201)
			got, ok := c.State(ask)
			if want, known := states[ask]; ok != known || got != want {
				t.Fatalf("seed %d: State(%d) = %v, %v; want %v, %v", seed, ask, got, ok, want, known)
			}
		}
	}
}

func TestClosedStreamsAllocations(t *testing.T) {
	var c ClosedStreams
	id := uint32(1)
	run := func() {
		for range 1000 {
			c.Add(id, ClosedEnd+State(id/2%3))
			c.State(id - 100)
			id += 2
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
