package priority

import (
	"math/rand/v2"
	"testing"
)

// Tests that hold for every Scheduler.

var schedulers = []struct {
	name string
	make func() Scheduler
	p    func(id uint32, i int) Params // the priority with which stream id is opened, as the i-th one
	then func(id uint32, i int) Params // the priority that Adjust gives that stream
}{
	{"round robin", NewRoundRobin, noParams, noParams},
	{"auto", NewAuto, noParams, noParams},
	{
		"extensible", NewExtensible,
		func(_ uint32, i int) Params { return ext(uint8(i%8), i%3 == 0) },
		func(_ uint32, i int) Params { return ext(uint8(i%5), i%2 == 0) },
	},
	{
		"tree", NewTree,
		func(id uint32, i int) Params {
			p := dep(id-2*uint32(i%7), 1+i)
			p.Exclusive = i%5 == 0
			return p
		},
		func(id uint32, i int) Params { return dep(id-2*uint32(i)+2*uint32((i+5)%60), 7) },
	},
}

func noParams(uint32, int) Params { return Params{} }

func TestMisuse(t *testing.T) {
	for _, tt := range schedulers {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.make()
			n := open(s, 1)[0]
			mustPanic(t, "opening twice", func() { s.Open(n, Params{}) })
			s.Unready(n)
			s.Sent(n, 100)
			s.Close(n)
			s.Unready(n)
			s.Sent(n, 100)
			mustPanic(t, "a closed stream that is ready", func() { s.Ready(n) })
		})
	}
	s := NewTree()
	open(s, 1)
	mustPanic(t, "another with this identifier", func() { s.Open(&Node{ID: 1}, Params{}) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func TestAllocations(t *testing.T) {
	for _, tt := range schedulers {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.make()
			s.Open(&Node{ID: 1 << 30}, Params{}) // without an open stream the tree would free memory
			nodes := make([]Node, 60)
			id := uint32(1)
			run := func() {
				for i := range nodes {
					nodes[i].ID = id
					s.Open(&nodes[i], tt.p(id, i))
					s.Ready(&nodes[i])
					id += 2
				}
				for range 300 {
					s.Sent(s.Next(), 16384)
				}
				for i := range nodes {
					s.Adjust(nodes[i].ID, tt.then(nodes[i].ID, i))
					s.Unready(&nodes[i])
					s.Ready(&nodes[i])
				}
				for i := range nodes {
					s.Close(&nodes[i])
				}
			}
			for range 100 {
				run()
			}
			if allocs := testing.AllocsPerRun(100, run); allocs > 0 {
				t.Errorf("%v allocations, want 0", allocs)
			}
		})
	}
}

// forSeeds calls f with seeds until one fails, and names that.
func forSeeds(t *testing.T, seeds, stream uint64, f func(seed uint64, rng *rand.Rand)) {
	t.Helper()
	for seed := range seeds {
		f(seed, rand.New(rand.NewPCG(seed, stream)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
