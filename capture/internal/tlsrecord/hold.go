package tlsrecord

import (
	"bytes"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// itemSize is what an item takes beside its octets.
const itemSize = 96

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
	t      time.Time
	octets []byte
	lost   int64
	how    wire.How
}

// held are the calls that wait, in the order in which they came.
type held struct {
	items []item
	size  int
	of    [2]int // items by direction
	ends  int    // calls of End
}

// add has a call wait.
func (q *held) add(i item) {
	q.items = append(q.items, i)
	q.size += len(i.octets) + itemSize
	q.of[i.d]++
	if i.call == callEnd {
		q.ends++
	}
}

// take empties q.
func (q *held) take() []item {
	items := q.items
	*q = held{}
	return items
}

// submit does what an item says, or has it wait behind those that do.
func (c *Conn) submit(i item) {
	if c.held.of[i.d] > 0 {
		i.octets = bytes.Clone(i.octets)
		c.held.add(i)
	} else {
		c.run(i)
	}
	c.resume()
}

// run does what an item says. What has to wait is held.
func (c *Conn) run(i item) {
	h := &c.halves[i.d]
	switch i.call {
	case callOctets:
		if rest, v := c.feed(h, i.t, i.octets); v == wait {
			i.octets = bytes.Clone(rest)
			c.held.add(i)
		}
	case callLost:
		c.lost(h, i.t, i.lost)
	case callEnd:
		c.end(h, i.t, i.how)
	}
}

// resume does what was held and need not wait any more.
func (c *Conn) resume() {
	if len(c.held.items) == 0 {
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
	if !c.forced && (ends == 2 || c.held.size > max(c.o.HoldBack, minHoldBack)) {
		c.forced, c.changed = true, true
	}
	for c.changed {
		c.changed = false
		for _, i := range c.held.take() {
			if c.held.of[i.d] > 0 {
				c.held.add(i)
			} else {
				c.run(i)
			}
		}
	}
}
