package core

// decoderTable is the dynamic table of an HPACK decoder (RFC 7541 §2.3.2). The zero table has a size of 0 and holds
// no memory before its first entry.
type decoderTable struct {
	ring  []tableEntry // its length is 0 or a power of 2
	next  uint32       // where the next entry goes, modulo the length
	count uint32
	size  uint64
	max   uint64
}

const firstRing = 16 // entries of a table's first ring: what most connections need

// at gives the i-th entry, 1 being the newest, or nil.
func (t *decoderTable) at(i uint64) *tableEntry {
	if i-1 >= uint64(t.count) {
		return nil
	}
	return &t.ring[(t.next-uint32(i))&uint32(len(t.ring)-1)]
}

// add adds e, which must fit the whole table, and evicts what has to go for it (RFC 7541 §4.4).
func (t *decoderTable) add(e *tableEntry) {
	t.evict(t.max - uint64(e.octets))
	t.size += uint64(e.octets)
	if int(t.count) == len(t.ring) {
		t.grow()
	}
	t.ring[t.next&uint32(len(t.ring)-1)] = *e
	t.next++
	t.count++
}

func (t *decoderTable) grow() {
	ring := make([]tableEntry, max(firstRing, 2*len(t.ring)))
	for i := range t.count {
		ring[i] = *t.at(uint64(t.count - i))
	}
	t.ring, t.next = ring, t.count
}

func (t *decoderTable) setMax(n uint64) {
	t.max = n
	t.evict(n)
}

func (t *decoderTable) clear() { t.evict(0) }

// evict drops the oldest entries until the rest is not larger than most.
func (t *decoderTable) evict(most uint64) {
	for t.size > most {
		e := t.at(uint64(t.count))
		t.size -= uint64(e.octets)
		t.count--
		*e = tableEntry{} // hold on to no string
	}
}
