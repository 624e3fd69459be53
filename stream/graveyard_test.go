package stream

import (
	"math/rand/v2"
	"testing"
)

// remembered counts the streams that g remembers.
func remembered(g *Graveyard) int {
	n := g.resets.Len()
	for _, e := range g.ends {
		if e != 0 {
			n++
		}
	}
	return n
}

func TestGraveyardForgetsTheOldest(t *testing.T) {
	g := NewGraveyard(7, 2) // 4 and 2
	for id := uint32(1); id <= 19; id += 2 {
		g.Add(id, ClosedEnd)
	}
	for id := uint32(101); id <= 109; id += 2 {
		g.Add(id, ClosedResetLocal)
	}
	for id := uint32(1); id <= 109; id += 2 {
		want := id >= 13 && id <= 19 || id >= 107
		if s, ok := g.State(id); ok != want {
			t.Errorf("State(%d) = %v, %v; want known %v", id, s, ok, want)
		}
	}
	if n := remembered(&g); n != 6 {
		t.Errorf("%d are remembered, want 6", n)
	}
}

// As long as there is room no stream takes the place of another, and a connection with few streams has a small table.
func TestGraveyardGrowsBeforeItForgets(t *testing.T) {
	var g Graveyard
	for id := uint32(1); id < 2*minEnds; id += 2 {
		g.Add(id, ClosedEnd)
	}
	if len(g.ends) != minEnds {
		t.Errorf("%d places for %d streams", len(g.ends), minEnds)
	}
	for id := uint32(1); id < 2*DefaultEnds; id += 2 {
		g.Add(id, ClosedResetRemote)
	}
	if len(g.ends) != DefaultEnds || remembered(&g) != DefaultEnds {
		t.Errorf("%d of %d streams are remembered in %d places", remembered(&g), DefaultEnds, len(g.ends))
	}
}

// Streams that end in peace do not push out a reset whose frames are on the way.
func TestGraveyardKeepsResets(t *testing.T) {
	var g Graveyard
	g.Add(1, ClosedResetLocal)
	g.Add(3, ClosedResetRemote)
	for id := uint32(5); id < 100_000; id += 2 {
		g.Add(id, ClosedEnd)
	}
	if s, ok := g.State(1); !ok || s != ClosedResetLocal {
		t.Errorf("State(1) = %v, %v", s, ok)
	}
	if s, ok := g.State(3); ok {
		t.Errorf("State(3) = %v after thousands of others", s)
	}
	if n := remembered(&g); n != DefaultEnds+1 {
		t.Errorf("%d are remembered, want %d", n, DefaultEnds+1)
	}
}

func TestGraveyardChangesOfCause(t *testing.T) {
	g := NewGraveyard(2, 2)
	g.Add(1, ClosedEnd)
	g.Add(1, ClosedResetRemote) // the same kind
	if s, _ := g.State(1); s != ClosedResetRemote {
		t.Errorf("State = %v", s)
	}
	g.Add(1, ClosedResetLocal) // the answer to a late frame
	g.Add(1, ClosedEnd)        // that does not undo it
	if s, _ := g.State(1); s != ClosedResetLocal {
		t.Errorf("State = %v", s)
	}
	// Others have its old place now.
	g.Add(3, ClosedEnd)
	g.Add(5, ClosedEnd)
	g.Add(7, ClosedEnd)
	if s, _ := g.State(1); s != ClosedResetLocal {
		t.Errorf("State = %v", s)
	}
	g.Add(9, ClosedResetLocal)
	g.Add(11, ClosedResetLocal)
	if s, ok := g.State(1); ok {
		t.Errorf("State = %v, want forgotten", s)
	}
}

func TestGraveyardOfNothing(t *testing.T) {
	g := NewGraveyard(0, -1)
	g.Add(1, ClosedEnd)
	g.Add(1, ClosedResetLocal)
	if s, ok := g.State(1); ok || remembered(&g) != 0 {
		t.Errorf("remembers %v", s)
	}
	g = NewGraveyard(1, 0)
	g.Add(1, ClosedEnd)
	g.Add(1, ClosedResetLocal)
	if s, ok := g.State(1); ok {
		t.Errorf("remembers %v, which is true no more", s)
	}
	mustPanic(t, "burying the living", func() { g.Add(1, Open) })
	mustPanic(t, "burying stream 0", func() { g.Add(0, ClosedEnd) })
}

func TestGraveyardAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		places, resets := 1<<rng.IntN(6), 1+rng.IntN(20)
		g := NewGraveyard(places+rng.IntN(places), resets)
		ends := map[uint32]uint32{} // by place, once there are as many as there may be
		states := map[uint32]State{}
		var order []uint32 // our resets, oldest first
		for range 500 {
			id := 1 + rng.Uint32N(200) // some close for a second time
			s := ClosedEnd + State(rng.IntN(3))
			g.Add(id, s)
			switch place := id / 2 % uint32(places); {
			case states[id] == ClosedResetLocal:
			case s == ClosedResetLocal:
				if ends[place] == id {
					delete(ends, place)
				}
				states[id] = s
				if order = append(order, id); len(order) > resets {
					delete(states, order[0])
					order = order[1:]
				}
			default:
				if other := ends[place]; other != id {
					delete(states, other)
				}
				states[id], ends[place] = s, id
			}
			if n := remembered(&g); n != len(states) {
				t.Fatalf("seed %d: %d are remembered, want %d", seed, n, len(states))
			}
			ask := rng.Uint32N(201)
			got, ok := g.State(ask)
			if want, known := states[ask]; ok != known || got != want {
				t.Fatalf("seed %d: State(%d) = %v, %v; want %v, %v", seed, ask, got, ok, want, known)
			}
		}
	}
}

func TestGraveyardAllocations(t *testing.T) {
	var g Graveyard
	id := uint32(1)
	run := func() {
		for range 1000 {
			g.Add(id, ClosedEnd+State(id/2%3))
			g.State(id - 100)
			id += 2
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
