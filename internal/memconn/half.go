package memconn

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxSegment is how much of a paced link travels as one piece: small enough that a bandwidth limit
// looks like a stream and not like bursts.
const maxSegment = 16 << 10

// segment is a run of bytes that arrives at one moment.
type segment struct {
	data  []byte
	ready time.Time // zero: at once
}

// half is one direction of a connection.
type half struct {
	mu   sync.Mutex
	cond sync.Cond // waits of the reader and of writers; one condition, both sides look again

	opts     Options
	segs     []segment
	size     int       // bytes written and not yet read
	linkFree time.Time // when the simulated link has sent what it was given
	stalled  time.Time // nothing arrives before
	taken    int       // octets that Reads have returned
	single   bool      // Reads return single octets, and after singleOctets small pieces
	arrival  *time.Timer

	writeClosed bool // no more bytes will come: the reader gets io.EOF after the last
	readClosed  bool // the reader is gone: writes fail
	read, write deadline

	reads, writes int
}

func newHalf(o Options) *half {
	h := &half{opts: o}
	h.cond.L = &h.mu
	h.read.half, h.write.half = h, h
	return h
}

// Read takes what has arrived, at most len(p) bytes.
func (h *half) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	for {
		switch {
		case h.readClosed:
			return 0, net.ErrClosed
		case h.read.expired():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		if n := h.takeLocked(p); n > 0 {
			h.cond.Broadcast() // room for writers
			return n, nil
		}
		if h.writeClosed && h.size == 0 {
			return 0, io.EOF
		}
		h.cond.Wait()
	}
}

// takeLocked copies arrived bytes to p, or arms the timer for the next ones.
func (h *half) takeLocked(p []byte) int {
	if most := h.maxReadLocked(); most > 0 && len(p) > most {
		p = p[:most]
	}
	n := 0
	for n < len(p) && len(h.segs) > 0 {
		s := &h.segs[0]
		if wait := h.untilReady(s); wait > 0 {
			if n == 0 {
				h.wakeAfterLocked(wait)
			}
			break
		}
		k := copy(p[n:], s.data)
		n += k
		if s.data = s.data[k:]; len(s.data) == 0 {
			h.segs[0] = segment{}
			h.segs = h.segs[1:]
		}
	}
	h.taken += n
	if h.size -= n; h.size == 0 {
		h.segs = nil
	}
	return n
}

// maxReadLocked returns the most that the next Read returns; 0 is no limit.
func (h *half) maxReadLocked() int {
	if h.single && h.taken >= singleOctets {
		return 1 + h.taken%maxPiece
	}
	return h.opts.MaxRead
}

// untilReady returns how long it takes until s arrives, 0 or less where it is there.
func (h *half) untilReady(s *segment) time.Duration {
	ready := s.ready
	if h.stalled.After(ready) {
		ready = h.stalled
	}
	if ready.IsZero() {
		return 0
	}
	return time.Until(ready)
}

func (h *half) stall(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = until
	h.cond.Broadcast()
}

func (h *half) wakeAfterLocked(d time.Duration) {
	if h.arrival != nil {
		h.arrival.Stop()
	}
	h.arrival = time.AfterFunc(d, h.wake)
}

func (h *half) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cond.Broadcast()
}

// Write puts p in the buffer and waits while it is full.
func (h *half) Write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes++
	for {
		switch {
		case h.writeClosed:
			return n, net.ErrClosed
		case h.readClosed:
			return n, syscall.EPIPE
		case h.write.expired():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		}
		if room := h.opts.Buffer - h.size; room >= h.leastRoom(len(p)) {
			k := min(room, len(p))
			h.putLocked(p[:k])
			n, p = n+k, p[k:]
			h.cond.Broadcast()
			continue
		}
		h.cond.Wait()
	}
}

// leastRoom is how much room a Write of n more bytes waits for. On a paced link that is an eighth
// of the buffer: as with TCP, what is written would otherwise travel in ever smaller pieces, since
// each Read of a small piece makes room for one that is no larger.
func (h *half) leastRoom(n int) int {
	if !h.paced() {
		return 1
	}
	return max(min(n, h.opts.Buffer/8), 1)
}

// paced reports whether bytes take time.
func (h *half) paced() bool { return h.opts.Latency > 0 || h.opts.Bandwidth > 0 }

func (h *half) putLocked(p []byte) {
	h.size += len(p)
	if !h.paced() {
		h.segs = append(h.segs, segment{data: append([]byte(nil), p...)})
		return
	}
	now := time.Now()
	if h.linkFree.Before(now) {
		h.linkFree = now
	}
	for len(p) > 0 {
		k := min(len(p), maxSegment)
		if bw := h.opts.Bandwidth; bw > 0 {
			h.linkFree = h.linkFree.Add(time.Duration(int64(k) * int64(time.Second) / bw))
		}
		h.segs = append(h.segs, segment{append([]byte(nil), p[:k]...), h.linkFree.Add(h.opts.Latency)})
		p = p[k:]
	}
}

func (h *half) closeWrite() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writeClosed = true
	h.write.stop()
	h.cond.Broadcast()
}

func (h *half) closeRead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readClosed = true
	h.segs, h.size = nil, 0
	h.read.stop()
	if h.arrival != nil {
		h.arrival.Stop()
	}
	h.cond.Broadcast()
}

// deadline belongs to one side of a half and is guarded by its lock.
type deadline struct {
	half  *half
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time) {
	d.half.mu.Lock()
	defer d.half.mu.Unlock()
	d.stop()
	if d.at = t; !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			d.timer = time.AfterFunc(wait, d.half.wake)
		}
	}
	d.half.cond.Broadcast()
}

func (d *deadline) expired() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
