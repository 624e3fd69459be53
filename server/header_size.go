package server

import "sync/atomic"

// headerSizes expects how many fields the handler of a response will set, from how many the last
// ones have. A map that is made for 20 saves growing twice on the way there, a quarter of what such
// a response costs.
//
// It holds, in one word so that lost updates do no harm, the number of fields of the last response
// in its lower half, and in the upper one how many responses in a row have had more than a map has
// room for anyway.
type headerSizes struct{ word atomic.Uint32 }

const (
	smallHeader = 8  // a map takes as many without growing
	mostHeader  = 64 // fields for which room is made
	headerRun   = 4  // responses in a row that make it likely that the next one is large, too
)

func (h *headerSizes) expected() int {
	if w := h.word.Load(); w>>16 >= headerRun {
		return int(w & 0xffff)
	}
	return 0
}

func (h *headerSizes) observe(n int) {
	was := h.word.Load()
	next := uint32(0)
	if n > smallHeader {
		next = min(was>>16+1, headerRun)<<16 | uint32(min(n, mostHeader))
	}
	if next != was {
		h.word.Store(next)
	}
}
