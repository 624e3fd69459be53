package conn

import (
	"io"
	"runtime"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// Flush writes what has been appended. It returns at once when another goroutine is flushing: that
// one takes ours along. What a TCP or Unix socket does not take at once is left to a goroutine, and
// everything where the net.Conn is neither such a socket nor TLS on one. Flush blocks while TLS
// does that is not from package server or client.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if !c.interruptible {
		c.flushSoonLocked()
		return
	}
	c.flushLocked()
}

// flushSoonLocked makes another goroutine flush: the reader must not block in a write, or two peers
// that both write would wait for each other.
func (c *Conn) flushSoonLocked() {
	c.backpressure.wakeFlusherLocked()
	if !c.flushing && !c.flushSoon && c.phase < phaseLingering {
		c.flushSoon = true
		c.tasks.Add(1)
		go c.flushTask()
	}
}

// flushTask is a goroutine that flushes, unless somebody was faster. It ends when the output is
// empty or the socket fails; Serve waits for it.
func (c *Conn) flushTask() {
	defer c.tasks.Done()
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.flushSoon = false
	if !c.flushing && c.phase < phaseLingering {
		if c.park.parked {
			c.initNonblockLocked()
		}
		c.flushing = true
		c.flushLoopLocked(0, false)
	}
}

// continueFlushTask is a goroutine that goes on with a flush that somebody has begun: flushing is set.
func (c *Conn) continueFlushTask() {
	defer c.tasks.Done()
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.flushLoopLocked(0, false)
}

// flushAfterHandler sees to it that output which is older than the streams that were just handed
// over leaves, however long the handler takes. Who answers at once takes it along: the goroutines
// that the handler has started are let go first. turn is the number of writes before.
func (c *Conn) flushAfterHandler(writes uint64) {
	c.mu.Lock()
	if c.stats.writes == writes && !c.flushing && c.core.OutputLen() > 0 && c.phase == phaseOpen {
		c.tasks.Add(1)
		go func() { // as flushTask
			defer c.tasks.Done()
			runtime.Gosched()
			c.Flush()
		}()
	}
	c.mu.Unlock()
}

// initNonblockLocked finds how the socket can be written to without waiting. A connection that rests knows
// none.
func (c *Conn) initNonblockLocked() {
	if c.nonblock != nil {
		return
	}
	if w := socket.NewWriter(socket.Of(c.rawConn)); w != nil { // or else who flushes may look at it at this moment
		c.nonblock = w
	}
}

// flushLocked flushes unless somebody does. It lets go of mu while it writes.
func (c *Conn) flushLocked() {
	c.backpressure.wakeFlusherLocked()
	if c.flushing || c.phase >= phaseLingering {
		return
	}
	if c.park.parked {
		c.initNonblockLocked()
	}
	c.flushing = true
	c.flushLoopLocked(maxCallerWrites, c.nonblock != nil)
}

// flushLoopLocked writes until nothing is left to write. It is called with flushing set, and clears it,
// unless it has written turns times (0: no limit) and hands over to a goroutine: a caller must not
// be kept for others' sake. It does so, too, where it would have to wait for the writer of a
// stream, and with noWait set, when the socket does not take all at once.
func (c *Conn) flushLoopLocked(maxWrites int, noWait bool) {
	ok := false
	defer c.recoverWriteLocked(&ok)
	c.flushWritesLocked(maxWrites, noWait)
	ok = true
}

func (c *Conn) flushWritesLocked(maxWrites int, noWait bool) {
	for n := 0; c.phase < phaseLingering; n++ {
		last := maxWrites > 0 && n == maxWrites
		borrowed := c.fillForWriteLocked(!last)
		for maxWrites == 0 && !borrowed && c.awaitStreamWriterLocked() {
			borrowed = c.fillForWriteLocked(true)
		}
		awaits := c.core.OutputLen() == 0 && c.core.Awaits()
		if c.core.OutputLen() == 0 && !awaits {
			break
		}
		if last || awaits {
			c.tasks.Add(1)
			go c.continueFlushTask()
			return
		}
		if !c.writeOnceLocked(noWait, borrowed) {
			return
		}
	}
	c.dropOutputLocked()
	if c.phase == phaseOpen && c.core.Drained() {
		c.beginCloseLocked()
	}
	if c.phase == phaseClosing {
		c.beginLingerLocked()
	}
	c.flushing = false
}

