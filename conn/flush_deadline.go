package conn

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// The time that a write has. A write that takes longer than Config.WriteByteTimeout without any
// progress loses the connection.
//
//  1. extendWriteDeadline sets a write deadline before each write. A write that times out with some
//     progress goes on.
//  2. A write whose progress cannot be seen is cut into pieces (piecer): that of crypto/tls, and
//     that of a net.Conn which is not interruptible.
//  3. A net.Conn which is not interruptible may ignore deadlines: there the timer of the connection
//     closes the socket when a piece takes three times as long (watchWriteLocked).

// piecer cuts what is written into the pieces that one call of Write gets. A TCP or Unix socket
// gets all at once. So would any other net.Conn, but for two things: a write of crypto/tls does not
// survive a timeout; and what a net.Conn that is not interruptible has taken of a write is not seen
// before its end, so that it gets little at a time where it is slow.
type piecer struct {
	most, size int
	limit      time.Duration // Config.WriteByteTimeout; 0: none
	at         time.Time     // when the piece was begun; zero where all pieces are of one size
}

const (
	pieceLeast = 16
	pieceSlow  = 512
	pieceFirst = 4 << 10
	pieceMost  = 64 << 10

	// pieceTime bounds a piece by the write timeout, an octet for each 10 ms of it: the buffer of a
	// connection may take any number of pieces at once before a slow peer shows. A piece has three
	// times the timeout.
	pieceTime = 10 * time.Millisecond
)

// tlsRecord is the most that one record of TLS carries (RFC 8446 §5.1).
const tlsRecord = 16 << 10

func (c *Conn) newPiecer(now time.Time) piecer {
	p := piecer{most: math.MaxInt, size: math.MaxInt}
	if c.tls && c.writer.tlsBatch == nil {
		p.most, p.size = tlsRecord, tlsRecord
	}
	if !c.interruptible {
		p.limit, p.at = c.opts.writeTimeout, now
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

// wrote is called when a piece has been written, and decides on the size of the next.
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

// extendWriteDeadline gives the next write its time. The flusher calls it.
func (c *Conn) extendWriteDeadline() {
	limit := c.opts.writeTimeout
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

// noDeadlines is the value of writer.deadline once a write deadline was refused: none is set any
// more.
var noDeadlines = time.Unix(1<<40, 0)

// clearWriteDeadline takes the deadline back once nothing is being written. Reading TLS may have to
// write, too, at any later time, as the answer to KeyUpdate (RFC 8446 §4.6.3); and some connections
// are closed when a deadline passes.
func (c *Conn) clearWriteDeadline() {
	if c.writer.deadline.IsZero() || c.writer.deadline.Equal(noDeadlines) {
		return
	}
	c.writer.deadline = time.Time{}
	if c.nc.SetWriteDeadline(c.writer.deadline) != nil {
		c.writer.deadline = noDeadlines
	}
}

// watchWriteLocked has the timer close a connection that is not interruptible, should the piece
// that is written now never be taken. After the open phase closeBy bounds the end as a whole.
func (c *Conn) watchWriteLocked() {
	limit := c.opts.writeTimeout
	if c.mu.phase != phaseOpen || limit <= 0 || c.mu.out.err != nil {
		return
	}
	c.closeInLocked(3 * limit)
}

// watchWrite is watchWriteLocked for a caller without the lock.
func (c *Conn) watchWrite() {
	if !c.interruptible {
		c.mu.Lock()
		c.watchWriteLocked()
		c.mu.Unlock()
	}
}

// overdueLocked returns err, with which a connection that is not interruptible has failed, as a
// timeout where the piece that is written is late. Some connections are closed when a deadline
// passes, and neither a read nor a write says why.
func (c *Conn) overdueLocked(err error) error {
	limit := c.opts.writeTimeout
	if c.interruptible || !c.mu.closeDue || limit <= 0 || c.mu.out.err != nil ||
		time.Until(c.mu.closeBy) > 2*limit || // see watchWriteLocked
		netconn.IsTimeout(err) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
}
