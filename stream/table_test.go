package stream

import (
	"math/rand/v2"
	"testing"
)

// check compares t with a map, entry by entry and by iterating.
func check(t *testing.T, table *Table[int], want map[uint32]int) {
	t.Helper()
	if table.Len() != len(want) {
		t.Fatalf("Len = %d, want %d", table.Len(), len(want))
	}
	for id, v := range want {
		if got, ok := table.Get(id); !ok || got != v {
			t.Fatalf("Get(%d) = %d, %v; want %d", id, got, ok, v)
		}
	}
	seen := map[uint32]bool{}
	for id, v := range table.All() {
		if w, ok := want[id]; !ok || w != v || seen[id] {
			t.Fatalf("All yields %d: %d, want %d, %v; seen %v", id, v, w, ok, seen[id])
		}
		seen[id] = true
	}
	if len(seen) != len(want) {
		t.Fatalf("All yields %d entries, want %d", len(seen), len(want))
	}
}

func TestTableZeroValue(t *testing.T) {
	var table Table[int]
	check(t, &table, nil)
	if _, ok := table.Get(1); ok || table.Delete(1) {
		t.Error("found a stream in an empty table")
	}
	table.Shrink()
	table.Put(1, 1)
	if _, ok := table.Get(0); ok || table.Delete(0) {
		t.Error("found stream 0")
	}
	mustPanic(t, "putting stream 0", func() { table.Put(0, 1) })
}

// play runs operations, three octets each, on a table and on a map.
func play(t *testing.T, ops []byte) {
	var table Table[int]
	model := map[uint32]int{}
	for i := 0; i+2 < len(ops); i += 3 {
		// Few identifiers, so that the same ones come again; the high ones collide in other ways
		// than the low ones.
		id := 1 + uint32(ops[i+1]) + uint32(ops[i+2]&3)<<29
		switch op := ops[i] % 8; op {
		case 0, 1, 2:
			table.Put(id, i)
			model[id] = i
		case 3, 4, 5:
			_, want := model[id]
			if got := table.Delete(id); got != want {
				t.Fatalf("Delete(%d) = %v, want %v", id, got, want)
			}
			delete(model, id)
		case 6:
			v, ok := table.Get(id)
			if w, want := model[id]; ok != want || v != w {
				t.Fatalf("Get(%d) = %d, %v; want %d, %v", id, v, ok, w, want)
			}
		case 7:
			drop(t, &table, model, ops[i+1])
		}
		if len(ops) < 1000 || i%50 == 0 {
			check(t, &table, model)
		}
	}
	check(t, &table, model)
}

// drop deletes some entries while iterating, and shrinks the table.
func drop(t *testing.T, table *Table[int], model map[uint32]int, mask byte) {
	t.Helper()
	seen := map[uint32]bool{}
	for id := range table.All() {
		if seen[id] {
			t.Fatalf("%d was seen twice", id)
		}
		seen[id] = true
		if byte(id)&mask == 0 {
			table.Delete(id)
			delete(model, id)
		}
	}
	for id := range model {
		if !seen[id] {
			t.Fatalf("%d was not seen", id)
		}
	}
	table.Shrink()
}

func TestTableAgainstMap(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 3*(10+rng.IntN(2000)))
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		play(t, ops)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x02\x00\x03\x01\x00\x07\x01\x00"))
	f.Fuzz(play)
}

// A long connection: streams open in order, and close in any order.
func TestTableOfALongConnection(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var table Table[int]
	model := map[uint32]int{}
	var live []uint32
	for id := uint32(1); id < 200_000; id += 2 {
		table.Put(id, int(id))
		model[id] = int(id)
		live = append(live, id)
		if len(live) > 250 {
			i := rng.IntN(len(live))
			if !table.Delete(live[i]) {
				t.Fatalf("stream %d is lost", live[i])
			}
			delete(model, live[i])
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
	}
	check(t, &table, model)
	if len(table.slots) != 512 {
		t.Errorf("%d slots for 250 streams", len(table.slots))
	}
}

func TestTableReleasesValues(t *testing.T) {
	var table Table[*int]
	for id := uint32(1); id < 100; id++ {
		table.Put(id, new(int))
	}
	for id := uint32(1); id < 100; id++ {
		table.Delete(id)
	}
	for i, s := range table.slots {
		if s.val != nil || s.id != 0 {
			t.Errorf("slot %d keeps %+v", i, s)
		}
	}
}

func TestTableShrink(t *testing.T) {
	var table Table[int]
	for id := uint32(1); id <= 10_000; id++ {
		table.Put(id, int(id))
	}
	for id := range table.All() {
		if id > 20 {
			table.Delete(id)
		}
	}
	table.Shrink()
	if len(table.slots) > 64 {
		t.Errorf("%d slots for %d streams", len(table.slots), table.Len())
	}
	for id := uint32(1); id <= 20; id++ {
		if v, ok := table.Get(id); !ok || v != int(id) {
			t.Errorf("Get(%d) = %d, %v", id, v, ok)
		}
		table.Delete(id)
	}
	table.Shrink()
	if table.slots != nil {
		t.Error("an empty table keeps memory")
	}
}

func TestTableAllStops(t *testing.T) {
	var table Table[int]
	for id := uint32(1); id <= 10; id++ {
		table.Put(id, 0)
	}
	n := 0
	for range table.All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d entries after break", n)
	}
	mustPanic(t, "growing while iterating", func() {
		for id := range table.All() {
			table.Put(id+1000, 0)
		}
	})
}

// Closing all streams reads a number of slots that grows with the number of streams, not with its
// square. The test counts slots, because times vary.
func TestTableClosesInLinearTime(t *testing.T) {
	probes := func(n uint32) (sum int) {
		var table Table[int]
		for id := uint32(1); id < 2*n; id += 2 {
			table.Put(id, 0)
		}
		for id := range table.All() {
			mask := uint32(len(table.slots) - 1)
			for i := table.hash(id); table.slots[i].id != 0; i = (i + 1) & mask {
				sum++ // the slots that find and closing the hole read
			}
			table.Delete(id)
		}
		if table.Len() != 0 {
			t.Fatalf("%d streams left", table.Len())
		}
		return sum
	}
	for _, n := range []uint32{100, 1000, 10_000, 100_000} {
		if perStream := float64(probes(n)) / float64(n); perStream > 8 {
			t.Errorf("closing %d streams looks at %.1f slots a stream", n, perStream)
		}
	}
}

func TestTableAllocations(t *testing.T) {
	var table Table[*int]
	next := uint32(1)
	run := func() {
		first := next
		for range 100 {
			table.Put(next, nil)
			next += 2
		}
		for range table.All() {
			table.Len()
		}
		for id := first; id != next; id += 2 {
			if _, ok := table.Get(id); !ok || !table.Delete(id) {
				t.Fatalf("stream %d is lost", id)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
