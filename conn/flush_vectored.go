package conn

import (
	"bytes"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// Writing without a copy. A Write of 128 KiB or more on a plain socket on Linux sends from the
// caller's memory.
//
//  1. queueLocked, with the Write's memory queued on its stream, makes the caller the flusher.
//  2. fillVectoredLocked has core put frame headers into the output, and a list of segments for the
//     DATA between them: they are borrowed, and sendState.borrowed counts them.
//  3. writeVectored writes both with writev as far as the socket takes it.
//  4. A goroutine waits for the rest (writeVectoredRestTask). A segment that is sent is released, and
//     the Write returns when all of its segments are.
//  5. A Write that gives up before, because its stream was reset or for its deadline, has what is
//     left copied (reclaimLocked), and while the kernel reads the memory, which takes as long as one
//     system call that does not wait, it waits. So a slow peer costs no memory.

// directWriteSize is from where on a Write sends from the caller's memory, by the caller's own
// goroutine as far as the socket takes it at once. Smaller ones are better collected.
const directWriteSize = 128 << 10

// vectoredLimit is what one write of the socket gets where nothing is copied. More at once costs
// more where the peer reads as quickly as we write: it has nothing to do meanwhile.
const vectoredLimit = 512 << 10

type segmentList struct{ list []core.Segment }

var segmentPool = sync.Pool{New: func() any { return &segmentList{make([]core.Segment, 0, vectoredLimit/(16<<10)+1)} }}

// vectoredWriter writes the output together with memory that stays where it is: that of calls of
// Write and Finish, which do not return before it is sent. Who gives up before that has what is
// left of its memory copied, and while the kernel reads it, which takes as long as one system call
// that does not wait, it waits. So a slow peer costs no memory.
//
// A lender is made for the first loan. It is used by who flushes; what follows list is guarded by
// Conn.mu.
type vectoredWriter struct {
	c *Conn
	w *socket.VectorWriter

	segments      *segmentList // what the present write takes from elsewhere
	output        []byte       // the output around it, in the memory of box
	buf           *buffer
	size          int  // octets of all that
	sent          int  // of them
	firstUnsent   int  // in list: those before are sent
	octetsBefore  int  // octets of these
	inSyscall     bool // the kernel reads
	reclaimWanted bool // somebody waits for the end of that
}

// writesDirectlyLocked tells whether a Write of n octets should itself send.
func (c *Conn) writesDirectlyLocked(n int) bool {
	return n >= directWriteSize && !c.mu.out.flushing && c.canBorrowLocked()
}

// canBorrowLocked tells whether what is sent may be taken from the memory of those who send it.
func (c *Conn) canBorrowLocked() bool {
	return socket.CanWritev && c.writer.nonblock != nil && c.writer.tlsBatch == nil && c.opts.Tracer == nil &&
		c.mu.phase == phaseOpen &&
		c.mu.out.err == nil
}

// borrowingLocked tells whether somebody is writing what was lent, and will lend more.
func (c *Conn) borrowingLocked() bool {
	return c.mu.out.flushing && c.writer.vectored != nil && c.writer.vectored.segments != nil
}

// fillVectoredLocked moves what may be sent to the output and tells whether some of it has stayed
// where it is. It is called by who takes the output at once, and then calls writeVectored.
func (c *Conn) fillVectoredLocked(limit int) bool {
	l := c.writer.vectored
	if l == nil {
		l = new(vectoredWriter)
		l.c, l.w = c, socket.NewVectorWriter(socket.Of(c.writer.rawConn), l)
		c.writer.vectored = l
	}
	list := segmentPool.Get().(*segmentList)
	list.list = c.core.FillVectored(limit, list.list[:0])
	if len(list.list) == 0 {
		segmentPool.Put(list)
		return false
	}
	l.segments, l.size, l.sent, l.firstUnsent, l.octetsBefore = list, 0, 0, 0, 0
	for _, loan := range list.list {
		l.size += len(loan.Data)
		if loan.Stream != nil {
			loan.Stream.Owner.(*Stream).send.borrowed++
		}
	}
	return true
}

// writeVectored is writeOnceLocked for b, in the memory of box, with the loans in it.
func (c *Conn) writeVectored(box *buffer, b []byte, noWait bool) bool {
	l := c.writer.vectored
	l.buf, l.output = box, b
	l.size += len(b)
	c.extendWriteDeadline()
	err := l.w.TryWrite()
	all := l.sent == l.size
	if err == nil && !all {
		c.copyUnsentSegments()
		l.shrinkOutput()
		if c.noteSocketFull(noWait) {
			go c.writeVectoredRestTask()
			c.mu.Lock()
			return false
		}
		err = c.writeVectoredRest()
	}
	c.afterVectoredAndLock(err)
	return true
}

// shrinkOutput gives back what is much more memory than the output needs, which now waits for the
// socket.
func (l *vectoredWriter) shrinkOutput() {
	if len(l.output) > outStart || cap(l.output) <= 2*outStart {
		return
	}
	b := append(make([]byte, 0, outStart), l.output...)
	putOut(l.buf, l.output)
	l.buf, l.output = &buffer{}, b
}

// copyUnsentSegments has what the socket has not taken copied where streams take turns on a slow
// one: while it works, the writer of the most urgent one is to hand over the next piece (see
// core.Driver.SetBackpressure).
func (c *Conn) copyUnsentSegments() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.streamsCompeteLocked() {
		return
	}
	loans := c.writer.vectored.segments.list
	for i := c.writer.vectored.firstUnsent; i < len(loans); i++ {
		data := bytes.Clone(loans[i].Data)
		releaseSegmentLocked(&loans[i])
		loans[i].Data, loans[i].Stream = data, nil
	}
}

