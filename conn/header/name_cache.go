package header

import (
	"hash/maphash"
	"sync/atomic"
)

// nameCache has names that are not in the table, by one of their spellings. It does not grow: a
// name goes into the set that its hash says, in the place of what was there (CVE-2022-41717 is what
// an unbounded cache leads to). With one place for a hash, or a hash that looks at a part of the
// name, two names of a program would push each other out all the time, which costs more than no
// cache.
type nameCache struct {
	sets   [64]nameSet
	victim atomic.Uint32 // counts replacements, so that they go round the places of a set
}

type nameSet [4]atomic.Pointer[Name]

// maxCachedName bounds the memory that one entry can hold.
const maxCachedName = 64

var (
	namesByLower, namesByKey nameCache

	nameSeed = maphash.MakeSeed()
)

func (c *nameCache) set(spelling string) *nameSet {
	return &c.sets[maphash.String(nameSeed, spelling)%uint64(len(c.sets))]
}

func (c *nameCache) put(spelling string, n *Name) {
	if len(spelling) > maxCachedName {
		return
	}
	set := c.set(spelling)
	for i := range set {
		if set[i].CompareAndSwap(nil, n) {
			return
		}
	}
	set[c.victim.Add(1)%uint32(len(set))].Store(n)
}
