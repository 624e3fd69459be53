package priority

import "fmt"

// Check returns a [Scheduler] that does what s does, and panics with a text that begins with
// "priority: Check" where s breaks the contract of the interface: where Next returns nil though a
// stream is ready, a Node that is not ready, not open or was closed, or another one than before
// though nothing was called in between. It also panics where its caller opens a stream twice, or
// calls Ready for a stream that is not open. It is meant for tests of a Scheduler: each call costs
// one lookup in a map.
func Check(s Scheduler) Scheduler { return &checked{s: s, ready: make(map[*Node]bool)} }

type checked struct {
	s     Scheduler
	ready map[*Node]bool // has the open streams; true: the stream is ready
	n     int            // streams that are ready
	last  *Node          // the result of Next, nil after a call of another method
}

func violation(format string, args ...any) { panic("priority: Check: " + fmt.Sprintf(format, args...)) }

// IgnoresTree calls that of s.
func (c *checked) IgnoresTree() bool { return IgnoresTree(c.s) }

// Decide calls that of s.
func (c *checked) Decide(id uint32, p Params) {
	c.last = nil
	Decide(c.s, id, p)
}

// Open adds n, not ready.
func (c *checked) Open(n *Node, p Params) {
	if _, open := c.ready[n]; open {
		violation("Open of stream %d, which is open", n.ID)
	}
	c.last = nil
	c.ready[n] = false
	c.s.Open(n, p)
}

// Close removes n.
func (c *checked) Close(n *Node) {
	c.last = nil
	c.set(n, false)
	delete(c.ready, n)
	c.s.Close(n)
}

// Adjust changes a priority.
func (c *checked) Adjust(id uint32, p Params) {
	c.last = nil
	c.s.Adjust(id, p)
}

// Ready makes n ready.
func (c *checked) Ready(n *Node) {
	if _, open := c.ready[n]; !open {
		violation("Ready of stream %d, which is not open", n.ID)
	}
	c.last = nil
	c.set(n, true)
	c.s.Ready(n)
}

// Unready makes n not ready.
func (c *checked) Unready(n *Node) {
	c.last = nil
	c.set(n, false)
	c.s.Unready(n)
}

func (c *checked) set(n *Node, ready bool) {
	was, open := c.ready[n]
	switch {
	case !open || was == ready:
		return
	case ready:
		c.n++
	default:
		c.n--
	}
	c.ready[n] = ready
}

// Next returns what s returns.
func (c *checked) Next() *Node {
	n := c.s.Next()
	if n == nil {
		if c.n > 0 {
			violation("Next has returned nil while %d streams are ready", c.n)
		}
		return nil
	}
	ready, open := c.ready[n]
	switch {
	case !open:
		violation("Next has returned a Node that is not open, or was closed")
	case !ready:
		violation("Next has returned stream %d, which is not ready", n.ID)
	case c.last != nil && c.last != n:
		violation("Next has returned stream %d, and then stream %d though nothing has changed", c.last.ID, n.ID)
	}
	c.last = n
	return n
}

// Sent charges n for a frame.
func (c *checked) Sent(n *Node, bytes int) {
	if !c.ready[n] {
		violation("Sent of stream %d, which is not ready", n.ID)
	}
	c.last = nil
	c.s.Sent(n, bytes)
}
