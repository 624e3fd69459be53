package conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/rawio"
)

// lingerTime is how long a connection that we have ended is read until the peer closes it, too,
// from when on its kernel has all that we have written, or from the end where that is not waited
// for.
const lingerTime = time.Second

// Times between two looks at what the peer's kernel has. Each is twice as long as the one before.
const (
	lingerLookFirst = 5 * time.Millisecond
	lingerLookMost  = 250 * time.Millisecond
)

// lingerPing is the payload of the PING behind the last frame.
var lingerPing = [8]byte{'s', 'l', 'u', 'i', 'c', 'e', 'b', 'y'}

// lingerState is what becomes of a connection whose last frame is written, until its socket is
// closed: it is read, and what comes is thrown away, since closing a socket on which something
// arrives destroys what the peer has not read yet.
//
// A server whose streams have all ended in good order waits until all of it has arrived, however
// slow the peer, as long as there is progress within Config.WriteByteTimeout. On Linux the kernel
// tells for TCP and Unix sockets, and for TLS on them. Elsewhere a PING behind the last frame asks
// the peer. Where the connection has failed, lingerTime must do for GOAWAY to arrive.
//
// Deadlines of the socket play no part in it, as some have none that work: the timer of the
// connection closes the socket. All fields but those marked otherwise belong to the flusher before
// the phase lingering and to the timer in it.
type lingerState struct {
	full   bool            // all is to arrive
	raw    syscall.RawConn // tells what has not; nil where nobody does
	half   bool            // our direction of the socket is to be closed when all has arrived
	left   int             // octets that have not arrived, at the last look
	pause  time.Duration   // until the next look
	reads  uint64          // Conn.stats.reads at the last look
	begun  time.Time       // when the last frame was written
	since  time.Time       // when there was progress; at first, when the last stream has ended
	arrive time.Time       // when all had arrived; zero: it has not

	ends  bool // TLS is writing its last alert
	asks  bool // lingerPing was sent; set before the phase lingering
	acked bool // and answered; guarded by Conn.mu
	seen  pingFinder
}

// halfClose ends our direction of the socket when the last frame is written. It is called with
// flushing set.
func (c *Conn) halfClose() {
	l := &lingerState{full: c.role == core.Server && c.err == nil && c.core.Counts().StreamsOpened > 0}
	l.begun = time.Now()
	l.since = l.begun
	if idle := c.core.IdleSince(); !idle.IsZero() {
		l.since = idle
	}
	if limit := c.lingerLimit(); l.full && limit > lastWords/3 {
		c.lookAt = l.begun.Add(3 * limit) // when the PING is given up
	}
	c.writing = true
	c.mu.Unlock()
	ok := c.beginLinger(l)
	c.mu.Lock()
	c.writing = false
	switch {
	case c.phase != finishing:
	case ok:
		c.phase = lingering
		c.lingers = l
		l.reads = c.stats.reads
		c.timer.set(l.begun.Add(l.pause))
	default:
		c.die(c.err)
	}
	c.room.Broadcast()
}

// beginLinger reports whether the connection is to be read on.
func (c *Conn) beginLinger(l *lingerState) bool {
	l.pause = lingerLookFirst
	if !l.full {
		half := c.closeWrite()
		l.arrive, l.pause = l.begun, lingerTime
		return half || c.role == core.Server // a client has what it wanted
	}
	if l.raw = rawio.Socket(socketOf(c.nc)); l.raw != nil {
		var known bool
		if l.left, known = rawio.Unsent(l.raw); !known {
			l.raw = nil
		}
	}
	if l.raw == nil {
		l.asks = c.askPeer() == nil
	}
	// TLS writes an alert, for which it does not wait long, and then no more.
	if _, l.half = c.nc.(*tls.Conn); !l.half {
		c.closeWrite()
	}
	return true
}

// askPeer sends lingerPing, through TLS as everything else.
func (c *Conn) askPeer() error {
	box := outPool.Get().(*buffer)
	b := frame.Ping{Data: lingerPing}.Append(box.b[:0])
	var err error
	if c.under != nil {
		box, b, err = c.seal(box, b)
	}
	if err == nil {
		_, err = c.write(b)
	}
	putOut(box, b)
	if err == nil && c.under != nil {
		err = c.sealed()
	}
	return err
}

