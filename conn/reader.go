package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/rcvlowat"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// How a connection reads. The reader is the goroutine in Serve, or on a client the request that
// holds the read lease (readlease.go).
//
//  1. readOnce waits while the peer lets too much output pile up (awaitOutputSpaceLocked).
//  2. read reads once. From a plain socket it takes a buffer only when there is something to read.
//  3. process takes frame by frame off the buffer: core.Driver.Decode without the lock, the Tracer
//     and the FramePolicy of the application, then apply with the lock.
//  4. afterRead does once what is due after all frames of one read: DATA that may go on is moved to
//     the output, the timer is set, and a flush is started.
//  5. At last afterRead hands over: it gives the streams that the read has opened to the Handler.
//     Their answers take the output along, so the flush of step 4 waits for them
//     (flushAfterHandler).

// reader is what the goroutine that reads owns: that in Serve, or the one with the read lease.
type reader struct {
	lowWater  *rcvlowat.Mark // the low-water mark of the socket; nil where it has none, and before bulk comes
	tlsBatch  *tlsbatch.Conn // reads ahead below TLS, with a low-water mark; nil where it is not there
	lazy      *socket.Reader // holds no buffer while it waits; nil where nc is no plain socket
	buf       *buffer        // nil while no buffer is held
	buffered  int            // octets in buf that were read and not handled
	frameLen  int32          // length of the frame that has begun, 0 while it is not known
	lastRead  int32          // octets that the last read brought
	expected  int            // octets of DATA that are still to come for messages of known length
	filled    bool           // the last read has filled buf, so there is more to read
	bulk      bool           // so much is expected that a read takes bulkReadSize
	noStreams bool           // no stream is open, so it may be long until the next octet comes

	opened   []*Stream // streams that the peer has opened and the handler has not got
	patience netconn.Patience
	upgrade  *Upgrade // Config.Upgrade, until its request is stream 1

	parking  bool // the connection is parked: this goroutine ends
	lockHeld bool // this goroutine holds Conn.mu; for recoverRead
}

func (r *reader) init(nc net.Conn, received []byte) {
	r.lazy = socket.NewReader(socket.Of(nc))
	if r.tlsBatch = tlsbatch.Of(nc); r.tlsBatch != nil {
		r.tlsBatch.ReadAhead()
	}
	if len(received) > 0 {
		// Many connections may come at once, each with a preface, so a buffer of the usual size
		// would be too much.
		if r.buf = waitReadPool.Get().(*buffer); len(received) > len(*r.buf) {
			putRead(r.buf)
			b := make(buffer, len(received))
			r.buf = &b
		}
		r.buffered = copy(*r.buf, received)
	}
}

// readOnce reads once and handles what that brought. It reports whether the connection goes on. On
// a client its caller has the read lease.
func (c *Conn) readOnce() (goOn bool) {
	ok := false
	defer c.recoverRead(&ok)
	c.mu.Lock()
	mayRead := c.core.OutputLen() <= outputHighWater || c.awaitOutputSpaceLocked()
	goOn = c.mu.phase < phaseClosed
	c.mu.Unlock()
	if goOn && mayRead {
		err := c.read()
		switch {
		case err == nil:
			goOn = c.process()
		case !errors.Is(err, os.ErrDeadlineExceeded) || !c.readInterrupted():
			c.readFailed(err)
			goOn = false
		}
	}
	ok = true
	return goOn
}

// outputFullLocked reports whether the peer lets so much output pile up that its frames are better
// not read.
func (c *Conn) outputFullLocked() bool {
	return c.mu.phase == phaseOpen && c.core.OutputLen() > outputHighWater
}

