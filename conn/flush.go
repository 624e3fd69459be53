package conn

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// When and by which goroutine a connection's output is written.
//
//  1. A goroutine that has something to send appends it to core's output, or queues it there until
//     the peer's windows are open, with the lock held.
//  2. It becomes the flusher by setting output.flushing (Flush, FlushNoWait), unless another is;
//     that one takes the new output along. Where it must not write itself, as the reader, the timer
//     and calls of Read must not, it has a goroutine do so (flushSoonLocked).
//  3. The flusher fills the output with queued DATA, takes it, releases the lock and writes it
//     (writeOnceLocked in flush_socket.go), until nothing is left (flushLocked).
//  4. A caller of Flush hands over to a goroutine after maxCallerWrites, or where it would wait.
//  5. The last write of a connection that has been shut down opens the closing phases.

// output is what waits to be written, and what has become of it. It is guarded by Conn.mu.
type output struct {
	buf       *buffer   // the memory of core's output; nil while that is empty
	flushing  bool      // a goroutine is the flusher
	flushSoon bool      // a goroutine was started that becomes the flusher, unless another was faster
	taken     sync.Cond // signals that the flusher has taken the output, or that the connection is over

	backpressure *backpressure // nil until a write has waited

	flushes        uint64 // how often the output was taken; a write that failed with nothing sent is not counted
	resetsQueued   int    // streams of this side whose RST_STREAM is in the output; stays 0 on a server
	resetsInFlight int    // streams of this side whose RST_STREAM is being written; stays 0 on a server
	err            error  // why the socket takes nothing more, while it is still read; nil while it does
	socketLost     bool   // the socket was closed while the phase was open: the output is never sent
}

// Flush writes what has been appended. It returns at once when another goroutine is flushing: that
// one takes the output along. What a TCP or Unix socket does not take at once is left to a
// goroutine, and so is everything where the net.Conn is neither such a socket nor TLS on one. On
// TLS that is not from package server or client Flush waits for the socket.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	switch {
	case c.mu.out.flushing || !c.interruptible:
		c.flushSoonLocked()
	case c.mu.phase < phaseLingering:
		c.flushLocked(maxCallerWrites)
	}
}

// FlushNoWait writes what has been appended without ever waiting for the socket: what a plain
// socket does not take at once is left to another goroutine, and so is everything where the
// net.Conn is neither such a socket nor TLS of package server or client on one. It lets other
// goroutines that run now append to the output first.
func (c *Conn) FlushNoWait() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.flushNoWaitLocked()
}

