package capture

import (
	"slices"
	"time"
)

// held are octets of a direction that wait until more is known, with the times at which they came.
// Their memory is that of a budget.
type held struct {
	budget *budget
	buf    []byte
	marks  []heldMark
}

// A heldMark says when octets came.
type heldMark struct {
	end int // of the octets
	t   time.Time
}

// maxMarks is how many times are kept; those beyond are taken together.
const maxMarks = 1024

// len is the number of octets.
func (h *held) len() int { return len(h.buf) }

// add keeps octets, and reports whether there is room for them.
func (h *held) add(t time.Time, p []byte) bool {
	if !h.budget.take(len(p)) {
		return false
	}
	h.buf = append(h.buf, p...)
	last := len(h.marks) - 1
	if last >= 0 && (h.marks[last].t.Equal(t) || last >= maxMarks) {
		h.marks[last].end, h.marks[last].t = len(h.buf), t
		return true
	}
	h.marks = append(h.marks, heldMark{end: len(h.buf), t: t})
	return true
}

// discard forgets the first n octets.
func (h *held) discard(n int) {
	h.budget.give(n)
	h.buf = h.buf[:copy(h.buf, h.buf[n:])]
	gone := 0
	for i := range h.marks {
		if h.marks[i].end -= n; h.marks[i].end <= 0 {
			gone = i + 1
		}
	}
	h.marks = slices.Delete(h.marks, 0, gone)
}

// reset forgets all.
func (h *held) reset() {
	h.budget.give(len(h.buf))
	h.buf, h.marks = nil, nil
}

// replay hands on what is held from octet at on, and forgets it.
func (h *held) replay(at int, octets func(t time.Time, p []byte)) {
	buf, marks := h.buf, h.marks
	h.buf, h.marks = nil, nil
	for _, m := range marks {
		if m.end > at {
			octets(m.t, buf[at:m.end])
			at = m.end
		}
	}
	h.budget.give(len(buf))
}