// writeVectoredRestTask is writeRestTask where there are loans in the output.
func (c *Conn) writeVectoredRestTask() {
	defer c.tasks.Done()
	defer c.unlockAndNotify()
	c.writeVectoredRestAndLock()
	c.flushLoopLocked(0, false)
}

// writeVectoredRestAndLock leaves mu locked.
func (c *Conn) writeVectoredRestAndLock() {
	ok := false
	defer c.recoverWriteLocked(&ok)
	c.afterVectoredAndLock(c.writeVectoredRest())
	ok = true
}

// writeVectoredRest writes what the socket has not taken at once, as write does.
func (c *Conn) writeVectoredRest() error {
	defer c.noteWriteWait(time.Now())
	for {
		c.extendWriteDeadline()
		before := c.writer.vectored.sent // which nobody else changes
		err := c.writer.vectored.w.Write()
		if err == nil || c.writer.vectored.sent == before || !netconn.IsTimeout(err) {
			return err
		}
	}
}

// afterVectoredAndLock notes that the write is over. It leaves mu locked.
func (c *Conn) afterVectoredAndLock(err error) {
	l := c.writer.vectored
	c.afterWriteAndLock(l.buf, l.output, l.sent, err)
	for ; l.firstUnsent < len(l.segments.list); l.firstUnsent++ {
		releaseSegmentLocked(&l.segments.list[l.firstUnsent])
	}
	clear(l.segments.list)
	segmentPool.Put(l.segments)
	l.segments, l.buf, l.output = nil, nil, nil
}

// Unwritten is begin for the writer of the socket.
func (l *vectoredWriter) Unwritten(piece func(p []byte)) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.unwrittenLocked(piece)
}

// unwrittenLocked tells what is left to write, piece by piece, and has the memory stay as it is
// until end is called.
func (l *vectoredWriter) unwrittenLocked(piece func(p []byte)) {
	l.inSyscall = true
	from, skip := 0, l.sent-l.octetsBefore
	if l.firstUnsent > 0 {
		from = l.segments.list[l.firstUnsent-1].Offset
		skip -= from
	}
	tell := func(p []byte) {
		k := min(skip, len(p))
		skip -= k
		if k < len(p) {
			piece(p[k:])
		}
	}
	for _, loan := range l.segments.list[l.firstUnsent:] {
		tell(l.output[from:loan.Offset])
		tell(loan.Data)
		from = loan.Offset
	}
	tell(l.output[from:])
}

// Wrote is end for the writer of the socket.
func (l *vectoredWriter) Wrote(n int) (left bool) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.wroteLocked(n)
	return l.sent < l.size
}

// wroteLocked notes that n more octets are sent.
func (l *vectoredWriter) wroteLocked(n int) {
	l.inSyscall = false
	l.sent += n
	loans := l.segments.list
	for ; l.firstUnsent < len(loans); l.firstUnsent++ {
		loan := &loans[l.firstUnsent]
		if l.sent < l.octetsBefore+loan.Offset+len(loan.Data) {
			break
		}
		l.octetsBefore += len(loan.Data)
		releaseSegmentLocked(loan)
	}
	if !l.reclaimWanted {
		return
	}
	l.reclaimWanted = false
	for _, loan := range loans[l.firstUnsent:] {
		if loan.Stream != nil {
			loan.Stream.Owner.(*Stream).canWrite.Broadcast()
		}
	}
}

// releaseSegmentLocked is called when nobody reads the memory any more.
func releaseSegmentLocked(loan *core.Segment) {
	if loan.Stream == nil {
		return
	}
	st := loan.Stream.Owner.(*Stream)
	st.send.borrowed--
	if st.send.borrowed == 0 && (st.send.drained || st.writeErrLocked() != nil) {
		st.canWrite.Broadcast()
	}
}

// reclaimLocked has what st has lent copied, and tells whether that is done; if not, st.canWrite is
// signalled when it can be.
func (c *Conn) reclaimLocked(st *Stream) bool {
	if st.send.borrowed == 0 {
		return true
	}
	l := c.writer.vectored
	if l.inSyscall || c.mu.phase == phaseClosed { // then the socket gives everything back soon
		l.reclaimWanted = true
		return false
	}
	for i := range l.segments.list[l.firstUnsent:] {
		if loan := &l.segments.list[l.firstUnsent+i]; loan.Stream == &st.cs {
			loan.Data, loan.Stream = bytes.Clone(loan.Data), nil
		}
	}
	st.send.borrowed = 0
	return true
}
