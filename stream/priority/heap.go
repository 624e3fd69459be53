package priority

// A member of a heap knows who of two comes first, and where it is.
type member[T any] interface {
	comparable
	before(T) bool
	at() *int32 // its index in the heap; whoever takes it out may use the variable again
}

// heap is a binary heap that can change and remove any member, in logarithmic
// time. The first member is heap[0].
type heap[T member[T]] []T

// keepHeap is up to which capacity an empty heap keeps its memory.
const keepHeap = 64

func (h *heap[T]) push(m T) {
	*m.at() = int32(len(*h))
	*h = append(*h, m)
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(m T) {
	i, last := int(*m.at()), len(*h)-1
	moved := (*h)[last]
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	if last == 0 && cap(*h) > keepHeap {
		*h = nil
	}
	if i == last {
		return
	}
	(*h)[i] = moved
	*moved.at() = int32(i)
	h.fix(moved)
}

// fix finds the place of m, which has changed.
func (h *heap[T]) fix(m T) {
	if i := int(*m.at()); !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	s := *h
	m := s[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !m.before(s[parent]) {
			break
		}
		s[i] = s[parent]
		*s[i].at() = int32(i)
		i = parent
	}
	s[i] = m
	*m.at() = int32(i)
}

// down reports whether the member has moved.
func (h *heap[T]) down(i int) bool {
	s := *h
	m, start := s[i], i
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if right := child + 1; right < len(s) && s[right].before(s[child]) {
			child = right
		}
		if !s[child].before(m) {
			break
		}
		s[i] = s[child]
		*s[i].at() = int32(i)
		i = child
	}
	s[i] = m
	*m.at() = int32(i)
	return i > start
}
