package server

import "sync/atomic"

// headerSizes predicts how many fields the handler of a response will set, from the responses
// before. A map that is made for 20 fields does not grow twice on the way there, which saves a
// quarter of what such a response costs.
//
// It is one word, so that lost updates do no harm: the lower half is the number of fields of the
// last response, the upper half how many responses in a row have had more than smallHeader.
type headerSizes struct{ word atomic.Uint32 }

const (
	smallHeader = 8  // fields that a map takes without growing
	mostHeader  = 64 // fields that a map is made for at most
	headerRun   = 4  // responses in a row with more than smallHeader, after which the next is expected to be large
)

// expected returns how many fields to make a header map for; 0 means its usual size.
func (h *headerSizes) expected() int {
	if w := h.word.Load(); w>>16 >= headerRun {
		return int(w & 0xffff)
	}
	return 0
}

// observe is called with the number of fields of each response.
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
