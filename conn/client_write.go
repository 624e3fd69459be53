package conn

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
)

// writeRestTask is a goroutine that writes the rest of an output of which the socket has taken n
// octets, and flushes. It ends as flushTask. b is the memory that box holds.
func (c *Conn) writeRestTask(buf *buffer, b, rest []byte, n int) {
	defer c.tasks.Done()
	defer c.unlockAndNotify()
	c.writeRestAndLock(buf, b, rest, n)
	c.flushLoopLocked(0, false)
}

// writeRestAndLock leaves mu locked.
func (c *Conn) writeRestAndLock(buf *buffer, b, rest []byte, n int) {
	ok := false
	defer c.recoverWriteLocked(&ok)
	k, err := c.write(rest)
	c.afterWriteAndLock(buf, b, n+k, err)
	ok = true
}

// writeNonblock writes what the socket takes of b at once.
func (c *Conn) writeNonblock(b []byte) (int, error) {
	if c.writer.tlsBatch == nil { // there none is left behind
		c.extendWriteDeadline()
	}
	return c.writer.nonblock.TryWrite(b)
}

// keepReadingTime is how long a connection is read on after a write has failed.
const keepReadingTime = time.Second

// keepReadingLocked reports, when a write has failed with err, whether the connection is still
// read. A server that has closed it may have said with GOAWAY before which requests it has not
// processed, and have answered others; a client may have sent requests before it left, which are to
// be carried out. What has arrived of that is worth as much as ever. It is called with mu held.
func (c *Conn) keepReadingLocked(err error) bool {
	if c.mu.phase != phaseOpen || netconn.IsTimeout(err) {
		return false
	}
	if c.mu.out.err != nil {
		return true
	}
	c.mu.out.err = err
	c.noteQuotaChangedLocked()
	c.closeInLocked(keepReadingTime)
	return true
}

// writeLostErrLocked is why the connection has ended when the socket has failed with err: nil where
// the end was agreed on, and nothing is lost. It is called with mu held.
func (c *Conn) writeLostErrLocked(err error) error {
	if c.core.Draining() && c.core.NumStreams() == 0 {
		return nil
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.writeTimedOut(err)}
}