// writeOnceLocked writes the output, with loans in it if lent is set, with one call of the socket if that
// takes all at once. It returns false when a goroutine goes on.
func (c *Conn) writeOnceLocked(noWait, borrowed bool) bool {
	buf := c.outBuf
	b := c.core.Output(nil)
	c.outBuf = nil
	c.client.flushes++
	c.client.resetsInFlight, c.client.resetsQueued = c.client.resetsQueued, 0
	c.flusherUnlocked = true
	c.watchWriteLocked()
	size, several, limit := len(b), c.core.NumStreams() > 1, c.notSentLimitLocked()
	if borrowed {
		size += c.vectored.size
	}
	c.mu.Unlock()

	c.limitNotSent(size, limit)
	if c.cfg.Tracer != nil {
		c.trace(Out, b, time.Now())
	}
	if borrowed {
		return c.writeVectored(buf, b, noWait)
	}
	n, err := 0, error(nil)
	if c.tlsBatch != nil {
		buf, b, err = c.encrypt(buf, b)
	}
	left := b
	if err == nil && (noWait || several && c.nonblock != nil) {
		n, err = c.writeNonblock(b)
		left = b[n:]
	}
	if err == nil && len(left) > 0 {
		if c.noteSocketFull(noWait) {
			go c.writeRestTask(buf, b, left, n)
			c.mu.Lock()
			return false
		}
		var k int
		k, err = c.write(left)
		n += k
	}
	c.afterWriteAndLock(buf, b, n, err)
	return true
}

// afterWriteAndLock notes that n octets of b were written. It leaves mu locked.
func (c *Conn) afterWriteAndLock(buf *buffer, b []byte, n int, err error) {
	putOut(buf, b)
	if c.tlsBatch != nil {
		n = max(n-int(c.tlsOverhead), 0) // so much is less than the first record
		if err == nil {
			err = c.writeDeferredTLS()
		}
	}
	c.mu.Lock()
	c.flusherUnlocked = false
	if err != nil {
		err = c.overdueLocked(err)
	}
	c.timer.closeDue = c.timer.closeDue && c.client.writeErr != nil
	c.updateBackpressureLocked(n)
	c.stats.writes++
	c.stats.bytesWritten += uint64(n)
	c.client.quotaChanged = c.client.quotaChanged || c.client.resetsInFlight > 0
	c.client.resetsInFlight = 0
	c.outputTaken.Broadcast()
	if err != nil && n == 0 {
		c.client.flushes-- // nothing of it has left
	}
	switch {
	case err == nil || c.phase == phaseClosed:
	case c.keepReadingLocked(err):
	default:
		c.closeLocked(c.writeLostErrLocked(err))
	}
}

// write writes b. A write that has made some progress before the timeout goes on. Where TLS writes
// it cannot, since the state of crypto/tls does not survive a timeout; so there each record is a
// write with a time of its own.
func (c *Conn) write(b []byte) (n int, err error) {
	start := time.Now()
	defer c.noteWriteWait(start)
	pieces := c.newPiecer(start)
	for {
		c.extendWriteDeadline()
		piece := pieces.next(b[n:])
		var k int
		var err error
		if c.nonblock != nil {
			k, err = c.nonblock.Write(piece)
		} else {
			k, err = c.rawConn.Write(piece)
		}
		n += k
		pieces.wrote()
		switch {
		case err == nil && n == len(b):
			if c.tls || !c.interruptible {
				c.clearWriteDeadline()
			}
			return n, nil
		case err == nil && k == 0:
			return n, io.ErrShortWrite
		case err != nil && (k == 0 || !netconn.IsTimeout(err)):
			return n, err
		}
		c.watchWrite()
	}
}

// tlsRecord is the most that one record of TLS carries (RFC 8446 §5.1).
const tlsRecord = 16 << 10

// ensureOutputLocked gives core's output memory from the pool before something is appended.
func (c *Conn) ensureOutputLocked() {
	if c.outBuf == nil {
		c.outBuf = outPool.Get().(*buffer)
		c.core.Output(c.outBuf.b)
	}
}

// dropOutputLocked gives the memory of an empty output back, so that an idle connection holds none.
func (c *Conn) dropOutputLocked() {
	if c.outBuf != nil && c.core.OutputLen() == 0 {
		b := c.core.Output(nil)
		putOut(c.outBuf, b)
		c.outBuf = nil
	}
}
