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
//  4. A goroutine waits for the rest (writeVectoredRestTask). A segment that is sent is released,
//     and the Write returns when all of its segments are.
//  5. A Write that gives up before, because its stream was reset or for its deadline, has what is
//     left copied (reclaimLocked), and while the kernel reads the memory, which takes as long as
//     one system call that does not wait, it waits. So a slow peer costs no memory.

// directWriteSize is the size of a Write that sends from the caller's memory, by the caller's own
// goroutine as far as the socket takes it at once. Smaller ones are better collected.
const directWriteSize = 128 << 10

// vectoredLimit is how many octets one write of the socket gets with borrowed memory. More at once
// costs more where the peer reads as quickly as we write: it has nothing to do meanwhile.
const vectoredLimit = 512 << 10

// segmentList is a slice that can be put into a pool without an allocation.
type segmentList struct{ list []core.Segment }

var segmentPool = sync.Pool{
	New: func() any { return &segmentList{make([]core.Segment, 0, vectoredLimit/(16<<10)+1)} },
}

// vectoredWriter writes the output together with memory that is borrowed: that of calls of Write
// and Finish, which do not return before it is sent or copied. It is made when something is
// borrowed first. It belongs to the flusher, but Conn.mu guards what reclaimLocked and
// borrowingLocked use on other goroutines: segments, firstUnsent, inSyscall and reclaimWanted.
type vectoredWriter struct {
	c *Conn
	w *socket.VectorWriter

	segments *segmentList // the borrowed memory of the present write; nil between writes
	output   []byte       // the output of the present write, with the frame headers of the segments
	buf      *buffer      // holds the memory of output

	size          int  // octets of output and segments together
	sent          int  // octets of these that are sent
	firstUnsent   int  // index of the first segment that is not sent as a whole
	octetsBefore  int  // octets of the segments before firstUnsent
	inSyscall     bool // the kernel may be reading the memory
	reclaimWanted bool // a stream waits for inSyscall to be cleared
}

// writesDirectlyLocked reports whether a Write of n octets is to send by itself.
func (c *Conn) writesDirectlyLocked(n int) bool {
	return n >= directWriteSize && !c.mu.out.flushing && c.canBorrowLocked()
}

// canBorrowLocked reports whether the socket can be written to from the memory of calls of Write.
func (c *Conn) canBorrowLocked() bool {
	return socket.CanWritev && c.writer.nonblock != nil && c.writer.tlsBatch == nil && c.opts.Tracer == nil &&
		c.mu.phase == phaseOpen && c.mu.out.err == nil
}

// borrowingLocked reports whether a flusher is writing borrowed memory, and will borrow more.
func (c *Conn) borrowingLocked() bool {
	return c.mu.out.flushing && c.writer.vectored != nil && c.writer.vectored.segments != nil
}

// fillVectoredLocked moves queued data to the output, and reports whether some of it is borrowed.
// The flusher calls it, and then writes the output with writeVectored.
func (c *Conn) fillVectoredLocked(limit int) bool {
	v := c.writer.vectored
	if v == nil {
		v = new(vectoredWriter)
		v.c, v.w = c, socket.NewVectorWriter(socket.Of(c.writer.rawConn), v)
		c.writer.vectored = v
	}
	list := segmentPool.Get().(*segmentList)
	list.list = c.core.FillVectored(limit, list.list[:0])
	if len(list.list) == 0 {
		segmentPool.Put(list)
		return false
	}
	v.segments, v.size, v.sent, v.firstUnsent, v.octetsBefore = list, 0, 0, 0, 0
	for _, seg := range list.list {
		v.size += len(seg.Data)
		if seg.Stream != nil {
			seg.Stream.Owner.(*Stream).send.borrowed++
		}
	}
	return true
}