func (c *Conn) flushNoWaitLocked() {
	if c.mu.out.flushing || c.mu.phase >= phaseLingering || c.core.OutputLen() == 0 {
		return
	}
	if c.writer.nonblock == nil {
		c.flushSoonLocked()
		return
	}
	if c.core.NumStreams() > 1 {
		// With more than one stream, other goroutines may have something for the same write.
		c.mu.out.flushing = true
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.flushLocked(maxCallerWrites)
}

// flushSoonLocked has a goroutine flush: the present flusher, or a new one. The reader must not
// write, or two peers that both write would wait for each other.
func (c *Conn) flushSoonLocked() {
	switch {
	case c.mu.out.flushing:
		c.mu.out.backpressure.wakeFlusherLocked()
	case !c.mu.out.flushSoon && c.mu.phase < phaseLingering:
		c.mu.out.flushSoon = true
		c.tasks.Add(1)
		go c.flushTask()
	}
}

// flushTask flushes on a goroutine of its own, unless another was faster. It ends when the output
// is empty or the socket fails; Serve waits for it.
func (c *Conn) flushTask() {
	defer c.tasks.Done()
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.mu.out.flushSoon = false
	if !c.mu.out.flushing && c.mu.phase < phaseLingering {
		c.flushLocked(0)
	}
}

// continueFlushTask goes on, on a goroutine of its own, with the flush of a caller, which has set
// flushing. It ends as flushTask does.
func (c *Conn) continueFlushTask() {
	defer c.tasks.Done()
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.flushLocked(0)
}

// flushAfterHandler has the output written that is older than the streams which were just handed
// over, however long their handlers take. An answer that comes at once takes it along: the
// goroutines that the handler has started run first. writes is the number of writes before.
func (c *Conn) flushAfterHandler(writes uint64) {
	c.mu.Lock()
	if c.mu.stats.writes == writes && !c.mu.out.flushing && c.core.OutputLen() > 0 && c.mu.phase == phaseOpen {
		c.tasks.Add(1)
		go func() { // ends as flushTask does
			defer c.tasks.Done()
			runtime.Gosched()
			c.Flush()
		}()
	}
	c.mu.Unlock()
}

// flushLocked makes its caller the flusher, which writes until nothing is left. No other goroutine
// may be one. In some cases a goroutine goes on, and flushing stays set: after maxWrites (0: no
// limit), since a caller must not be kept busy for other streams; where a flusher that may wait
// would wait for the writer of a stream; and, unless maxWrites is 0, where a plain socket does not
// take all at once. It releases the lock while it writes.
func (c *Conn) flushLocked(maxWrites int) {
	ok, goesOn := false, false // goesOn: on another goroutine
	defer c.recoverWriteLocked(&ok)
	c.mu.out.flushing = true
	if c.mu.park.parked {
		c.initNonblockLocked()
	}
	noWait := maxWrites > 0 && c.writer.nonblock != nil
	for n := 0; !goesOn && c.mu.phase < phaseLingering; n++ {
		last := maxWrites > 0 && n == maxWrites
		borrowed, awaits := false, false
		if c.core.State().Ready {
			borrowed, awaits = c.fillForWriteLocked(!last, maxWrites == 0)
		}
		if c.mu.out.err != nil {
			c.core.Output(c.core.Output(nil)) // it is never written
		}
		if c.core.OutputLen() == 0 && !awaits {
			break
		}
		if last || awaits {
			c.tasks.Add(1)
			go c.continueFlushTask()
			goesOn = true
		} else {
			goesOn = !c.writeOnceLocked(noWait, borrowed)
		}
	}
	if !goesOn {
		c.dropOutputLocked()
		if c.mu.phase == phaseOpen && c.core.State().Drained {
			c.beginCloseLocked()
			c.failStreamsLocked(c.endErrLocked()) // there are none, but calls may wait for an answer of the peer
		}
		if c.mu.phase == phaseClosing {
			c.beginLingerLocked()
		}
		c.mu.out.flushing = false
		c.mu.out.taken.Broadcast() // for traceEnd
	}
	ok = true
}

// fillLocked moves queued data to the output. It is not much where streams compete for the socket,
// or may compete for one that is full, so that a more urgent stream that queues something later is
// not behind it.
func (c *Conn) fillLocked() {
	competes := c.streamsCompeteLocked() ||
		c.mu.out.backpressure != nil && c.mu.out.backpressure.socketFull && c.core.NumStreams() > 1
	if competes {
		c.core.SetBackpressure(true)
		c.core.Fill(c.mu.out.backpressure.writeSize())
		c.mu.out.backpressure.wakeFlusherLocked()
	} else {
		c.core.Fill(fillLimit)
		if c.core.Contended() && c.core.Sendable() {
			c.ensureBackpressureLocked()
			c.mu.out.backpressure.contended = c.mu.out.backpressure.contendedOctets < quickOctets
		}
	}
	c.checkSchedulerLocked()
}

// fillForWriteLocked moves queued data to the output, which is written next. It reports whether
// some of it is borrowed and stays where it is, which mayBorrow allows, and whether there is
// nothing to write before the writer of a stream comes, for which it may wait where mayWait is set.
func (c *Conn) fillForWriteLocked(mayBorrow, mayWait bool) (borrowed, awaits bool) {
	borrowed = c.fillOnceLocked(mayBorrow)
	for mayWait && !borrowed && c.awaitStreamWriterLocked() {
		borrowed = c.fillOnceLocked(mayBorrow)
	}
	awaits = c.core.OutputLen() == 0 && c.core.Awaits()
	c.checkSchedulerLocked() // which Fill and Awaits ask; while no stream is ready nothing asks it
	return borrowed, awaits
}

// fillOnceLocked is fillForWriteLocked that does not wait.
func (c *Conn) fillOnceLocked(mayBorrow bool) (borrowed bool) {
	c.ensureOutputLocked()
	most, mostBorrowed := fillLimit, vectoredLimit
	if p := c.mu.out.backpressure; p != nil {
		if p.slow && time.Now().After(p.slowUntil) {
			p.slow = false
		}
		if p.contended && (!c.core.Contended() || p.contendedOctets >= quickOctets) {
			p.contended = false
		}
		competes := c.streamsCompeteLocked()
		c.core.SetBackpressure(competes)
		if competes {
			most, mostBorrowed = p.writeSize(), p.writeSize()
		}
	} else {
		c.core.SetBackpressure(false) // it may have been on before the connection was parked
	}
	if mayBorrow && c.canBorrowLocked() {
		borrowed = c.fillVectoredLocked(mostBorrowed)
	} else {
		c.core.Fill(most)
	}
	c.handleEventsLocked()
	return borrowed
}

// checkSchedulerLocked ends the connection if core has found a fault of the scheduler.
func (c *Conn) checkSchedulerLocked() {
	if c.mu.phase != phaseOpen {
		return
	}
	if err := c.core.Err(); err != nil {
		c.failByCoreLocked(err)
	}
}

// failByCoreLocked ends the connection for an error of core's own.
func (c *Conn) failByCoreLocked(err error) {
	var fault *frame.ConnError
	if errors.As(err, &fault) {
		c.failLocked(fault)
	}
}

// ensureOutputLocked gives core's output memory from the pool, before something is appended.
func (c *Conn) ensureOutputLocked() {
	if c.mu.out.buf == nil {
		c.mu.out.buf = outPool.Get().(*buffer)
		c.core.Output(*c.mu.out.buf)
	}
}

// dropOutputLocked gives the memory of an empty output back, so that an idle connection holds none.
func (c *Conn) dropOutputLocked() {
	if c.mu.out.buf != nil && c.core.OutputLen() == 0 {
		b := c.core.Output(nil)
		putOut(c.mu.out.buf, b)
		c.mu.out.buf = nil
	}
}
