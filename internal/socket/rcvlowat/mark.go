// Package rcvlowat makes a TCP socket wake its reader less often for large bodies.
//
// Limitations: it needs Linux, and does nothing where it is not known how much is to come.
package rcvlowat

import (
	"slices"
	"sync"
	"time"
)

// A Mark keeps the socket from waking the reader for each packet of a large body: it is readable
// only once it holds as much as is worth waking for, as long as that much is sure to come (RFC 9110
// §8.6 says how long a body is). A body is consumed faster than most peers send it, and then
// sleeping and waking up cost more than everything else that is done for it. When the peer pauses,
// what waits below the mark waits for pause, and no longer than twice that.
//
// Expect is called by the reader; the clock runs beside it.
type Mark struct {
	set   func(octets int) // tells the socket; 1 is what sockets begin with
	clock *clock

	reads  int // in a row, that have brought much
	calm   int // reads until the next attempt
	pauses int // how often the peer has paused

	mu     sync.Mutex
	at     int    // the mark
	turn   uint64 // of the reader
	seen   uint64 // by the clock
	fired  bool   // the peer has paused
	ticked bool   // it is in the clock's list
}

const (
	// Most is the highest mark, in octets.
	Most = 384 << 10
	// From is what is worth waiting for.
	From = 32 << 10
	// Quick is what a read brings where a body comes in quickly.
	Quick = 8 << 10

	largeFrom = 64 << 10 // what a reader takes at once anyway
	pause     = 2 * time.Millisecond
	calmReads = 64 // reads without a mark after the first pause; twice as many after each further one
)

// Expect is told before the reader waits how many octets are sure to come, and how many the last
// read has brought. It tells whether so many are waited for that a large buffer is called for.
func (m *Mark) Expect(octets, last int) (large bool) {
	switch {
	case last < Quick:
		m.reads = 0
	case m.calm > 0:
		m.calm--
	default:
		m.reads++
	}
	if octets < From || m.reads < 2 {
		octets = 1
	}
	if m.move(octets) {
		m.clock.add(m)
	}
	return octets > largeFrom
}

// move moves the mark, and tells whether the clock must be told of it.
func (m *Mark) move(octets int) (add bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	if m.fired {
		m.fired = false
		m.calm, m.reads, octets = calmReads<<min(m.pauses, 6), 0, 1
		m.pauses++
	}
	if octets = min(octets, Most); octets != m.at {
		m.at = octets
		m.set(octets)
	}
	if octets == 1 || m.ticked {
		return false
	}
	m.ticked, m.seen = true, m.turn
	return true
}

// tick looks whether the reader has had a turn since the last tick, and tells whether another one
// is needed.
func (m *Mark) tick() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at > 1 && m.seen == m.turn {
		m.fired, m.at = true, 1
		m.set(1)
	}
	m.seen = m.turn
	m.ticked = m.at > 1
	return m.ticked
}

// A clock ticks for all marks that are set: one timer, and not one for each connection, each of
// which would wake a process that sleeps.
type clock struct {
	mu    sync.Mutex
	list  []*Mark
	timer *time.Timer
}

var marks clock

func (c *clock) add(m *Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list = append(c.list, m); len(c.list) > 1 {
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(pause, c.tick)
	} else {
		c.timer.Reset(pause)
	}
}

func (c *clock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(m *Mark) bool { return !m.tick() })
	if len(c.list) > 0 {
		c.timer.Reset(pause)
	}
}
