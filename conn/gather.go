package conn

import (
	"sync"

	"github.com/sluice-go/sluice/conn/core"
)

// gatherer writes to a socket, without ever waiting for it, what lies in several places: b with the loans in it. What it
// wrote may be less than it was given.
type gatherer interface {
	tryGather(b []byte, loans []core.Loan) (int, error)
}

// directSize is from where on a Write sends from the caller's memory, by the caller's own goroutine as far as the socket
// takes it at once. Smaller ones are better collected.
const directSize = 128 << 10

// lendLimit is what one write of the socket gets where nothing is copied.
const lendLimit = 512 << 10

type loanList struct{ loans []core.Loan }

var loanPool = sync.Pool{New: func() any { return &loanList{make([]core.Loan, 0, lendLimit/(16<<10)+1)} }}

// direct tells whether a Write of n octets should itself send.
func (c *Conn) direct(n int) bool {
	return n >= directSize && c.gather != nil && !c.flushing && c.lends()
}

// lends tells whether what is sent may be taken from the memory of those who send it.
func (c *Conn) lends() bool {
	return c.gather != nil && c.cfg.Tracer == nil && c.phase == alive && c.client.writeErr == nil
}

// fillLend moves what may be sent to the output and returns what has stayed where it is, nil for nothing. Calls of Write
// whose memory that is do not return before returnLoans. It is called by who takes the output at once.
func (c *Conn) fillLend() *loanList {
	list := loanPool.Get().(*loanList)
	list.loans = c.core.FillLend(lendLimit, list.loans[:0])
	for _, l := range list.loans {
		if l.Stream != nil {
			l.Stream.Owner.(*Stream).lent = true
		}
	}
	if len(list.loans) == 0 {
		loanPool.Put(list)
		list = nil
	}
	return list
}

// returnLoans is called when nobody reads the memory any more.
func (c *Conn) returnLoans(list *loanList) {
	var last *core.Stream
	for _, l := range list.loans {
		if l.Stream == nil || l.Stream == last {
			continue
		}
		last = l.Stream
		st := last.Owner.(*Stream)
		st.lent = false
		if st.drained || st.writeErr() != nil {
			st.canWrite.Broadcast()
		}
	}
	clear(list.loans)
	loanPool.Put(list)
}

// writeLoans writes what the socket takes at once of b with loans in it, and gives them back. It returns how many octets
// that was, and what is left in memory of its own, with the box that holds it. Called and left without mu.
func (c *Conn) writeLoans(box *buffer, b []byte, list *loanList) (*buffer, []byte, int, error) {
	err := c.moveWriteDeadline()
	n := 0
	if err == nil {
		n, err = c.gather.tryGather(b, list.loans)
	}
	rest := outPool.Get().(*buffer)
	if err == nil {
		rest.b = appendRest(rest.b[:0], b, list.loans, n)
	}
	putOut(box, b)
	c.mu.Lock()
	c.returnLoans(list)
	c.mu.Unlock()
	return rest, rest.b, n, err
}

// appendRest appends to dst what follows the first n octets of b with loans in it.
func appendRest(dst, b []byte, loans []core.Loan, n int) []byte {
	from := 0
	add := func(p []byte) {
		k := min(n, len(p))
		n -= k
		dst = append(dst, p[k:]...)
	}
	for _, l := range loans {
		add(b[from:l.At])
		add(l.Data)
		from = l.At
	}
	add(b[from:])
	return dst
}