// closeWrite ends our direction of the socket, and reports whether the peer will hear of it.
func (c *Conn) closeWrite() bool {
	half, ok := c.nc.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// lookAtLinger is what the timer does in the phase lingering. It is called with mu held, and lets
// go of it.
func (c *Conn) lookAtLinger(now time.Time) {
	defer c.unlock()
	l := c.lingers
	left, known := 0, false
	if l.raw != nil {
		c.mu.Unlock()
		left, known = rawio.Unsent(l.raw)
		c.mu.Lock()
		if c.phase != lingering {
			return
		}
	}
	progress := left != l.left || l.reads != c.stats.reads
	l.left, l.reads = left, c.stats.reads
	if progress {
		l.since, l.pause = now, lingerLookFirst
	}
	arrived := l.arrive.IsZero() && (known && left == 0 || l.acked)
	if arrived {
		l.arrive, l.since = now, now
	}
	by := l.endAt(c.lingerLimit())
	if !by.After(now) {
		c.die(c.err)
		return
	}
	next := now.Add(l.pause)
	l.pause = min(2*l.pause, lingerLookMost)
	if by.Before(next) {
		next = by
	}
	c.timer.set(next) // which rings also while what follows waits for a peer that reads no more
	if arrived && l.half {
		l.ends = true
		c.mu.Unlock()
		c.closeWrite()
		c.mu.Lock()
		l.ends = false
	}
}

// lingerLimit is how long there may be no progress.
func (c *Conn) lingerLimit() time.Duration {
	if limit := min(c.cfg.WriteByteTimeout, maxTimeout); limit > 0 {
		return limit
	}
	return defaultLingerTimeout
}

// endAt returns when the connection is closed if nothing happens before. limit is how long there
// may be no progress.
func (l *lingerState) endAt(limit time.Duration) time.Time {
	switch {
	case l.arrive.IsZero():
		by := l.since.Add(limit)
		if least := l.begun.Add(lingerTime); by.Before(least) {
			return least
		}
		return by
	case !l.full:
		return l.arrive.Add(lingerTime)
	}
	// All is there, but the peer may not have read it yet. It has while it says nothing more.
	by := l.since.Add(lingerTime)
	if last := l.arrive.Add(max(limit, lingerTime)); last.Before(by) {
		return last
	}
	return by
}

// linger reads and throws away what the peer still sends after our last frame. The timer ends it.
func (c *Conn) linger() {
	c.mu.Lock()
	for c.phase == finishing {
		c.room.Wait() // the flusher half-closes
	}
	on := c.phase == lingering
	c.mu.Unlock()
	if !on {
		return
	}
	r := &c.in
	if r.mark != nil {
		r.mark.Expect(0, 0)
	}
	if r.buf == nil {
		r.buf = waitPool.Get().(*buffer)
	} else { // one more read came before the connection knew that it was over
		c.overheard(0, bytes.TrimPrefix(r.buf.b[:r.n], []byte(frame.Preface)))
	}
	for late := 0; late < 2; {
		n, err := r.readOver(c)
		c.overheard(n, r.buf.b[:n])
		switch {
		case n > 0:
			late = 0
		case errors.Is(err, os.ErrDeadlineExceeded): // it was set before for another reason
			late++
			_ = c.nc.SetReadDeadline(time.Time{})
		case err != nil:
			return
		}
	}
}

// overheard takes note of what has come on a connection that lingers, n octets with the last read.
func (c *Conn) overheard(n int, b []byte) {
	l := c.lingers
	found := l.asks && l.seen.find(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.stats.reads++
		c.stats.bytesRead += uint64(n)
	}
	if found {
		l.acked = true
		c.timer.set(time.Now())
	}
}

// readOver reads over what was read before.
func (r *receiver) readOver(c *Conn) (n int, err error) {
	if r.wait != nil {
		_, n, err = r.wait.read(r.buf, 0, nil)
	} else {
		n, err = r.patience.Read(c.nc, r.buf.b)
	}
	return max(n, 0), err
}

// pingFinder looks for the answer to lingerPing in what comes, whose frames are cut anywhere.
type pingFinder struct {
	head [frame.HeaderLen + 8]byte // the beginning of a frame
	n    int                       // octets of it
	skip int                       // octets of the frame to be passed over
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
