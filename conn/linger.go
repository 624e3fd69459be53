package conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/socket"
)

// A connection lingers when its last frame is written: it is read, and what comes is dropped, since
// closing a socket on which something arrives destroys what the peer has not read yet.
//
//  1. The flusher that has written the last frame ends our direction of the socket, or sends a PING
//     behind that frame, and opens phaseLingering (beginLingerLocked).
//  2. The reader reads and drops what the peer still sends (readLingering).
//  3. The timer looks, at growing intervals, how much the peer has not received
//     (pollLingerAndUnlock), and closes the socket when all has arrived, or after lingerTimeout
//     without progress.
//
// A server whose streams have all ended in good order waits until everything has arrived, however
// slow the peer, as long as there is progress within Config.WriteByteTimeout. On Linux the kernel
// says how much has not, for TCP and Unix sockets and for TLS on them. Elsewhere the peer answers
// the PING. A connection that has failed has lingerTime for its GOAWAY to arrive.
//
// Deadlines of the socket play no part, as there are net.Conns whose deadlines do not work: the
// connection's timer closes the socket.

// lingerTime is how long a connection that we have ended is read until the peer closes it, too:
// from when its kernel has all that we have written, or from the last frame where that is not
// waited for.
const lingerTime = time.Second

// The time between two polls of what the peer has received doubles from lingerPollMin to
// lingerPollMax.
const (
	lingerPollMin = 5 * time.Millisecond
	lingerPollMax = 250 * time.Millisecond
)

// lingerPing is the payload of the PING behind the last frame.
var lingerPing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'b', 'y'}

// lingerState is what is known of a connection that lingers. The fields belong to the flusher
// before phaseLingering and to the timer in it, where a comment does not say otherwise.
type lingerState struct {
	waitAll         bool           // the connection lingers until all that was written has arrived
	socket          *socket.Socket // says how much has not arrived; nil where the system does not know
	closeWriteLater bool           // our direction of the socket is to be ended when all has arrived
	unsent          int            // octets that had not arrived at the last poll
	pollAfter       time.Duration  // time between this poll and the next
	readsAtPoll     uint64         // stats.reads at the last poll
	begunAt         time.Time      // when the last frame was written
	progressAt      time.Time      // when there was progress last; at first, when the last stream has ended
	arrivedAt       time.Time      // when all had arrived; zero before that

	inCloseWrite bool // TLS is writing its last alert; guarded by Conn.mu
	pingSent     bool // lingerPing was sent; never changes in phaseLingering
	pingAcked    bool // the peer has answered lingerPing; guarded by Conn.mu
	finder       pingFinder
}

// beginLingerLocked ends our direction of the socket when the last frame is written. The flusher
// calls it. It releases the lock meanwhile.
func (c *Conn) beginLingerLocked() {
	l := &lingerState{waitAll: c.role == core.Server && c.mu.err == nil && c.core.Counts().StreamsOpened > 0}
	l.begunAt = time.Now()
	l.progressAt = l.begunAt
	if idle := c.core.IdleSince(); !idle.IsZero() {
		l.progressAt = idle
	}
	if limit := c.opts.lingerTimeout; l.waitAll && limit > closeGrace/3 {
		c.mu.closeBy = l.begunAt.Add(3 * limit) // when a write of the PING is given up
	}
	c.writer.unlocked = true
	c.mu.Unlock()
	ok := c.endOutput(l)
	c.mu.Lock()
	c.writer.unlocked = false
	switch {
	case c.mu.phase != phaseClosing:
	case ok:
		c.mu.phase = phaseLingering
		c.mu.linger = l
		l.readsAtPoll = c.mu.stats.reads
		c.mu.timer.setLocked(l.begunAt.Add(l.pollAfter))
	default:
		c.closeLocked(c.mu.err)
	}
	c.mu.out.taken.Broadcast()
}

// endOutput ends our direction of the socket, or sends lingerPing, and reports whether the
// connection lingers.
func (c *Conn) endOutput(l *lingerState) bool {
	l.pollAfter = lingerPollMin
	if !l.waitAll {
		half := c.closeWrite()
		l.arrivedAt, l.pollAfter = l.begunAt, lingerTime
		return half || c.role == core.Server // a client has the responses that it waited for
	}
	if l.socket = c.socket(); l.socket != nil {
		var known bool
		if l.unsent, known = l.socket.Unsent(); !known {
			l.socket = nil
		}
	}
	if l.socket == nil {
		l.pingSent = c.sendLingerPing() == nil
	}
	// To end its direction, TLS writes an alert, and nothing can be written after that.
	if _, l.closeWriteLater = c.nc.(*tls.Conn); !l.closeWriteLater {
		c.closeWrite()
	}
	return true
}

// sendLingerPing sends lingerPing, through TLS where there is TLS.
func (c *Conn) sendLingerPing() error {
	box := outPool.Get().(*buffer)
	b := frame.Ping{Data: lingerPing}.Append((*box)[:0])
	if c.opts.Tracer != nil {
		c.trace(Out, b, time.Now())
	}
	var err error
	if c.writer.tlsBatch != nil {
		box, b, err = c.encrypt(box, b)
	}
	if err == nil {
		_, err = c.write(b)
	}
	putOut(box, b)
	if err == nil && c.writer.tlsBatch != nil {
		err = c.writeDeferredTLS()
	}
	return err
}

