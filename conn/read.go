package conn

import (
	"io"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/rcvlowat"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// reader is what the goroutine that reads owns: that in Serve, or who has the turn (see
// readLease).
type reader struct {
	lowWater  *rcvlowat.Mark // keeps the socket from waking us for little; nil where it cannot
	tlsBatch  *tlsbatch.Conn // the same below TLS; nil where there is none of ours
	lazy      *socket.Reader // reads without holding a buffer while nothing is there; nil where the socket cannot
	buf       *buffer        // nil while nothing has been read
	buffered  int            // octets in buf
	frameLen  int32          // length of the frame that has begun, when known
	lastRead  int32          // octets that the last read brought
	expected  int            // octets that will come unless the peer pauses
	filled    bool           // it has filled buf: there is more
	bulk      bool           // much is waited for
	noStreams bool           // no stream is open, so it may be long until the next octet

	patience netconn.Patience
	upgrade  *Upgrade // Config.Upgrade, until its request is stream 1

	parking  bool // the goroutine shall give up its stack: see rest
	lockHeld bool // Conn.mu is held while a frame takes effect, or what one read brought
}

// releaseBuf gives back the buffer that is empty, if the next read need not begin with one of its
// size.
func (r *reader) releaseBuf() {
	if r.buf != nil && r.buffered == 0 && (r.lazy != nil || !r.filled && (r.noStreams || int(r.lastRead) <= waitReadSize)) {
		putRead(r.buf)
		r.buf = nil
	}
}

func (r *reader) init(nc net.Conn, received []byte) {
	r.lazy = socket.NewReader(socket.Of(nc))
	if r.tlsBatch = tlsbatch.Of(nc); r.tlsBatch != nil {
		r.tlsBatch.ReadAhead()
	}
	if len(received) > 0 {
		// Many connections may come at once, each with a preface, so a buffer of the usual size
		// would be too much.
		if r.buf = waitReadPool.Get().(*buffer); len(received) > len(r.buf.b) {
			putRead(r.buf)
			r.buf = &buffer{b: make([]byte, len(received))}
		}
		r.buffered = copy(r.buf.b, received)
	}
}

// Serve runs the connection: it reads and handles what the peer sends until the connection has
// ended and everything of it but the streams that were handed out is released. It returns why the
// connection ended, nil after an end in good order. Either Serve or Start is called, once.
func (c *Conn) Serve() error {
	c.serve(c.begin())
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

// Start is Serve in a goroutine of its own: it returns at once, and end is called in the end with
// what Serve would have returned. A connection that was started needs less memory while it is idle
// than one that is served by its caller's goroutine, whose stack has more on it.
func (c *Conn) Start(end func(err error)) {
	c.initPark(end)
	go func() { // ends as serve does
		c.serve(c.begin())
	}()
}

// serve reads to the end, or until the connection rests: then somebody else calls it again.
func (c *Conn) serve(goOn bool) {
	goesOn := false // elsewhere
	defer func() {  // also when what is the application's has ended this goroutine
		if !goesOn {
			c.finishServe()
		}
	}()
	for goOn && (c.client == nil || c.acquireLease()) {
		goOn = c.readOnce()
		if c.reader.parking {
			c.reader.parking = false
			goesOn = true
			if !goOn || !c.startWatch() {
				go c.serve(goOn) // ends as serve does
			}
			return
		}
	}
}

// finishServe ends the connection when nothing more is read.
func (c *Conn) finishServe() {
	defer c.callOnServed()
	defer c.closeDone()
	defer c.shutdownIO()
	defer func() { _ = recover() }() // of a Read that panics: nothing is left that it could end
	c.readLingering()
}

// callOnServed calls what Start was given.
func (c *Conn) callOnServed() {
	end := c.onServed
	if end == nil {
		return
	}
	c.mu.Lock()
	err := c.mu.err
	c.mu.Unlock()
	defer func() { _ = recover() }() // the connection is over; there is nothing left that a panic could end
	end(err)
}

// begin sends the first flight, starts the clock and handles what was read before. It tells whether
// the connection goes on.
func (c *Conn) begin() (goOn bool) {
	ok := false
	defer c.recoverRead(&ok)
	c.sendFirstFlight()
	goOn = c.reader.buffered == 0 || c.process()
	ok = true
	return goOn
}

// sendFirstFlight sends the first flight and starts the clock. An upgraded connection has its first
// request already.
func (c *Conn) sendFirstFlight() {
	if err := c.upgradeAndArm(); err != nil {
		c.fail(err)
		return
	}
	// The upgraded request is handed over with the first octets of HTTP/2 that come from the
	// client: some clients have no room for a response that follows the 101 at once (curl 7.88 for
	// 32 KiB).
	c.mu.Lock()
	c.flushSoonLocked()
	c.mu.Unlock()
}

func (c *Conn) upgradeAndArm() (err error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if u := c.reader.upgrade; u != nil && c.mu.phase == phaseOpen {
		request := u.Request
		request.Fields = slices.Clone(request.Fields) // the stream's memory is used again
		c.ensureOutputLocked()
		err = c.core.Upgrade(u.Settings, request)
		c.reader.upgrade = nil
		c.handleEventsLocked()
	}
	c.armLocked()
	return err
}

// outputFullLocked reports whether the peer lets so much output pile up that its requests are better not
// read.
func (c *Conn) outputFullLocked() bool {
	return c.mu.phase == phaseOpen && c.core.OutputLen() > outputHighWater
}

// awaitOutputSpace waits while the output is crowded, and reports whether the connection goes on. A request
// that reads for itself does not wait: mayRead is false, and its turn is Serve's, which listens to
// no request.
func (c *Conn) awaitOutputSpace() (goOn, mayRead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil && c.client.lease.holder == leaseRequest && c.outputFullLocked() {
		return true, false
	}
	waited := false
	for c.outputFullLocked() {
		waited = true
		c.core.SetPartial(core.Partial{}, time.Now()) // it is not the peer that keeps the rest of a frame waiting
		c.flushSoonLocked()
		c.mu.out.taken.Wait()
	}
	if waited && c.mu.phase == phaseOpen && c.reader.buf != nil {
		c.core.SetPartial(c.core.Partial(c.reader.buf.b[:c.reader.buffered]), time.Now())
		c.armLocked()
	}
	goOn = c.mu.phase < phaseClosed
	return goOn, goOn
}

// read takes what the socket has.
func (c *Conn) read() error {
	r := &c.reader
	r.releaseBuf()
	if r.lowWater == nil && r.lazy != nil && r.expected >= rcvlowat.From && int(r.lastRead) >= rcvlowat.Quick {
		r.lowWater = rcvlowat.New(socket.Of(c.nc))
	}
	if r.lowWater != nil {
		r.bulk = r.lowWater.Expect(r.expected, int(r.lastRead))
	}
	if r.tlsBatch != nil {
		r.tlsBatch.Expect(max(r.expected, 0))
	}
	n, err := r.read(c.nc)
	c.mu.Lock()
	c.mu.stats.reads++
	c.mu.stats.bytesRead += uint64(max(n, 0))
	if c.mu.park.parked && n > 0 {
		c.unparkLocked()
	}
	c.mu.Unlock()
	r.buffered += max(n, 0)
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (r *reader) read(nc net.Conn) (n int, err error) {
	if r.buf != nil && (r.filled || r.bulk || int(r.frameLen) > len(r.buf.b)) {
		r.grow()
	}
	if r.lazy != nil {
		if r.buf != nil {
			n, err = r.lazy.Read(r.buf.b[r.buffered:])
		} else {
			n, err = r.lazy.ReadInto(r)
		}
	} else {
		if r.buf == nil {
			r.buf = waitReadPool.Get().(*buffer)
		}
		n, err = r.patience.Read(nc, r.buf.b[r.buffered:])
	}
	r.lastRead, r.filled = int32(n), r.buf != nil && r.buffered+n == len(r.buf.b)
	return n, err
}

// Take takes a buffer, where the socket has something to read.
func (r *reader) Take() []byte {
	pool := &readPool
	if r.bulk {
		pool = &bulkReadPool
	}
	r.buf = pool.Get().(*buffer)
	return r.buf.b
}

// GiveBack gives the buffer back, into which nothing was read.
func (r *reader) GiveBack() {
	putRead(r.buf)
	r.buf = nil
}

// grow makes room in the buffer: as much as one read takes, and for a frame that needs more as much
// again as it has brought so far. What its header promises is not believed.
func (r *reader) grow() {
	old, size := r.buf, len(r.buf.b)
	switch {
	case r.bulk && size < bulkReadSize:
		r.buf = bulkReadPool.Get().(*buffer)
	case size < readSize:
		r.buf = readPool.Get().(*buffer)
	case int(r.frameLen) > size && r.buffered == size:
		r.buf = &buffer{b: make([]byte, min(2*size, int(r.frameLen)))}
	default:
		return
	}
	copy(r.buf.b, old.b[:r.buffered])
	putRead(old)
}

// process handles every whole frame that was read and tells whether the connection goes on.
func (c *Conn) process() bool {
	now := time.Now()
	r := &c.reader
	b := r.buf.b[:r.buffered]
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
			c.handOver()
			return false
		}
		if n == 0 {
			break
		}
		if !c.apply(now) {
			c.handOver()
			return false
		}
		b = b[n:]
	}
	partial := c.core.Partial(b)
	r.buffered = copy(r.buf.b, b)
	r.frameLen = int32(partial.Length) // which takes 24 bits (RFC 9113 §4.1)
	if r.buffered == 0 && len(r.buf.b) > bulkReadSize {
		r.buf = nil // made for one large frame
	}
	return c.afterRead(partial, now)
}

// apply lets one frame take effect and tells whether the connection goes on.
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
		c.mu.Unlock() // whom it concerns is told when all that was read is handled
	} else {
		c.unlockAndNotify()
	}
	if err != nil {
		c.fail(err)
	}
	return err == nil
}

