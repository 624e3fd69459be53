package priority

// heapMember is the type of the members of a heap.
type heapMember[T any] interface {
	comparable
	// before reports whether the member comes before another one.
	before(T) bool
	// heapIndex returns the variable in which the heap keeps the member's index. When the member
	// was removed from the heap, the variable may be used for something else.
	heapIndex() *int32
}

// heap is a binary heap that can change and remove any member, in logarithmic time. The first
// member is heap[0].
type heap[T heapMember[T]] []T

// maxEmptyHeap is the largest capacity that a heap keeps when it becomes empty.
const maxEmptyHeap = 64

func (h *heap[T]) push(m T) {
	*m.heapIndex() = int32(len(*h))
	*h = append(*h, m)
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(m T) {
	i, last := int(*m.heapIndex()), len(*h)-1
	moved := (*h)[last]
	var zero T
	(*h)[last] = zero
	*h = (*h)[:last]
	if last == 0 && cap(*h) > maxEmptyHeap {
		*h = nil
	}
	if i == last {
		return
	}
	(*h)[i] = moved
	*moved.heapIndex() = int32(i)
	h.fix(moved)
}

// fix moves m, whose order has changed, to its new index.
func (h *heap[T]) fix(m T) {
	if i := int(*m.heapIndex()); !h.down(i) {
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
		*s[i].heapIndex() = int32(i)
		i = parent
	}
	s[i] = m
	*m.heapIndex() = int32(i)
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
		*s[i].heapIndex() = int32(i)
		i = child
	}
	s[i] = m
	*m.heapIndex() = int32(i)
	return i > start
}
