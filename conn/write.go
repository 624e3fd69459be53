package conn

import (
	"errors"
	"os"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Flush writes what has been appended. It returns at once when another goroutine is flushing: that one takes ours
// along. It blocks while the socket does.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.flushLocked()
	c.unlock()
}

// flushSoon makes another goroutine flush: the reader must not block in a write, or two peers that both write
// would wait for each other.
func (c *Conn) flushSoon() {
	c.mu.Lock()
	c.flushSoonLocked()
	c.mu.Unlock()
}

func (c *Conn) flushSoonLocked() {
	if !c.flushing && c.phase < lingering {
		c.flushing = true
		c.tasks.Add(1)
		go c.flushTask()
	}
}

// flushTask is a goroutine that flushes. It ends when the output is empty or the socket fails; Serve waits for it.
func (c *Conn) flushTask() {
	c.mu.Lock()
	c.writeOut(0)
	c.unlock()
	c.tasks.Done()
}

// flushLocked flushes unless somebody does. It lets go of mu while it writes.
func (c *Conn) flushLocked() {
	if c.flushing || c.phase >= lingering {
		return
	}
	if c.core.OutputLen() == 0 && c.phase == alive && !c.core.Drained() {
		c.ensureOut()
		c.core.Fill(fillLimit)
		c.handleEvents()
		if c.core.OutputLen() == 0 {
			return
		}
	}
	c.flushing = true
	c.writeOut(flushTurns)
}

// writeOut writes until nothing is left to write. It is called with flushing set, and clears it, unless it has
// written turns times (0: no limit) and hands over to a goroutine: a caller must not be kept for others' sake.
func (c *Conn) writeOut(turns int) {
	for n := 0; c.phase < lingering; n++ {
		c.ensureOut()
		c.core.Fill(fillLimit)
		c.handleEvents()
		if c.core.OutputLen() == 0 {
			break
		}
		if turns > 0 && n == turns {
			c.tasks.Add(1)
			go c.flushTask()
			return
		}
		c.writeOnce()
	}
	if c.phase == alive && c.core.Drained() {
		c.phase = finishing
		c.wakeAll()
	}
	if c.phase == finishing {
		c.halfClose()
	}
	c.flushing = false
}

// writeOnce writes the output with one call of the socket.
func (c *Conn) writeOnce() {
	box := c.outBuf
	b := c.core.Output(nil)
	c.outBuf = nil
	limit := c.writeTimeout()
	c.mu.Unlock()

	var now time.Time
	if c.cfg.Tracer != nil || limit > 0 {
		now = time.Now()
	}
	if c.cfg.Tracer != nil {
		c.trace(Out, b, now)
	}
	n, err := c.write(b, limit, now)
	putOut(box, b)

	c.mu.Lock()
	c.stats.writes++
	c.stats.bytesWritten += uint64(n)
	c.room.Broadcast()
	if err != nil && c.phase < dead {
		c.die(&frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: err})
	}
}

// lastWords bounds the time for the frames that say why the connection ends.
const lastWords = 5 * time.Second

func (c *Conn) writeTimeout() time.Duration {
	limit := timeoutOr(c.cfg.WriteByteTimeout, defaultWriteByteTimeout)
	if c.phase == finishing && (limit == 0 || limit > lastWords) {
		limit = lastWords
	}
	return limit
}

// writeDeadline is the deadline that is set on the socket. Moving it costs more than looking at it, so it is set
// twice as far away as it must be, and moved when half of that has passed.
type writeDeadline struct{ at time.Time }

// write writes b. A write that has made some progress before the timeout goes on, but not on TLS, whose state
// does not survive a timeout.
func (c *Conn) write(b []byte, limit time.Duration, now time.Time) (n int, err error) {
	for {
		if limit > 0 && c.wrote.at.Sub(now) < limit {
			c.wrote.at = now.Add(2 * limit)
			if err := c.nc.SetWriteDeadline(c.wrote.at); err != nil {
				return n, err
			}
		}
		k, err := c.nc.Write(b[n:])
		n += k
		if err == nil || k == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		now = time.Now()
	}
}

// ensureOut gives core's output memory from the pool before something is appended.
func (c *Conn) ensureOut() {
	if c.outBuf == nil {
		c.outBuf = outPool.Get().(*buffer)
		c.core.Output(c.outBuf.b)
	}
}

// dropOut gives the memory of an empty output back, so that an idle connection holds none.
func (c *Conn) dropOut() {
	if c.outBuf != nil && c.core.OutputLen() == 0 {
		b := c.core.Output(nil)
		putOut(c.outBuf, b)
		c.outBuf = nil
	}
}

// lingerTime is how long a connection that we have ended is read until the peer closes it, too.
const lingerTime = time.Second

// halfClose ends our direction of the socket when the last frame is written. It is called with flushing set.
func (c *Conn) halfClose() {
	c.mu.Unlock()
	half, ok := c.nc.(interface{ CloseWrite() error })
	if ok {
		ok = half.CloseWrite() == nil
	}
	if ok {
		ok = c.nc.SetReadDeadline(time.Now().Add(lingerTime)) == nil
	}
	c.mu.Lock()
	switch {
	case c.phase != finishing:
	case ok:
		c.phase = lingering
	default:
		c.die(c.err)
	}
	c.room.Broadcast()
}
