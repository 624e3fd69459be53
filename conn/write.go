package conn

import (
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// writer is what the flusher owns: how it writes to the socket. A flusher is a goroutine that has
// set output.flushing.
type writer struct {
	rawConn  net.Conn        // what is written to: nc, or the socket below its TLS; never changes
	tlsBatch *tlsbatch.Conn  // encrypts the output as a whole; nil where crypto/tls writes to nc; never changes
	nonblock *socket.Writer  // writes what the socket takes at once; nil where there is no such way, and while parked
	vectored *vectoredWriter // writes borrowed memory too; nil until something is borrowed

	deadline     time.Time // the write deadline that is set on nc
	tlsOverhead  int32     // octets that TLS adds to the present write
	wait         uint16    // for how long the last write has waited, in units of countedWait
	notSentLimit uint8     // what the kernel was told, see notSentLimitLocked
	unlocked     bool      // the flusher has released mu, to write or to wait
}

// output is what waits to be written, and what has become of it. It is guarded by Conn.mu.
type output struct {
	buf       *buffer   // whose memory core's output uses; nil while that is empty
	flushing  bool      // a goroutine is the flusher
	flushSoon bool      // a goroutine was started that becomes the flusher, unless another was faster
	taken     sync.Cond // signals that the flusher has taken the output, or that the connection is over

	backpressure *backpressure // nil until a write has waited

	flushes        uint64 // writes that took the output, but for one of which nothing was sent
	resetsQueued   int    // streams of this side whose RST_STREAM is in the output; stays 0 on a server
	resetsInFlight int    // streams of this side whose RST_STREAM is being written; stays 0 on a server
	err            error  // why the socket takes nothing more, while it is still read; nil while it does
	socketLost     bool   // the socket was closed while the phase was open: the output is never sent
}

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
	c.mu.out.backpressure.wakeFlusherLocked()
	if !c.mu.out.flushing && !c.mu.out.flushSoon && c.mu.phase < phaseLingering {
		c.mu.out.flushSoon = true
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
	c.mu.out.flushSoon = false
	if !c.mu.out.flushing && c.mu.phase < phaseLingering {
		if c.mu.park.parked {
			c.initNonblockLocked()
		}
		c.mu.out.flushing = true
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
	if c.mu.stats.writes == writes && !c.mu.out.flushing && c.core.OutputLen() > 0 && c.mu.phase == phaseOpen {
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
	if c.writer.nonblock != nil {
		return
	}
	if w := socket.NewWriter(socket.Of(c.writer.rawConn)); w != nil { // or else who flushes may look at it at this moment
		c.writer.nonblock = w
	}
}

// flushLocked flushes unless somebody does. It lets go of mu while it writes.
func (c *Conn) flushLocked() {
	c.mu.out.backpressure.wakeFlusherLocked()
	if c.mu.out.flushing || c.mu.phase >= phaseLingering {
		return
	}
	if c.mu.park.parked {
		c.initNonblockLocked()
	}
	c.mu.out.flushing = true
	c.flushLoopLocked(maxCallerWrites, c.writer.nonblock != nil)
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
	for n := 0; c.mu.phase < phaseLingering; n++ {
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
	if c.mu.phase == phaseOpen && c.core.Drained() {
		c.beginCloseLocked()
	}
	if c.mu.phase == phaseClosing {
		c.beginLingerLocked()
	}
	c.mu.out.flushing = false
}

// writeOnceLocked writes the output, with loans in it if lent is set, with one call of the socket if that
// takes all at once. It returns false when a goroutine goes on.
func (c *Conn) writeOnceLocked(noWait, borrowed bool) bool {
	buf := c.mu.out.buf
	b := c.core.Output(nil)
	c.mu.out.buf = nil
	c.mu.out.flushes++
	c.mu.out.resetsInFlight, c.mu.out.resetsQueued = c.mu.out.resetsQueued, 0
	c.writer.unlocked = true
	c.watchWriteLocked()
	size, several, limit := len(b), c.core.NumStreams() > 1, c.notSentLimitLocked()
	if borrowed {
		size += c.writer.vectored.size
	}
	c.mu.Unlock()

	c.limitNotSent(size, limit)
	if c.opts.Tracer != nil {
		c.trace(Out, b, time.Now())
	}
	if borrowed {
		return c.writeVectored(buf, b, noWait)
	}
	n, err := 0, error(nil)
	if c.writer.tlsBatch != nil {
		buf, b, err = c.encrypt(buf, b)
	}
	left := b
	if err == nil && (noWait || several && c.writer.nonblock != nil) {
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
	if c.writer.tlsBatch != nil {
		n = max(n-int(c.writer.tlsOverhead), 0) // so much is less than the first record
		if err == nil {
			err = c.writeDeferredTLS()
		}
	}
	c.mu.Lock()
	c.writer.unlocked = false
	if err != nil {
		err = c.overdueLocked(err)
	}
	c.mu.closeDue = c.mu.closeDue && c.mu.out.err != nil
	c.updateBackpressureLocked(n)
	c.mu.stats.writes++
	c.mu.stats.bytesWritten += uint64(n)
	if c.mu.out.resetsInFlight > 0 {
		c.noteQuotaChangedLocked()
	}
	c.mu.out.resetsInFlight = 0
	c.mu.out.taken.Broadcast()
	if err != nil && n == 0 {
		c.mu.out.flushes-- // nothing of it has left
	}
	switch {
	case err == nil || c.mu.phase == phaseClosed:
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
		if c.writer.nonblock != nil {
			k, err = c.writer.nonblock.Write(piece)
		} else {
			k, err = c.writer.rawConn.Write(piece)
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
	if c.mu.out.buf == nil {
		c.mu.out.buf = outPool.Get().(*buffer)
		c.core.Output(c.mu.out.buf.b)
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
