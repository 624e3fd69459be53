package conn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// A connection is known when its socket, or the one below its TLS, is one of package net: then its
// deadlines work, a Read that waits can be interrupted by one, and a method of it may be called
// while mu is held. Of any other net.Conn nothing is asked but Read, Write and Close:
//
//   - Only the goroutine in Serve reads, and nobody interrupts it: requests never read for
//     themselves (see readLease).
//   - No read deadline is ever set. What bounds the time after the last frame, and after a write
//     that has failed, is the connection's own timer, which closes the socket. That holds for known
//     connections, too.
//   - A write deadline is set, since one that works tells of a write that has taken a part. Where
//     one is refused or does nothing, the connection's own timer closes the socket when a piece of
//     a write has not been taken for three times as long; pieces are so small that a peer which
//     takes 34 octets a second is never too slow.
//   - Flush leaves writing to another goroutine, since nothing says whether it would wait.
//   - No method is called while mu is held.

// isInterruptible reports whether nc is known.
func isInterruptible(nc net.Conn) bool {
	return netconn.Interruptible(socket.BelowTLS(nc))
}

// piecer cuts what is written into what one call of Write gets. A TCP or Unix socket gets all. So
// would any other, but for two things: a write of crypto/tls does not survive a timeout, and
// whether a connection that is not known has taken a part of a write is not seen before its end, so
// that it gets little where it is slow.
type piecer struct {
	most, size int
	limit      time.Duration // WriteByteTimeout, or 0
	at         time.Time     // when the piece was begun
}

const (
	pieceLeast = 16
	pieceSlow  = 512
	pieceFirst = 4 << 10
	pieceMost  = 64 << 10

	// pieceTime bounds a piece by the write timeout, as the buffer of a connection may take any
	// number of pieces at once before a slow peer shows: an octet for each 10 ms of it. A piece has
	// three times the timeout.
	pieceTime = 10 * time.Millisecond
)

func (c *Conn) newPiecer(now time.Time) piecer {
	p := piecer{most: math.MaxInt, size: math.MaxInt}
	if c.tls && c.writer.tlsBatch == nil {
		p.most, p.size = tlsRecord, tlsRecord
	}
	if !c.interruptible {
		p.limit, p.at = c.writeByteTimeout(), now
		p.most = min(p.most, pieceMost)
		if p.limit > 0 {
			p.most = int(min(time.Duration(p.most), max(p.limit/pieceTime, pieceSlow)))
		}
		p.size = min(pieceFirst, p.most)
	}
	return p
}

// next returns the next piece of b.
func (p *piecer) next(b []byte) []byte { return b[:min(len(b), p.size)] }

// wrote is told that the piece has been written.
func (p *piecer) wrote() {
	if p.at.IsZero() {
		return
	}
	now := time.Now()
	switch took := now.Sub(p.at); {
	case took >= p.limit && p.limit > 0:
		p.size = max(p.size/4, pieceLeast)
	case took >= slowWait:
		p.size = min(p.size, pieceSlow)
	default:
		p.size = min(2*p.size, p.most)
	}
	p.at = now
}

// writeByteTimeout is Config.WriteByteTimeout, 0 for none.
func (c *Conn) writeByteTimeout() time.Duration {
	return min(timeoutOr(c.opts.WriteByteTimeout, DefaultWriteByteTimeout), maxTimeout)
}

// writeTimedOut says in err, where that is a timeout, which one it is.
func (c *Conn) writeTimedOut(err error) error {
	if !netconn.IsTimeout(err) {
		return err
	}
	te := &core.TimeoutError{Timer: "WriteByteTimeout", After: c.writeByteTimeout()}
	if !errors.Is(err, os.ErrDeadlineExceeded) { // it is an error of the connection's own
		return fmt.Errorf("%w: %w: %w", te, os.ErrDeadlineExceeded, err)
	}
	return fmt.Errorf("%w: %w", te, err)
}