// readAheadLimit is how much DATA may lie unread before the goroutine that reads the socket lets
// others run first, where there are no more CPUs: it is cheaper to copy while it is in the cache.
const readAheadLimit = 128 << 10

// afterRead does what is due once all that one read brought has been handled: data that may go on
// is moved to the output, new streams are handed over, and somebody is made to flush.
func (c *Conn) afterRead(partial core.Partial, now time.Time) bool {
	c.mu.Lock()
	if c.mu.phase != phaseOpen {
		c.mu.Unlock()
		c.handOver()
		return false
	}
	c.reader.lockHeld = true
	c.core.SetPartial(partial, now)
	c.ensureOutputLocked()
	if !c.borrowingLocked() { // or it need not be copied
		c.fillLocked()
	}
	c.handleEventsLocked()
	c.armLocked()
	flush := c.core.OutputLen() > 0 || c.core.Drained()
	handOver := len(c.mu.opened) > 0
	if flush && !handOver {
		c.flushSoonLocked()
	}
	writes := c.mu.stats.writes
	c.reader.noStreams = c.core.NumStreams() == 0
	c.reader.expected = c.core.ExpectedData() - c.reader.buffered
	lagging := c.core.Unread() >= readAheadLimit
	c.dropOutputLocked()
	c.reader.lockHeld = false
	c.unlockAndNotify()
	if lagging {
		runtime.Gosched()
	}
	if handOver {
		c.handOver()
		if flush {
			c.flushAfterHandler(writes)
		}
	}
	return true
}