// closeWrite ends our direction of the socket, and reports whether that can be done.
func (c *Conn) closeWrite() bool {
	half, ok := c.nc.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// pollLingerAndUnlock is called by the timer in phaseLingering.
func (c *Conn) pollLingerAndUnlock(now time.Time) {
	defer c.unlockAndNotify()
	l := c.mu.linger
	left, known := 0, false
	if l.socket != nil {
		c.mu.Unlock()
		left, known = l.socket.Unsent()
		c.mu.Lock()
		if c.mu.phase != phaseLingering {
			return
		}
	}
	progress := left != l.unsent || l.readsAtPoll != c.mu.stats.reads
	l.unsent, l.readsAtPoll = left, c.mu.stats.reads
	if progress {
		l.progressAt, l.pollAfter = now, lingerPollMin
	}
	arrived := l.arrivedAt.IsZero() && (known && left == 0 || l.pingAcked)
	if arrived {
		l.arrivedAt, l.progressAt = now, now
	}
	by := l.endAt(c.opts.lingerTimeout)
	if !by.After(now) {
		c.closeLocked(c.mu.err)
		return
	}
	next := now.Add(l.pollAfter)
	l.pollAfter = min(2*l.pollAfter, lingerPollMax)
	if by.Before(next) {
		next = by
	}
	c.mu.timer.setLocked(next) // which also bounds the wait of closeWrite for a peer that reads no more
	if arrived && l.closeWriteLater {
		l.inCloseWrite = true
		c.mu.Unlock()
		c.closeWrite()
		c.mu.Lock()
		l.inCloseWrite = false
	}
}

// endAt returns when the connection is closed if nothing happens before. limit is how long there
// may be no progress.
func (l *lingerState) endAt(limit time.Duration) time.Time {
	switch {
	case l.arrivedAt.IsZero():
		by := l.progressAt.Add(limit)
		if least := l.begunAt.Add(lingerTime); by.Before(least) {
			return least
		}
		return by
	case !l.waitAll:
		return l.arrivedAt.Add(lingerTime)
	}
	// All has arrived, but the peer may not have read it yet. It has, once it sends nothing more.
	by := l.progressAt.Add(lingerTime)
	if last := l.arrivedAt.Add(max(limit, lingerTime)); last.Before(by) {
		return last
	}
	return by
}

// readLingering reads and drops what the peer still sends after our last frame, until the timer
// closes the socket.
func (c *Conn) readLingering() {
	c.mu.Lock()
	for c.mu.phase == phaseClosing {
		c.mu.out.taken.Wait() // for beginLingerLocked
	}
	on := c.mu.phase == phaseLingering
	c.mu.Unlock()
	if !on {
		return
	}
	r := &c.reader
	if r.lowWater != nil {
		r.lowWater.Expect(0, 0)
	}
	if r.buf == nil {
		r.buf = waitReadPool.Get().(*buffer)
	} else { // the last read came before the reader knew that the connection had ended
		c.noteLingerRead(0, bytes.TrimPrefix((*r.buf)[:r.buffered], []byte(frame.Preface)))
	}
	for late := 0; late < 2; {
		n, err := r.readDiscard(c)
		c.noteLingerRead(n, (*r.buf)[:n])
		switch {
		case n > 0:
			late = 0
		case errors.Is(err, os.ErrDeadlineExceeded): // of a deadline that was set in the open phase
			late++
			_ = c.nc.SetReadDeadline(time.Time{})
		case err != nil:
			return
		}
	}
}

// noteLingerRead counts a read of n octets on a connection that lingers, and looks for the answer
// to lingerPing in b.
func (c *Conn) noteLingerRead(n int, b []byte) {
	l := c.mu.linger
	found := l.pingSent && l.finder.find(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.mu.stats.reads++
		c.mu.stats.bytesRead += uint64(n)
	}
	if found {
		l.pingAcked = true
		c.mu.timer.setLocked(time.Now())
	}
}

// readDiscard reads into the buffer, whose octets are used no more.
func (r *reader) readDiscard(c *Conn) (n int, err error) {
	if r.lazy != nil {
		n, err = r.lazy.Read(*r.buf)
	} else {
		n, err = r.patience.Read(c.nc, *r.buf)
	}
	return max(n, 0), err
}

// pingFinder looks for the answer to lingerPing in what comes, in which frames may be cut anywhere.
type pingFinder struct {
	head [frame.HeaderLen + 8]byte // the beginning of a frame
	n    int                       // octets in head
	skip int                       // octets of the present frame that are still to be skipped
}

// find reports whether b brings the answer to lingerPing.
func (f *pingFinder) find(b []byte) (found bool) {
	for len(b) > 0 {
		if f.skip > 0 {
			k := min(f.skip, len(b))
			f.skip -= k
			b = b[k:]
			continue
		}
		want := frame.HeaderLen
		if f.n >= frame.HeaderLen {
			want = len(f.head)
		}
		k := copy(f.head[f.n:want], b)
		f.n += k
		b = b[k:]
		if f.n < want {
			break
		}
		h := frame.ParseHeader(f.head[:])
		isPing := h.Type == frame.TypePing && h.Length == 8
		switch {
		case want == len(f.head):
			found = found || h.Flags.Has(frame.FlagAck) && [8]byte(f.head[frame.HeaderLen:]) == lingerPing
			f.n = 0
		case !isPing:
			f.n, f.skip = 0, int(h.Length)
		}
	}
	return found
}
