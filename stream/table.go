package stream

import (
	"fmt"
	"iter"
	"math/bits"
)

// A Table maps stream identifiers to values. It is a hash table with open addressing: lookups touch
// one array, and adding and removing allocate only when the table has to grow. The zero Table is
// empty and ready to use.
type Table[T any] struct {
	slots []slot[T] // length 0 or a power of two; at most 3/4 full
	n     int       // entries
	shift uint8     // 32 - log2(len(slots))
}

type slot[T any] struct {
	val T
	id  uint32 // 0: the slot is empty
}

const minSlots = 8

// hash is multiplicative (Knuth): identifiers are close to each other, and their lowest bit is
// always the same.
func (t *Table[T]) hash(id uint32) uint32 { return id * 0x9E3779B1 >> t.shift }

// Len returns the number of entries.
func (t *Table[T]) Len() int { return t.n }

// find returns the index of the slot of id, or of the empty slot where Put would put it.
func (t *Table[T]) find(id uint32) (i uint32, found bool) {
	mask := uint32(len(t.slots) - 1)
	for i = t.hash(id); ; i = (i + 1) & mask {
		switch t.slots[i].id {
		case id:
			return i, true
		case 0:
			return i, false
		}
	}
}

// Get returns the value of id, and whether there is one.
func (t *Table[T]) Get(id uint32) (v T, ok bool) {
	if t.n == 0 || id == 0 {
		return v, false
	}
	i, ok := t.find(id)
	return t.slots[i].val, ok
}

// Put sets the value of id, which must not be 0.
func (t *Table[T]) Put(id uint32, v T) {
	if id == 0 {
		panic("BUG: stream: stream 0 in the stream table")
	}
	if 4*(t.n+1) > 3*len(t.slots) {
		t.resize(max(minSlots, 2*len(t.slots)))
	}
	i, found := t.find(id)
	if !found {
		t.n++
	}
	t.slots[i] = slot[T]{v, id}
}

func (t *Table[T]) resize(size int) {
	old := t.slots
	t.slots = make([]slot[T], size)
	t.shift = uint8(32 - bits.TrailingZeros(uint(size)))
	for _, s := range old {
		if s.id != 0 {
			i, _ := t.find(s.id)
			t.slots[i] = s
		}
	}
}

// Delete removes id and reports whether it was there.
func (t *Table[T]) Delete(id uint32) bool {
	if t.n == 0 || id == 0 {
		return false
	}
	hole, found := t.find(id)
	if !found {
		return false
	}
	// Close the hole with entries that a collision moved behind it, so that no tombstones
	// accumulate.
	mask := uint32(len(t.slots) - 1)
	for i := (hole + 1) & mask; t.slots[i].id != 0; i = (i + 1) & mask {
		home := t.hash(t.slots[i].id)
		if (i-home)&mask >= (i-hole)&mask {
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = slot[T]{}
	t.n--
	return true
}

// Shrink frees memory that the entries do not need any more. It may allocate a smaller table; call
// it when a connection becomes idle.
func (t *Table[T]) Shrink() {
	if t.n == 0 {
		t.slots = nil
		return
	}
	size := len(t.slots)
	for size > minSlots && 8*t.n <= 3*size {
		size /= 2
	}
	if size < len(t.slots) {
		t.resize(size)
	}
}

// All iterates over the entries in no particular, but repeatable, order. The body may Delete the
// entry that it was called with, and Put must not be called.
func (t *Table[T]) All() iter.Seq2[uint32, T] {
	return func(yield func(uint32, T) bool) {
		size := len(t.slots)
		if t.n == 0 {
			return
		}
		// Delete moves entries toward lower slots, but never past an empty one. So the walk goes
		// down from an empty slot: entries that move were visited already.
		start := 0
		for t.slots[start].id != 0 {
			start++
		}
		for k := 1; k < size; k++ {
			s := t.slots[(start-k)&(size-1)]
			if s.id == 0 {
				continue
			}
			if !yield(s.id, s.val) {
				return
			}
			if len(t.slots) != size {
				panic(fmt.Sprintf("BUG: stream: table of %d slots resized while iterating", size))
			}
		}
	}
}