// handOver gives the streams that the peer has opened to the handler, dead ones too: a request that
// came whole before its connection ended is one that the peer may count on.
func (c *Conn) handOver() {
	c.mu.Lock()
	batch := c.mu.opened
	c.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	c.handler.HandleStreams(batch)
	// Only this goroutine appends to opened.
	c.mu.Lock()
	clear(batch)
	c.mu.opened = batch[:0]
	if cap(batch) > 256 {
		c.mu.opened = nil
	}
	c.mu.Unlock()
}

// readFailed ends the connection for an error of the socket.
func (c *Conn) readFailed(err error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return // the end that was on its way
	}
	if err != io.EOF { //nolint:errorlint // an error that wraps it is no orderly end
		if late := c.overdueLocked(err); netconn.IsTimeout(late) && !netconn.IsTimeout(err) {
			err = c.writeTimedOut(late)
		}
		c.closeLocked(c.lostErrLocked(err))
		return
	}
	if c.role == core.Server && c.mu.out.err == nil && (c.mu.out.flushing || c.core.OutputLen() > 0 || c.core.Sendable()) {
		c.closeAfterOutputLocked()
		return
	}
	c.closeLocked(c.eofErrLocked())
}

// eofErrLocked is why a connection whose peer sends nothing more is over: nil where nothing is
// lost.
func (c *Conn) eofErrLocked() error {
	if c.core.NumStreams() == 0 {
		return nil
	}
	return c.lostErrLocked(io.EOF)
}

// shutdownIO releases all that is left. Nothing runs afterwards.
func (c *Conn) shutdownIO() {
	c.mu.Lock()
	c.closeLocked(c.mu.err)
	c.mu.timer.stopLocked()
	if c.client != nil && c.client.lease.timer != nil {
		c.client.lease.timer.Stop()
	}
	c.unlockAndNotify()
	c.tasks.Wait()
	if b := c.reader.buf; b != nil {
		putRead(b)
	}
	c.reader.buf = nil
}
