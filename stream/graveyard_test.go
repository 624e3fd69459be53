package stream

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGraveyardForgetsTheOldest(t *testing.T) {
	g := NewGraveyard(3, 2)
	for id := uint32(1); id <= 9; id += 2 {
		g.Add(id, ClosedEnd)
	}
	for id := uint32(1); id <= 9; id += 2 {
		s, ok := g.State(id)
		if want := id >= 5; ok != want || ok && s != ClosedEnd {
			t.Errorf("State(%d) = %v, %v; want known %v", id, s, ok, want)
		}
	}
	if g.Len() != 3 {
		t.Errorf("Len = %d, want 3", g.Len())
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
	if g.Len() != DefaultEnds+1 {
		t.Errorf("Len = %d, want %d", g.Len(), DefaultEnds+1)
	}
}

func TestGraveyardChangesOfCause(t *testing.T) {
	g := NewGraveyard(2, 2)
	g.Add(1, ClosedEnd)
	g.Add(1, ClosedResetRemote) // the same ring
	if s, _ := g.State(1); s != ClosedResetRemote {
		t.Errorf("State = %v", s)
	}
	g.Add(1, ClosedResetLocal) // the answer to a late frame
	g.Add(1, ClosedEnd)        // that does not undo it
	if s, _ := g.State(1); s != ClosedResetLocal {
		t.Errorf("State = %v", s)
	}
	// Its old place among the others is used up without forgetting it.
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
	if s, ok := g.State(1); ok || g.Len() != 0 {
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
		limits := [2]int{1 + rng.IntN(20), 1 + rng.IntN(20)}
		g := NewGraveyard(limits[0], limits[1])
		var order [2][]uint32 // by kind: others, our resets; oldest first
		states := map[uint32]State{}
		for id := uint32(1); id < 1000; id += 2 {
			s := ClosedEnd + State(rng.IntN(3))
			kind := 0
			if s == ClosedResetLocal {
				kind = 1
			}
			g.Add(id, s)
			states[id] = s
			order[kind] = append(order[kind], id)
			if len(order[kind]) > limits[kind] {
				delete(states, order[kind][0])
				order[kind] = slices.Delete(order[kind], 0, 1)
			}
			if g.Len() != len(states) {
				t.Fatalf("seed %d: Len = %d, want %d", seed, g.Len(), len(states))
			}
			ask := 1 + 2*rng.Uint32N(500)
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