// writeVectored is the rest of writeOnceLocked for the output b, in the memory of buf, with
// segments.
func (c *Conn) writeVectored(buf *buffer, b []byte, noWait bool) bool {
	v := c.writer.vectored
	v.buf, v.output = buf, b
	v.size += len(b)
	c.extendWriteDeadline()
	err := v.w.TryWrite()
	all := v.sent == v.size
	if err == nil && !all {
		c.copyUnsentSegments()
		v.shrinkOutput()
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

// shrinkOutput gives back memory of an output that is much larger than its octets, which now wait.
func (v *vectoredWriter) shrinkOutput() {
	if len(v.output) > outStart || cap(v.output) <= 2*outStart {
		return
	}
	b := append(make([]byte, 0, outStart), v.output...)
	putOut(v.buf, v.output)
	v.buf, v.output = new(buffer), b
}

// copyUnsentSegments copies what the socket has not taken, where streams compete for a slow one:
// while the flusher waits, the writer of the most urgent stream is to hand over its next piece.
func (c *Conn) copyUnsentSegments() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.streamsCompeteLocked() {
		return
	}
	list := c.writer.vectored.segments.list
	for i := c.writer.vectored.firstUnsent; i < len(list); i++ {
		data := bytes.Clone(list[i].Data)
		releaseSegmentLocked(&list[i])
		list[i].Data, list[i].Stream = data, nil
	}
}

// writeVectoredRestTask is writeRestTask for an output with segments.
func (c *Conn) writeVectoredRestTask() {
	defer c.tasks.Done()
	defer c.unlockAndNotify()
	c.writeVectoredRestAndLock()
	c.flushLocked(0)
}

// writeVectoredRestAndLock writes the rest of an output with segments.
func (c *Conn) writeVectoredRestAndLock() {
	ok := false
	defer c.recoverWriteLocked(&ok)
	c.afterVectoredAndLock(c.writeVectoredRest())
	ok = true
}

// writeVectoredRest writes what the socket has not taken, and waits for it as Conn.write does.
func (c *Conn) writeVectoredRest() error {
	defer c.noteWriteWait(time.Now())
	for {
		c.extendWriteDeadline()
		before := c.writer.vectored.sent // which only this goroutine changes
		err := c.writer.vectored.w.Write()
		if err == nil || c.writer.vectored.sent == before || !netconn.IsTimeout(err) {
			return err
		}
	}
}

// afterVectoredAndLock is afterWriteAndLock for an output with segments.
func (c *Conn) afterVectoredAndLock(err error) {
	v := c.writer.vectored
	c.afterWriteAndLock(v.buf, v.output, v.sent, err)
	for ; v.firstUnsent < len(v.segments.list); v.firstUnsent++ {
		releaseSegmentLocked(&v.segments.list[v.firstUnsent])
	}
	clear(v.segments.list)
	segmentPool.Put(v.segments)
	v.segments, v.buf, v.output = nil, nil, nil
}

// Unwritten implements socket.Pieces.
func (v *vectoredWriter) Unwritten(piece func(p []byte)) {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	v.unwrittenLocked(piece)
}

// unwrittenLocked calls piece with each part that is left to write. The memory stays as it is until
// wroteLocked is called.
func (v *vectoredWriter) unwrittenLocked(piece func(p []byte)) {
	v.inSyscall = true
	from, skip := 0, v.sent-v.octetsBefore
	if v.firstUnsent > 0 {
		from = v.segments.list[v.firstUnsent-1].Offset
		skip -= from
	}
	rest := func(p []byte) {
		k := min(skip, len(p))
		skip -= k
		if k < len(p) {
			piece(p[k:])
		}
	}
	for _, seg := range v.segments.list[v.firstUnsent:] {
		rest(v.output[from:seg.Offset])
		rest(seg.Data)
		from = seg.Offset
	}
	rest(v.output[from:])
}

// Wrote implements socket.Pieces.
func (v *vectoredWriter) Wrote(n int) (left bool) {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	v.wroteLocked(n)
	return v.sent < v.size
}

// wroteLocked notes that n more octets are sent, and releases the segments that are sent as a
// whole.
func (v *vectoredWriter) wroteLocked(n int) {
	v.inSyscall = false
	v.sent += n
	list := v.segments.list
	for ; v.firstUnsent < len(list); v.firstUnsent++ {
		seg := &list[v.firstUnsent]
		if v.sent < v.octetsBefore+seg.Offset+len(seg.Data) {
			break
		}
		v.octetsBefore += len(seg.Data)
		releaseSegmentLocked(seg)
	}
	if !v.reclaimWanted {
		return
	}
	v.reclaimWanted = false
	for _, seg := range list[v.firstUnsent:] {
		if seg.Stream != nil {
			seg.Stream.Owner.(*Stream).canWrite.Broadcast()
		}
	}
}

// releaseSegmentLocked is called when the memory of a segment is read no more.
func releaseSegmentLocked(seg *core.Segment) {
	if seg.Stream == nil {
		return
	}
	st := seg.Stream.Owner.(*Stream)
	st.send.borrowed--
	if st.send.borrowed == 0 && (st.send.drained || st.writeErrLocked() != nil) {
		st.canWrite.Broadcast()
	}
}

// reclaimLocked copies the memory that was borrowed of st and is not sent, and reports whether it
// has. If not, because the kernel reads it, st.canWrite is signalled when it can be tried again.
func (c *Conn) reclaimLocked(st *Stream) bool {
	if st.send.borrowed == 0 {
		return true
	}
	v := c.writer.vectored
	if v.inSyscall || c.mu.phase == phaseClosed { // once it is closed, the write that borrows ends soon
		v.reclaimWanted = true
		return false
	}
	for i := range v.segments.list[v.firstUnsent:] {
		if seg := &v.segments.list[v.firstUnsent+i]; seg.Stream == &st.cs {
			seg.Data, seg.Stream = bytes.Clone(seg.Data), nil
		}
	}
	st.send.borrowed = 0
	return true
}
