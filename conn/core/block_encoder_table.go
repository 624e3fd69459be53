package core

import "strings"

// encoderTable is the dynamic table of an HPACK encoder (RFC 7541 §2.3.2), with the means to find fields in it. It
// holds no memory before its first entry.
//
// An entry is known by its number, that of its insertion modulo 2^32. Its age is 1 for the newest; an entry is alive
// while its age is at most count. Entries whose names have the same hash are linked from the newest on; where the
// chain leads to one that is no longer alive, it ends. So eviction does not touch the links.
type encoderTable struct {
	ring  []encoderEntry // its length is 0 or a power of 2
	heads []uint32       // number of the newest entry by hash; as long as ring
	last  uint32         // number of the newest entry
	count uint32
	size  uint64
	max   uint32
}

type encoderEntry struct {
	name, value string
	known       *knownName // what lookupName gave for the name: for a known one, the same each time
	hash        uint32     // of the name
	next        uint32     // number of the entry before with the same hash, modulo the length of heads
	used        bool       // it has been found since it came
	missed      uint8      // how often another value was wanted instead, while this was the newest
}

const (
	maxWalk    = 16 // entries looked at for one field
	retryEvery = 8  // see wants
)

func (t *encoderTable) entry(age uint32) *encoderEntry {
	return &t.ring[(t.last+1-age)&uint32(len(t.ring)-1)]
}

// find gives the age of the entry that is f, and that of the newest with its name; 0 for none.
func (t *encoderTable) find(known *knownName, hash uint32, f *Field) (age, sameName uint32) {
	if t.count == 0 {
		return 0, 0
	}
	number := t.heads[hash&uint32(len(t.heads)-1)]
	before := uint32(0)
	for range maxWalk {
		a := t.last - number + 1
		if a > t.count || a <= before {
			break // no longer alive
		}
		before = a
		e := t.entry(a)
		if e.known == known && (known.name != "" || e.hash == hash && e.name == f.Name) {
			if e.value == f.Value {
				e.used = true
				return a, a
			}
			if sameName == 0 {
				sameName = a
			}
		}
		number = e.next
	}
	return 0, sameName
}

// wants tells whether f, which is not in the table, should enter it. A field that would take most of the table
// should not. Nor should one whose name came with another value that was then never used again: that is a field that
// changes each time, though once in a while it gets another chance.
func (t *encoderTable) wants(f *Field, sameName uint32) bool {
	if fieldSize(f.Name, f.Value) > uint64(t.max)*3/4 {
		return false
	}
	if sameName == 0 {
		return true
	}
	e := t.entry(sameName)
	if e.used {
		return true
	}
	e.missed++
	return e.missed%retryEvery == 0
}

// add adds f, which fits, and evicts what has to go for it.
func (t *encoderTable) add(hash uint32, known *knownName, f *Field) {
	size := fieldSize(f.Name, f.Value)
	t.evict(uint64(t.max) - size)
	t.size += size
	if int(t.count) == len(t.ring) {
		t.grow()
	}
	// The strings are ours: a value may be part of something large.
	name, value := known.name, ""
	if name == "" {
		s := f.Name + f.Value
		name, value = s[:len(f.Name)], s[len(f.Name):]
	} else {
		value = strings.Clone(f.Value)
	}
	t.last++
	t.count++
	*t.entry(1) = encoderEntry{name: name, value: value, known: known, hash: hash}
	t.link(1)
}

// link puts the entry of that age at the head of its chain.
func (t *encoderTable) link(age uint32) {
	e := t.entry(age)
	head := &t.heads[e.hash&uint32(len(t.heads)-1)]
	e.next = *head
	*head = t.last + 1 - age
}

func (t *encoderTable) grow() {
	old := *t
	n := max(firstRing, 2*len(t.ring))
	t.ring, t.heads = make([]encoderEntry, n), make([]uint32, n)
	for i := range t.heads {
		t.heads[i] = t.last - t.count // not alive
	}
	for age := t.count; age > 0; age-- {
		*t.entry(age) = *old.entry(age)
		t.link(age)
	}
}

func (t *encoderTable) setMax(n uint32) {
	t.max = n
	t.evict(uint64(n))
}

// evict drops the oldest entries until the rest is not larger than most.
func (t *encoderTable) evict(most uint64) {
	for t.size > most {
		e := t.entry(t.count)
		t.size -= fieldSize(e.name, e.value)
		t.count--
		e.name, e.value = "", "" // hold on to no string; the link stays
	}
}
