package server

import "github.com/sluice-go/sluice/conn"

// queue is a first-in first-out queue of streams that reuses its memory.
type queue struct {
	items []*conn.Stream
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) pop() *conn.Stream {
	s := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > maxKeptQueue {
			q.items = nil
		}
	} else if q.head >= maxKeptQueue { // it is rarely empty: move the rest to the front
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return s
}

// removeDead removes and returns the streams that have died while they waited.
func (q *queue) removeDead() (dead []*conn.Stream) {
	items := q.items[q.head:]
	n := 0
	for _, s := range items {
		if s.Dead() {
			dead = append(dead, s)
			continue
		}
		items[n] = s
		n++
	}
	clear(items[n:])
	q.items = q.items[:q.head+n]
	return dead
}

// maxKeptQueue is how large the memory may be that an empty queue keeps, in streams.
const maxKeptQueue = 256
