package tlsrecord

import (
	"bytes"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// itemSize is what an item takes beside its octets.
const itemSize = 128

// A call is what an item is a call of.
type call uint8

const (
	callOctets call = iota
	callLost
	callEnd
)

// An item is a call of the Conn that waits.
type item struct {
	call   call
	d      wire.Dir
	number uint64 // counts those of both directions
	t      time.Time
	octets []byte
	lost   int64
	how    wire.How
}

// held are the calls that wait, of each direction in the order in which they came.
type held struct {
	items  [2][]item
	number uint64
	size   int  // octets that they take
	of     *int // octets that such calls take, of all connections
	ends   int  // calls of End among them
}

// grow counts n octets more.
func (q *held) grow(n int) {
	q.size += n
	*q.of += n
}

// add has a call wait behind those of its direction.
func (q *held) add(i item) {
	q.number++
	i.number = q.number
	i.octets = bytes.Clone(i.octets)
	q.items[i.d] = append(q.items[i.d], i)
	q.grow(len(i.octets) + itemSize)
	if i.call == callEnd {
		q.ends++
	}
}

// next returns the call that came first, of the directions that are not blocked; nil is none.
func (q *held) next(blocked [2]bool) (first *item) {
	for d := range q.items {
		if len(q.items[d]) == 0 || blocked[d] {
			continue
		}
		if i := &q.items[d][0]; first == nil || i.number < first.number {
			first = i
		}
	}
	return first
}

// remove takes the first call of a direction out.
func (q *held) remove(d wire.Dir) {
	q.grow(-len(q.items[d][0].octets) - itemSize)
	if q.items[d][0].call == callEnd {
		q.ends--
	}
	q.items[d][0] = item{}
	q.items[d] = q.items[d][1:]
	if len(q.items[d]) == 0 {
		q.items[d] = nil
	}
}

// submit does what an item says, or has it wait behind those that do.
func (c *Conn) submit(i item) {
	if len(c.held.items[i.d]) > 0 {
		c.held.add(i)
	} else if rest, v := c.run(i); v == wait {
		i.octets = rest
		c.held.add(i)
	}
	c.resume()
}

// run does what an item says. If it has to wait, rest is what is left of its octets.
func (c *Conn) run(i item) (rest []byte, v verdict) {
	h := &c.halves[i.d]
	switch i.call {
	case callOctets:
		return c.feed(h, i.t, i.octets)
	case callLost:
		c.lost(h, i.t, i.lost)
	case callEnd:
		c.end(h, i.t, i.how)
	}
	return nil, done
}

// resume does what was held and need not wait any more.
func (c *Conn) resume() {
	if c.held.size == 0 {
		c.changed = false
		return
	}
	if c.generation != c.keys.generation {
		c.generation, c.changed = c.keys.generation, true
	}
	ends := c.held.ends
	for d := range c.halves {
		if c.halves[d].last {
			ends++
		}
	}
	full := c.held.size > max(c.o.HoldBack, minHoldBack) || c.keys.held > maxHeld
	if !c.forced && (full || ends == len(c.halves)) {
		c.forced, c.changed = true, true
	}
	var blocked [2]bool
	for c.changed {
		c.changed, blocked = false, [2]bool{}
		for i := c.held.next(blocked); i != nil; i = c.held.next(blocked) {
			rest, v := c.run(*i)
			if v == wait {
				c.held.grow(len(rest) - len(i.octets))
				i.octets = rest
				blocked[i.d] = true
			} else {
				c.held.remove(i.d)
			}
		}
	}
}