// extendWriteDeadline gives the next write its time. It is called by who flushes.
func (c *Conn) extendWriteDeadline() {
	limit := c.writeByteTimeout()
	if limit <= 0 {
		return
	}
	// Moving the deadline costs more than looking at it, so it is set later than it must be.
	now := time.Now()
	if c.writer.deadline.Sub(now) >= limit {
		return
	}
	c.writer.deadline = now.Add(limit + limit/4)
	if c.nc.SetWriteDeadline(c.writer.deadline) != nil {
		c.writer.deadline = noDeadlines
	}
}

// noDeadlines is what Conn.writeDeadline is from when on no write deadline is set any more: one was
// refused.
var noDeadlines = time.Unix(1<<40, 0)

// clearWriteDeadline takes the deadline away once nothing is being written: reading TLS may have to
// write, too, at any later time: answers to KeyUpdate (RFC 8446 §4.6.3); and some connections are
// closed when a deadline passes.
func (c *Conn) clearWriteDeadline() {
	if c.writer.deadline.IsZero() || c.writer.deadline.Equal(noDeadlines) {
		return
	}
	c.writer.deadline = time.Time{}
	if c.nc.SetWriteDeadline(c.writer.deadline) != nil {
		c.writer.deadline = noDeadlines
	}
}

// watchWriteLocked has the timer close a connection that is not known, should the piece that is
// written now never be taken. From finish on closeBy bounds the end as a whole.
func (c *Conn) watchWriteLocked() {
	limit := c.writeByteTimeout()
	if c.interruptible || c.mu.phase != phaseOpen || limit <= 0 || c.mu.out.err != nil {
		return
	}
	c.closeInLocked(3 * limit)
}

// overdueLocked makes err, with which a connection has failed that is not known, a timeout where
// the piece that is written is late: some connections are closed when a deadline passes, and say no
// more of it, to the reader as to the flusher.
func (c *Conn) overdueLocked(err error) error {
	limit := c.writeByteTimeout()
	if c.interruptible || !c.mu.closeDue || limit <= 0 || c.mu.out.err != nil ||
		time.Until(c.mu.closeBy) > 2*limit || // see watchWriteLocked
		netconn.IsTimeout(err) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
}

// closeInLocked has the timer close the socket, unless closing is taken back before. It is called
// with mu held.
func (c *Conn) closeInLocked(d time.Duration) {
	c.mu.closeDue = true
	c.mu.closeBy = time.Now().Add(d)
	c.mu.timer.setLocked(c.mu.closeBy)
}

// watchWrite is watchWriteLocked for who does not hold mu.
func (c *Conn) watchWrite() {
	if !c.interruptible {
		c.mu.Lock()
		c.watchWriteLocked()
		c.mu.Unlock()
	}
}

// lostErrLocked is why the connection ends when its socket has failed with err.
func (c *Conn) lostErrLocked(err error) error {
	if c.mu.out.err != nil {
		err = c.mu.out.err
		if c.role == core.Server {
			return c.writeLostErrLocked(err)
		}
	}
	if g := c.mu.goAway; g != nil && g.Code != frame.NoError {
		err = g // the peer has said why
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: err}
}

// closeSocket runs in a goroutine of its own, for which Serve waits: Close of a TLS connection may
// write an alert. One that is being written is not waited for: with ends set the socket is closed
// below TLS.
func (c *Conn) closeSocket(ends bool) {
	defer c.tasks.Done()
	defer func() { _ = recover() }() // the connection is over; there is nothing left that a panic could end
	tc, ok := c.nc.(*tls.Conn)
	if ok && ends {
		_ = tc.NetConn().Close()
		return
	}
	if ok && !c.interruptible {
		// The alert has 5 s, by a write deadline, which may do nothing here.
		late := time.AfterFunc(closeGrace, func() {
			defer func() { _ = recover() }() // as above
			_ = tc.NetConn().Close()
		})
		defer late.Stop()
	}
	_ = c.nc.Close()
}
