package conn

import (
	"bytes"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// directSize is from where on a Write sends from the caller's memory, by the caller's own goroutine
// as far as the socket takes it at once. Smaller ones are better collected.
const directSize = 128 << 10

// lendLimit is what one write of the socket gets where nothing is copied. More at once costs more
// where the peer reads as quickly as we write: it has nothing to do meanwhile.
const lendLimit = 512 << 10

type loanList struct{ loans []core.Segment }

var loanPool = sync.Pool{New: func() any { return &loanList{make([]core.Segment, 0, lendLimit/(16<<10)+1)} }}

// lender writes the output together with memory that stays where it is: that of calls of Write and
// Finish, which do not return before it is sent. Who gives up before that has what is left of its
// memory copied, and while the kernel reads it, which takes as long as one system call that does
// not wait, it waits. So a slow peer costs no memory.
//
// A lender is made for the first loan. It is used by who flushes; what follows list is guarded by
// Conn.mu.
type lender struct {
	c *Conn
	w *socket.VectorWriter

	list   *loanList // what the present write takes from elsewhere
	b      []byte    // the output around it, in the memory of box
	box    *buffer
	size   int  // octets of all that
	sent   int  // of them
	next   int  // in list: those before are sent
	before int  // octets of these
	busy   bool // the kernel reads
	wanted bool // somebody waits for the end of that
}

// writesDirectlyLocked tells whether a Write of n octets should itself send.
func (c *Conn) writesDirectlyLocked(n int) bool {
	return n >= directSize && !c.flushing && c.lends()
}

// lends tells whether what is sent may be taken from the memory of those who send it.
func (c *Conn) lends() bool {
	return socket.CanWritev && c.nonblock != nil && c.tlsBatch == nil && c.cfg.Tracer == nil && c.phase == phaseOpen &&
		c.client.writeErr == nil
}

// lending tells whether somebody is writing what was lent, and will lend more.
func (c *Conn) lending() bool { return c.flushing && c.lender != nil && c.lender.list != nil }

// fillLend moves what may be sent to the output and tells whether some of it has stayed where it
// is. It is called by who takes the output at once, and then calls writeLoans.
func (c *Conn) fillLend(limit int) bool {
	l := c.lender
	if l == nil {
		l = new(lender)
		l.c, l.w = c, socket.NewVectorWriter(socket.Of(c.rawConn), l)
		c.lender = l
	}
	list := loanPool.Get().(*loanList)
	list.loans = c.core.FillVectored(limit, list.loans[:0])
	if len(list.loans) == 0 {
		loanPool.Put(list)
		return false
	}
	l.list, l.size, l.sent, l.next, l.before = list, 0, 0, 0, 0
	for _, loan := range list.loans {
		l.size += len(loan.Data)
		if loan.Stream != nil {
			loan.Stream.Owner.(*Stream).send.lent++
		}
	}
	return true
}

// writeLoans is writeOnceLocked for b, in the memory of box, with the loans in it.
func (c *Conn) writeLoans(box *buffer, b []byte, noWait bool) bool {
	l := c.lender
	l.box, l.b = box, b
	l.size += len(b)
	c.extendWriteDeadline()
	err := l.w.TryWrite()
	all := l.sent == l.size
	if err == nil && !all {
		c.copyForTurns()
		l.shrink()
		if c.noteSocketFull(noWait) {
			go c.flushLoans()
			c.mu.Lock()
			return false
		}
		err = c.writeLoansOn()
	}
	c.wroteLoans(err)
	return true
}

// shrink gives back what is much more memory than the output needs, which now waits for the socket.
func (l *lender) shrink() {
	if len(l.b) > outStart || cap(l.b) <= 2*outStart {
		return
	}
	b := append(make([]byte, 0, outStart), l.b...)
	putOut(l.box, l.b)
	l.box, l.b = &buffer{}, b
}

// copyForTurns has what the socket has not taken copied where streams take turns on a slow one:
// while it works, the writer of the most urgent one is to hand over the next piece (see
// core.Driver.SetBackpressure).
func (c *Conn) copyForTurns() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.streamsCompeteLocked() {
		return
	}
	loans := c.lender.list.loans
	for i := c.lender.next; i < len(loans); i++ {
		data := bytes.Clone(loans[i].Data)
		giveBack(&loans[i])
		loans[i].Data, loans[i].Stream = data, nil
	}
}

