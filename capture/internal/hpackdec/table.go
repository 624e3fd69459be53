package hpackdec

import (
	"golang.org/x/net/http2/hpack"
)

const (
	lastStatic    = 61 // highest index of the static table (RFC 7541 §2.3.3)
	entryOverhead = 32 // octets of an entry beside name and value (RFC 7541 §4.1)

	// MaxTableSize is how much of a table is kept, in octets counted as RFC 7541 §4.1 says. The
	// older entries of a larger table are Unknown.
	MaxTableSize = 1 << 20
)

// staticTable is RFC 7541 Appendix A, as package hpack knows it.
var staticTable = func() (t [lastStatic + 1]entry) {
	d := hpack.NewDecoder(0, nil)
	for i := 1; i <= lastStatic; i++ {
		f, err := d.DecodeFull([]byte{0x80 | byte(i)})
		if err != nil {
			panic("BUG: hpackdec: static table: " + err.Error())
		}
		t[i] = entry{name: f[0].Name, value: f[0].Value}
	}
	return t
}()

// A Budget is memory that the tables of many Decoders share. One goroutine uses them all.
type Budget struct{ left int }

// NewBudget returns a Budget of so many octets.
func NewBudget(octets int) *Budget { return &Budget{octets} }

// An entry of a table.
type entry struct {
	name, value string
	state       State // of the whole
	nameState   State
}

// size is the size of an entry (RFC 7541 §4.1), as far as it is known.
func (e *entry) size() uint64 { return uint64(len(e.name)) + uint64(len(e.value)) + entryOverhead }

// least is the size that an entry has at least.
func (e *entry) least() uint64 {
	if e.nameState != Known { // it may be another one
		return uint64(len(e.value)) + entryOverhead
	}
	return e.size()
}

// table is the dynamic table.
//
// An entry is evicted as soon as what is known of the newer ones leaves no room for it. Where sizes
// are not known it may be evicted too late, and is harmless: an encoder does not refer to it.
//
// After a loss there may be entries between those from before it and those added since: the sure
// ones, from which alone it follows what else there is room for.
type table struct {
	entries []entry // the oldest first, from head on
	head    int
	size    uint64 // of entries
	max     uint64

	sure     uint64 // of entries, the newest: those added since the last loss
	sureSize uint64

	// behind says what an index behind the oldest entry means: Known that there is nothing.
	behind State
	budget *Budget
}

func (t *table) len() uint64 { return uint64(len(t.entries) - t.head) }

// at returns entry i, 1 being the newest, and false where there can be none.
func (t *table) at(i uint64) (entry, bool) {
	if i <= t.len() {
		return t.entries[uint64(len(t.entries))-i], true
	}
	e := entry{state: t.behind, nameState: t.behind}
	if t.behind == Known || i > t.most() {
		e.state, e.nameState = Unknown, Unknown
		return e, false
	}
	return e, true
}

// most is how many entries there can be at most.
func (t *table) most() uint64 {
	if t.sureSize > t.max {
		return t.sure
	}
	return t.sure + (t.max-t.sureSize)/entryOverhead
}

// add puts an entry in front (RFC 7541 §4.4).
func (t *table) add(e entry) {
	n, least := e.size(), e.least()
	if least > t.max {
		t.drop(int(t.len()), Known)
		return
	}
	t.evict(t.max - least)
	for t.len() > 0 && (t.size+n > MaxTableSize || int(n) > t.budget.left) { // it cannot be kept
		t.drop(1, max(t.behind, Unknown))
	}
	if int(n) > t.budget.left { // the place in the table counts all the same
		t.behind = max(t.behind, Unknown)
		return
	}
	if t.head > 32 && t.head > len(t.entries)/2 {
		k := copy(t.entries, t.entries[t.head:])
		clear(t.entries[k:])
		t.entries, t.head = t.entries[:k], 0
	}
	t.entries = append(t.entries, e)
	t.budget.left -= int(n)
	t.size += n
	t.sure++
	t.sureSize += least
	t.evict(t.max)
}

// resize sets the maximum size (RFC 7541 §4.3).
func (t *table) resize(n uint64) {
	t.max = n
	t.evict(n)
}

// evict removes old entries until those that are left have at most so many octets.
func (t *table) evict(limit uint64) {
	for t.size > limit && t.len() > t.sure {
		t.drop(1, max(t.behind, Unknown))
	}
	for t.sureSize > limit && t.len() > 0 {
		t.drop(1, Known) // what was behind it is evicted before it
	}
	if t.sureSize+entryOverhead > t.max {
		t.drop(int(t.len()-t.sure), Known) // there is no room for anything else
	}
}

// drop removes the n oldest entries, behind which an index then means the state.
func (t *table) drop(n int, behind State) {
	for range n {
		e := &t.entries[t.head]
		size := e.size()
		if t.len() == t.sure {
			t.sure--
			t.sureSize -= e.least()
		}
		t.size -= size
		t.budget.left += int(size)
		*e = entry{}
		t.head++
	}
	t.behind = behind
	t.shrink()
}

// keptEntries is for how many entries memory is kept that there are no more.
const keptEntries = 256

// shrink gives memory back that was for many more entries than there are.
func (t *table) shrink() {
	if n := len(t.entries) - t.head; cap(t.entries) > keptEntries && n < cap(t.entries)/4 {
		t.entries, t.head = append(make([]entry, 0, 2*n), t.entries[t.head:]...), 0
	}
}

// clear removes all entries.
func (t *table) clear() { t.drop(int(t.len()), t.behind) }

// forget says that the table has, or may have, entries that were not seen. Those that there are
// become tainted: how many are in front of them is not known. An update of the size may have been
// missed as well.
func (t *table) forget(s State) {
	for i := t.head; i < len(t.entries); i++ {
		e := &t.entries[i]
		e.state, e.nameState = max(e.state, s), max(e.nameState, s)
	}
	t.behind, t.sure, t.sureSize = max(t.behind, s), 0, 0
	t.max = max(t.max, MaxTableSize)
}