// awaitOutputSpaceLocked waits while the output is full, and reports whether the caller may read
// then. A request that holds the read lease does not wait, since it could not be given up
// meanwhile: it may not read, and the lease returns to Serve.
func (c *Conn) awaitOutputSpaceLocked() (mayRead bool) {
	if c.client != nil && c.client.lease.holder == leaseRequest && c.outputFullLocked() {
		return false
	}
	c.reader.lockHeld = true
	waited := false
	for c.outputFullLocked() {
		waited = true
		c.core.SuspendPartial() // the rest of a frame is late because of us
		c.flushSoonLocked()
		c.mu.out.taken.Wait()
	}
	if waited && c.mu.phase == phaseOpen {
		var rest []byte
		if r := &c.reader; r.buf != nil {
			rest = (*r.buf)[:r.buffered]
		}
		c.core.SetPartial(rest, time.Now()) // rest may be nothing while a header block is open
		c.armLocked()
	}
	c.reader.lockHeld = false
	return true
}

// read reads once from the socket, into the buffer.
func (c *Conn) read() error {
	r := &c.reader
	if r.buf != nil && r.buffered == 0 &&
		(r.lazy != nil || !r.filled && (r.noStreams || int(r.lastRead) <= waitReadSize)) {
		putRead(r.buf) // it is empty, and the next read need not begin with one of its size
		r.buf = nil
	}
	if r.expected > 0 || r.lowWater != nil || r.tlsBatch != nil {
		r.expectBody(c.nc)
	}
	if r.buf != nil && (r.filled || r.bulk || int(r.frameLen) > len(*r.buf)) {
		r.grow()
	}
	n, err := 0, error(nil)
	switch {
	case r.lazy != nil && r.buf == nil:
		pool := &readPool
		if r.bulk {
			pool = &bulkReadPool
		}
		r.buf, n, err = r.lazy.ReadPooled(pool)
	case r.lazy != nil:
		n, err = r.lazy.Read((*r.buf)[r.buffered:])
	default:
		if r.buf == nil {
			r.buf = waitReadPool.Get().(*buffer)
		}
		n, err = r.patience.Read(c.nc, (*r.buf)[r.buffered:])
	}
	r.lastRead, r.filled = int32(n), r.buf != nil && r.buffered+n == len(*r.buf)
	c.mu.Lock()
	c.mu.stats.reads++
	c.mu.stats.bytesRead += uint64(max(n, 0))
	if c.mu.park.parked && n > 0 {
		c.unparkLocked()
	}
	c.mu.Unlock()
	r.buffered += max(n, 0)
	if n > 0 {
		return nil // an error comes again with the next read
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// expectBody tells the layers below the connection how much DATA is sure to come.
func (r *reader) expectBody(nc net.Conn) {
	if r.lowWater == nil && r.lazy != nil && rcvlowat.Worthwhile(r.expected, int(r.lastRead)) {
		r.lowWater = rcvlowat.New(socket.Of(nc))
	}
	if r.lowWater != nil {
		r.bulk = r.lowWater.Expect(r.expected, int(r.lastRead))
	}
	if r.tlsBatch != nil {
		r.tlsBatch.Expect(max(r.expected, 0))
	}
}

// grow takes a larger buffer: one for all that one read takes, and for a frame that needs more one
// of twice the size. The length in its header is not believed before the octets have come.
func (r *reader) grow() {
	old, size := r.buf, len(*r.buf)
	switch {
	case r.bulk && size < bulkReadSize:
		r.buf = bulkReadPool.Get().(*buffer)
	case size < readSize:
		r.buf = readPool.Get().(*buffer)
	case int(r.frameLen) > size && r.buffered == size:
		b := make(buffer, min(2*size, int(r.frameLen)))
		r.buf = &b
	default:
		return
	}
	copy(*r.buf, (*old)[:r.buffered])
	putRead(old)
}

// process handles every whole frame that was read and reports whether the connection goes on.
func (c *Conn) process() bool {
	now := time.Now()
	r := &c.reader
	b := (*r.buf)[:r.buffered]
	for {
		n, err := c.core.Decode(b)
		if c.opts.Tracer != nil {
			c.traceNext(b, n, err, now)
		}
		if c.opts.FramePolicy != nil && n > 0 && err == nil {
			err = c.applyPolicy()
		}
		if err != nil {
			c.fail(err)
			break
		}
		if n == 0 || !c.apply(now) {
			break
		}
		b = b[n:]
	}
	r.buffered = copy(*r.buf, b)
	rest := (*r.buf)[:r.buffered]
	if r.buffered == 0 && len(*r.buf) > bulkReadSize {
		r.buf = nil // it was made for one large frame
	}
	return c.afterRead(rest, now)
}

// apply has the frame that was decoded take effect and reports whether the connection goes on.
func (c *Conn) apply(now time.Time) bool {
	c.mu.Lock()
	if c.mu.phase != phaseOpen {
		c.mu.Unlock()
		return false
	}
	c.reader.lockHeld = true
	c.ensureOutputLocked()
	err := c.core.Apply(now)
	c.handleEventsLocked()
	c.reader.lockHeld = false
	if c.client != nil && len(c.mu.pending) == 0 {
		c.mu.Unlock() // afterRead calls unlockAndNotify
	} else {
		c.unlockAndNotify()
	}
	if err != nil {
		c.fail(err)
	}
	return err == nil
}

// readAheadLimit is how much DATA may lie unread before the goroutine that reads the socket lets
// others run first, where there are no more CPUs: DATA is copied cheaply while it is in the cache.
const readAheadLimit = 128 << 10

// afterRead does what is due once all that one read brought has been handled, and reports whether
// the connection goes on. Where it does, queued data is moved to the output as far as windows
// allow, and a flush is started. Then the new streams are handed over, also those that have died
// meanwhile: the peer may count on a request being handled that came whole before its connection
// ended. rest is the beginning of a frame that has not come whole.
func (c *Conn) afterRead(rest []byte, now time.Time) (goOn bool) {
	r := &c.reader
	flush, lagging := false, false
	c.mu.Lock()
	if goOn = c.mu.phase == phaseOpen; goOn {
		r.lockHeld = true
		r.frameLen = 0
		if len(rest) > 0 {
			r.frameLen = int32(c.core.SetPartial(rest, now)) // 24 bits (RFC 9113 §4.1)
		}
		c.ensureOutputLocked()
		if c.core.State().Ready && !c.borrowingLocked() { // the flusher will borrow it, without a copy
			c.fillLocked()
		}
		c.handleEventsLocked()
		c.armLocked()
		st := c.core.State()
		if flush = c.core.OutputLen() > 0 || st.Drained; flush && len(r.opened) == 0 {
			c.flushSoonLocked()
		}
		r.noStreams = c.core.NumStreams() == 0
		r.expected = 0
		if st.Receiving {
			r.expected = c.core.ExpectedData() - r.buffered
		}
		lagging = st.Unread >= readAheadLimit
		c.dropOutputLocked()
		r.lockHeld = false
	}
	writes := c.mu.stats.writes
	c.unlockAndNotify()
	if lagging {
		runtime.Gosched()
	}
	if len(r.opened) > 0 {
		c.handler.HandleStreams(r.opened)
		if c.client != nil {
			c.client.afterHandOver()
		}
		clear(r.opened)
		if r.opened = r.opened[:0]; cap(r.opened) > 256 {
			r.opened = nil
		}
		if flush {
			c.flushAfterHandler(writes)
		}
	}
	return goOn
}

// interruptReadLocked has a request that holds the read lease for st return from its Read: its
// stream has died, its deadline has passed, or its context is done.
func (st *Stream) interruptReadLocked() {
	if client := st.c.client; client != nil && client.lease.inlineReader == st {
		client.lease.interrupted = true
		_ = st.c.nc.SetReadDeadline(time.Unix(1, 0)) // on a dead socket reading fails anyway
	}
}

// readInterrupted reports whether a Read has failed because of interruptReadLocked or
// requestParkLocked, and if so takes back the read deadline that they have set.
func (c *Conn) readInterrupted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.client != nil && c.client.lease.interrupted:
		c.client.lease.interrupted = false
	case c.mu.park.requested:
		c.parkLocked()
	default:
		return false
	}
	return c.nc.SetReadDeadline(time.Time{}) == nil
}
