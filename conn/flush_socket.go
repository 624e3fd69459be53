package conn

import (
	"io"
	"math"
	"net"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// How the flusher writes.
//
//  1. writeOnceLocked takes the output from core, with its memory, and releases the lock.
//  2. Below TLS of packages server and client the output is encrypted as a whole (flush_tls.go).
//  3. It is written to the socket without waiting, by the caller's goroutine, or with the borrowed
//     memory of large writes by writev (flush_vectored.go).
//  4. What the socket has not taken is left to a goroutine (writeRestTask), or waited for where the
//     flusher may wait (write), within the write timeout (flush_deadline.go).
//  5. afterWriteAndLock acquires the lock, counts, and notes for how long the socket has made the
//     flusher wait (backpressure.go).

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

// initNonblockLocked finds how the socket is written to without waiting. While parked it is not
// known.
func (c *Conn) initNonblockLocked() {
	if c.writer.nonblock != nil {
		return
	}
	if w := socket.NewWriter(socket.Of(c.writer.rawConn)); w != nil {
		c.writer.nonblock = w // and never nil here: a flusher may be using it
	}
}

// writeOnceLocked writes the output, with borrowed memory in it if borrowed is set. It reports
// whether the write is over; if not, a goroutine goes on with it. It releases the lock while it
// writes.
func (c *Conn) writeOnceLocked(noWait, borrowed bool) bool {
	buf, b := c.mu.out.buf, c.core.Output(nil)
	c.mu.out.buf = nil
	c.mu.out.flushes++
	c.mu.out.resetsInFlight, c.mu.out.resetsQueued = c.mu.out.resetsQueued, 0
	c.writer.unlocked = true
	if !c.interruptible {
		c.watchWriteLocked()
	}
	size, limit := len(b), c.writer.notSentLimit
	if borrowed {
		size += c.writer.vectored.size
	}
	if size >= smallWriteSize {
		limit = c.notSentLimitLocked()
	}
	c.mu.Unlock()

	if limit != c.writer.notSentLimit {
		c.limitNotSent(limit)
	}
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
	if err == nil && c.writer.nonblock != nil {
		if c.writer.tlsBatch == nil { // under TLS the deadline would stay set behind the write
			c.extendWriteDeadline()
		}
		n, err = c.writer.nonblock.TryWrite(b)
	}
	if err == nil && n < len(b) {
		if c.noteSocketFull(noWait) {
			go c.writeRestTask(buf, b, n)
			c.mu.Lock()
			return false
		}
		var k int
		k, err = c.write(b[n:])
		n += k
	}
	c.afterWriteAndLock(buf, b, n, err)
	return true
}

// noteSocketFull notes that the socket has not taken all of the present write, and that the flusher
// will wait for it. With task set it reports whether a goroutine may be started for that, for which
// Serve will wait.
func (c *Conn) noteSocketFull(task bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ensureBackpressureLocked()
	c.mu.out.backpressure.socketFull = true
	if !task || c.mu.phase == phaseClosed {
		return false
	}
	c.tasks.Add(1)
	return true
}

// writeRestTask is a goroutine that writes the rest of the output b, of which the socket has taken
// n octets, and then flushes. It ends as flushTask does. buf holds the memory of b.
func (c *Conn) writeRestTask(buf *buffer, b []byte, n int) {
	defer c.tasks.Done()
	defer c.unlockAndNotify()
	c.writeRestAndLock(buf, b, n)
	c.flushLocked(0)
}

// writeRestAndLock writes the rest of the output b, of which n octets are written.
func (c *Conn) writeRestAndLock(buf *buffer, b []byte, n int) {
	ok := false
	defer c.recoverWriteLocked(&ok)
	k, err := c.write(b[n:])
	c.afterWriteAndLock(buf, b, n+k, err)
	ok = true
}

// write writes b, and waits for the socket. A write that has made some progress before the timeout
// goes on. Where crypto/tls writes to the net.Conn it cannot, since the state of crypto/tls does
// not survive a timeout; so there each record is a write with a time of its own.
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

// noteWriteWait notes for how long the write that began at start has waited.
func (c *Conn) noteWriteWait(start time.Time) {
	c.writer.wait = uint16(min(time.Since(start)/countedWait, math.MaxUint16))
}

// afterWriteAndLock is called when a write is over, of which n octets of b were written.
func (c *Conn) afterWriteAndLock(buf *buffer, b []byte, n int, err error) {
	putOut(buf, b)
	if c.writer.tlsBatch != nil {
		n = max(n-int(c.writer.tlsOverhead), 0) // the rest is octets of the output
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
	if c.writer.wait > 0 || c.mu.out.backpressure != nil {
		c.updateBackpressureLocked(n)
	}
	c.mu.stats.writes++
	c.mu.stats.bytesWritten += uint64(n)
	if c.mu.out.resetsInFlight > 0 {
		c.noteQuotaChangedLocked()
	}
	c.mu.out.resetsInFlight = 0
	c.mu.out.taken.Broadcast()
	if err != nil && n == 0 {
		c.mu.out.flushes-- // nothing of it was sent
	}
	switch {
	case err == nil || c.mu.phase == phaseClosed:
	case c.keepReadingLocked(err):
	default:
		c.closeLocked(c.writeLostErrLocked(err))
	}
}

// limitNotSent has the kernel hold no more octets that it cannot send yet than notSentLimitLocked
// has returned as exponent: what the kernel holds cannot be overtaken by a more urgent stream. It
// is called by the flusher before it writes, and costs a system call.
func (c *Conn) limitNotSent(exponent uint8) {
	c.writer.notSentLimit = exponent
	s := socket.Of(socket.BelowTLS(c.writer.rawConn))
	if s == nil {
		return
	}
	limit := 0 // the default of the system
	if exponent > 0 {
		limit = 1 << exponent
	}
	s.LimitNotSent(limit)
}
