package priority

import "fmt"

// Check returns a [Scheduler] that does what s does, and panics with a text that begins with
// "priority: Check" where s breaks the contract of the interface: where Next returns nil though a
// stream is ready, a Node that is not ready, not open or was closed, or another one than before
// though nothing was called in between. So it panics where its caller opens a stream twice, or says
// of one that is not open that it is ready. It is meant for tests of one's own Scheduler: a call
// costs a look into a map more.
func Check(s Scheduler) Scheduler { return &checked{s: s, ready: make(map[*Node]bool)} }

type checked struct {
	s     Scheduler
	ready map[*Node]bool // has those that are open
	n     int            // how many are ready
	last  *Node          // what Next has returned, until something else is called
}

func fault(format string, args ...any) { panic("priority: Check: " + fmt.Sprintf(format, args...)) }

// IgnoresTree is that of s.
func (c *checked) IgnoresTree() bool { return IgnoresTree(c.s) }

// Decide is that of s.
func (c *checked) Decide(id uint32, p Params) {
	c.last = nil
	Decide(c.s, id, p)
}

// Open adds n, not ready.
func (c *checked) Open(n *Node, p Params) {
	if _, open := c.ready[n]; open {
		fault("Open of stream %d, which is open", n.ID)
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

// Ready lets n take part.
func (c *checked) Ready(n *Node) {
	if _, open := c.ready[n]; !open {
		fault("Ready of stream %d, which is not open", n.ID)
	}
	c.last = nil
	c.set(n, true)
	c.s.Ready(n)
}

// Unready takes n out.
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
			fault("Next has returned nil while %d streams are ready", c.n)
		}
		return nil
	}
	ready, open := c.ready[n]
	switch {
	case !open:
		fault("Next has returned a Node that is not open, or was closed")
	case !ready:
		fault("Next has returned stream %d, which is not ready", n.ID)
	case c.last != nil && c.last != n:
		fault("Next has returned stream %d, and then stream %d though nothing has changed", c.last.ID, n.ID)
	}
	c.last = n
	return n
}

// Sent charges n for a frame.
func (c *checked) Sent(n *Node, bytes int) {
	if !c.ready[n] {
		fault("Sent of stream %d, which is not ready", n.ID)
	}
	c.last = nil
	c.s.Sent(n, bytes)
}
