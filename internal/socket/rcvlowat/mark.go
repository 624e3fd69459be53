// Package rcvlowat sets the receive low-water mark (SO_RCVLOWAT) of a TCP socket, so that its
// reader wakes less often for a large body: not for each packet, but once the socket holds as much
// as is worth waking for. A body is consumed faster than most peers send it; sleeping and waking up
// for every packet would cost more than all else that is done for it.
//
//  1. Before each read, the reader says how much is sure to come (RFC 9110 §8.6 says how long a
//     body is), and how much its last read brought. Expect sets the mark once two reads in a row
//     have brought much, and takes it back towards the end of the body.
//  2. A timer looks at the marks that are set. If a reader has not called Expect between two ticks,
//     its peer has stalled: the mark is taken back, so that the reader wakes for what is there. So
//     octets below the mark wait for tickInterval to twice that.
//  3. After a stall no mark is set for a number of reads, and for twice as many after each further
//     stall.
//
// It needs Linux, and a length that is known. Elsewhere the reader wakes for each packet.
package rcvlowat

import (
	"slices"
	"sync"
	"time"
)

// A Mark is the receive low-water mark of one socket. Expect is called by the reader; the timer
// runs beside it.
type Mark struct {
	set   func(octets int) // sets the option of the socket
	timer *stallTimer

	// Owned by the reader.
	bulkReads int // reads in a row that have brought much
	cooldown  int // reads until bulkReads counts again
	stalls    int // how often the peer has stalled

	mu         sync.Mutex // guards the fields below
	octets     int        // the mark; 1 is the default of the kernel
	calls      uint64     // of Expect
	tickCalls  uint64     // what calls was at the last tick of the timer
	hasStalled bool       // the peer has stalled since the last call of Expect
	onTimer    bool       // the timer looks at this Mark
}

const (
	minWait     = 32 << 10  // what is worth waiting for, in octets
	maxMark     = 384 << 10 // the highest mark
	minBulkRead = 8 << 10   // what a read brings where a body comes in quickly
	readBuffer  = 64 << 10  // what a reader has room for in any case

	tickInterval = 2 * time.Millisecond

	// minCooldown is how many reads go without a mark after the first stall, and maxCooldownShift
	// how often that number is doubled.
	minCooldown      = 64
	maxCooldownShift = 6
)

// Worthwhile reports whether a socket without a Mark should have one: expected octets are sure to
// come, and the last read has brought lastRead.
func Worthwhile(expected, lastRead int) bool { return expected >= minWait && lastRead >= minBulkRead }

// Expect is called before the reader waits. It is told how many octets are sure to come and how
// many the last read brought, and reports whether the reader will wake for so many that it needs a
// large buffer.
func (m *Mark) Expect(octets, lastRead int) (bulk bool) {
	switch {
	case lastRead < minBulkRead:
		m.bulkReads = 0
	case m.cooldown > 0:
		m.cooldown--
	default:
		m.bulkReads++
	}
	if octets < minWait || m.bulkReads < 2 {
		octets = 1
	}
	if m.move(octets) {
		m.timer.add(m)
	}
	return octets > readBuffer
}

// move sets the mark to at most so many octets, and reports whether m must be added to the timer.
func (m *Mark) move(octets int) (add bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.hasStalled {
		m.hasStalled = false
		m.cooldown, m.bulkReads, octets = minCooldown<<min(m.stalls, maxCooldownShift), 0, 1
		m.stalls++
	}
	if octets = min(octets, maxMark); octets != m.octets {
		m.octets = octets
		m.set(octets)
	}
	if octets == 1 || m.onTimer {
		return false
	}
	m.onTimer, m.tickCalls = true, m.calls
	return true
}

// tick takes the mark back if the reader has not called Expect since the last tick. It reports
// whether the timer must look again, as the mark is still set.
func (m *Mark) tick() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.octets > 1 && m.tickCalls == m.calls {
		m.hasStalled, m.octets = true, 1
		m.set(1)
	}
	m.tickCalls = m.calls
	m.onTimer = m.octets > 1
	return m.onTimer
}

// A stallTimer ticks for all marks that are set. A timer for each connection would wake a process
// that sleeps far more often.
type stallTimer struct {
	mu    sync.Mutex // guards the fields below
	marks []*Mark
	timer *time.Timer
}

// sharedTimer is the timer of all sockets.
var sharedTimer stallTimer

func (t *stallTimer) add(m *Mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.marks = append(t.marks, m); len(t.marks) > 1 {
		return
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(tickInterval, t.tick)
	} else {
		t.timer.Reset(tickInterval)
	}
}

func (t *stallTimer) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = slices.DeleteFunc(t.marks, func(m *Mark) bool { return !m.tick() })
	if len(t.marks) > 0 {
		t.timer.Reset(tickInterval)
	}
}