// flushLoans is writeRestTask where there are loans in the output.
func (c *Conn) flushLoans() {
	defer c.tasks.Done()
	defer c.unlockAndNotify()
	c.writeLoansRest()
	c.flushLoopLocked(0, false)
}

// writeLoansRest leaves mu locked.
func (c *Conn) writeLoansRest() {
	ok := false
	defer c.recoverWriteLocked(&ok)
	c.wroteLoans(c.writeLoansOn())
	ok = true
}

// writeLoansOn writes what the socket has not taken at once, as write does.
func (c *Conn) writeLoansOn() error {
	defer c.noteWriteWait(time.Now())
	for {
		c.extendWriteDeadline()
		before := c.lender.sent // which nobody else changes
		err := c.lender.w.Write()
		if err == nil || c.lender.sent == before || !netconn.IsTimeout(err) {
			return err
		}
	}
}

// wroteLoans notes that the write is over. It leaves mu locked.
func (c *Conn) wroteLoans(err error) {
	l := c.lender
	c.afterWriteAndLock(l.box, l.b, l.sent, err)
	for ; l.next < len(l.list.loans); l.next++ {
		giveBack(&l.list.loans[l.next])
	}
	clear(l.list.loans)
	loanPool.Put(l.list)
	l.list, l.box, l.b = nil, nil, nil
}

// Unwritten is begin for the writer of the socket.
func (l *lender) Unwritten(piece func(p []byte)) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.begin(piece)
}

// Wrote is end for the writer of the socket.
func (l *lender) Wrote(n int) (left bool) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.end(n)
	return l.sent < l.size
}

// begin tells what is left to write, piece by piece, and has the memory stay as it is until end is
// called.
func (l *lender) begin(piece func(p []byte)) {
	l.busy = true
	from, skip := 0, l.sent-l.before
	if l.next > 0 {
		from = l.list.loans[l.next-1].Offset
		skip -= from
	}
	tell := func(p []byte) {
		k := min(skip, len(p))
		skip -= k
		if k < len(p) {
			piece(p[k:])
		}
	}
	for _, loan := range l.list.loans[l.next:] {
		tell(l.b[from:loan.Offset])
		tell(loan.Data)
		from = loan.Offset
	}
	tell(l.b[from:])
}

// end notes that n more octets are sent.
func (l *lender) end(n int) {
	l.busy = false
	l.sent += n
	loans := l.list.loans
	for ; l.next < len(loans); l.next++ {
		loan := &loans[l.next]
		if l.sent < l.before+loan.Offset+len(loan.Data) {
			break
		}
		l.before += len(loan.Data)
		giveBack(loan)
	}
	if !l.wanted {
		return
	}
	l.wanted = false
	for _, loan := range loans[l.next:] {
		if loan.Stream != nil {
			loan.Stream.Owner.(*Stream).canWrite.Broadcast()
		}
	}
}

// giveBack is called when nobody reads the memory any more.
func giveBack(loan *core.Segment) {
	if loan.Stream == nil {
		return
	}
	st := loan.Stream.Owner.(*Stream)
	st.send.lent--
	if st.send.lent == 0 && (st.send.drained || st.writeErrLocked() != nil) {
		st.canWrite.Broadcast()
	}
}

// takeBack has what st has lent copied, and tells whether that is done; if not, st.canWrite is
// signalled when it can be.
func (c *Conn) takeBack(st *Stream) bool {
	if st.send.lent == 0 {
		return true
	}
	l := c.lender
	if l.busy || c.phase == phaseClosed { // then the socket gives everything back soon
		l.wanted = true
		return false
	}
	for i := range l.list.loans[l.next:] {
		if loan := &l.list.loans[l.next+i]; loan.Stream == &st.cs {
			loan.Data, loan.Stream = bytes.Clone(loan.Data), nil
		}
	}
	st.send.lent = 0
	return true
}
