package conn

import (
	"crypto/tls"
	"errors"
	"slices"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// The life of a connection.
//
//  1. Serve, or Start on a goroutine of its own, sends the first flight (the preface and SETTINGS)
//     and handles what was read before.
//  2. serve reads until the connection has ended, or is parked (park.go).
//  3. It is ended in order by Shutdown, with two GOAWAY frames, once the last stream is closed; by
//     failLocked, with the GOAWAY of an error; by closeAfterOutputLocked, where a client has sent
//     FIN. In these cases beginCloseLocked opens phaseClosing: what is in the output is still
//     written.
//  4. The flusher that has written it ends our direction of the socket and opens phaseLingering
//     (linger.go), in which what the peer sends is read and dropped.
//  5. closeLocked closes the socket and opens phaseClosed: after lingering, by Close, when the
//     socket fails (lost.go) or after a panic (panic.go).
//  6. finishServe waits for the last goroutines, gives the memory back and calls an EndTracer;
//     Serve returns.

// phase is how far a connection has come.
type phase uint8

const (
	phaseOpen      phase = iota
	phaseClosing         // the last frames are being written; no stream is open any more
	phaseLingering       // what the peer sends is read and dropped: see lingerState
	phaseClosed          // the socket is closed
)

// Serve runs the connection: it reads and handles what the peer sends until the connection has
// ended and everything of it but the streams that were handed out is released. It returns why the
// connection ended, nil after an end in good order. Either Serve or Start is called, once.
func (c *Conn) Serve() error {
	c.serve(c.begin())
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

// Start is Serve in a goroutine of its own. It returns at once, and end is called at the end with
// what Serve would have returned. A server's connection that was started needs less memory while it
// is idle than one that is served: it may be parked.
func (c *Conn) Start(end func(err error)) {
	c.initPark(end)
	go func() { // ends as serve does
		c.serve(c.begin())
	}()
}

// serve reads until the connection has ended, or is parked: then another goroutine calls serve
// again. With goOn false nothing is read, and the connection is ended.
func (c *Conn) serve(goOn bool) {
	handedOver := false // to another goroutine that reads
	defer func() {      // even if code of the application has ended this goroutine
		if !handedOver {
			c.finishServe()
		}
	}()
	for goOn && (c.client == nil || c.client.acquireLease()) {
		goOn = c.readOnce()
		if c.reader.parking {
			c.reader.parking = false
			handedOver = true
			if !goOn || !c.startWatch() {
				go c.serve(goOn) // ends as serve does
			}
			return
		}
	}
}

// begin sends the first flight and handles what was read before the connection was made. It reports
// whether the connection goes on.
func (c *Conn) begin() (goOn bool) {
	ok := false
	defer c.recoverRead(&ok)
	c.sendFirstFlight()
	goOn = c.reader.buffered == 0 || c.process()
	ok = true
	return goOn
}

// sendFirstFlight has the preface and SETTINGS written, which core has appended already, and sets
// the timer. An upgraded connection has its first request already.
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
	c.traceUpgrade()
	c.mu.Lock()
	defer c.unlockAndNotify()
	if u := c.reader.upgrade; u != nil && c.mu.phase == phaseOpen {
		request := u.Request
		request.Fields = slices.Clone(request.Fields) // the memory of a stream's fields is used again
		c.ensureOutputLocked()
		err = c.core.Upgrade(u.Settings, request)
		c.reader.upgrade = nil
		c.handleEventsLocked()
	}
	c.armLocked()
	return err
}

// Shutdown drains the connection with GOAWAY in two steps (RFC 9113 §6.8): requests that are in
// flight are still taken, the streams that run may finish, then the connection closes and Serve
// returns. It does not wait.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.shutdownLocked()
}

func (c *Conn) shutdownLocked() {
	if c.mu.phase != phaseOpen {
		return
	}
	c.ensureOutputLocked()
	c.core.Shutdown(time.Now())
	c.noteQuotaChangedLocked()
	c.armLocked()
	c.flushSoonLocked()
}

// Close closes the connection now. Streams that are open fail.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.mu.phase < phaseClosed {
		c.closeLocked(&frame.ConnError{Code: frame.NoError, Reason: "connection closed by this side", Cause: errClosed})
	}
	c.unlockAndNotify()
	return nil
}

// CloseWithError sends GOAWAY with code and debug, and closes the connection once they are written.
// Streams that are open fail.
func (c *Conn) CloseWithError(code frame.Code, debug string) {
	c.fail(&frame.ConnError{Code: code, Reason: debug})
}

// fail ends the connection with a GOAWAY for err. An error other than *frame.ConnError is one of
// ours.
func (c *Conn) fail(err error) {
	var ce *frame.ConnError
	if !errors.As(err, &ce) {
		ce = &frame.ConnError{Code: frame.InternalError, Reason: "internal error", Cause: err}
	}
	c.mu.Lock()
	defer c.unlockAndNotify()
	c.failLocked(ce)
}

func (c *Conn) failLocked(ce *frame.ConnError) {
	if c.mu.phase != phaseOpen {
		return
	}
	c.ensureOutputLocked()
	c.core.Fail(ce)
	c.beginCloseLocked()
	if c.mu.err == nil && (ce.Code != frame.NoError || ce.Reason != "") {
		c.mu.err = ce
	}
	c.countErrorLocked(ce)
	c.failStreamsLocked(ce)
	c.flushSoonLocked()
}

// closeGrace is how long the frames that say why the connection ends may take to be written. A
// write that is under way may wait for a peer that reads no more.
const closeGrace = 5 * time.Second

// beginCloseLocked opens phaseClosing: what is in the output is still written.
func (c *Conn) beginCloseLocked() {
	c.mu.phase = phaseClosing
	c.resumeReaderLocked()
	c.mu.closeBy = time.Now().Add(closeGrace)
	c.mu.timer.setLocked(c.mu.closeBy)
	c.wakeAllLocked()
}

// closeAfterOutputLocked ends a server's connection whose client has sent FIN, and may still read.
// What is in the output, complete responses among it, is written before the socket is closed,
// within the time that a lingering connection has without progress. Streams that are open fail.
func (c *Conn) closeAfterOutputLocked() {
	c.ensureOutputLocked()
	c.core.SetBackpressure(false)
	c.core.Fill(c.core.OutputLen() + fillLimit)
	c.handleEventsLocked()
	if c.checkSchedulerLocked(); c.mu.phase != phaseOpen {
		return
	}
	c.beginCloseLocked()
	c.mu.closeBy = time.Now().Add(max(closeGrace, c.opts.lingerTimeout))
	if c.mu.err == nil {
		c.mu.err = c.eofErrLocked()
	}
	c.failStreamsLocked(c.endErrLocked())
	c.flushSoonLocked()
}

// closeLocked has the socket closed, and opens phaseClosed. err is why the connection ended, if
// that is not known already.
func (c *Conn) closeLocked(err error) {
	if c.mu.phase == phaseClosed {
		return
	}
	wasOpen := c.mu.phase == phaseOpen
	c.mu.phase = phaseClosed
	c.resumeReaderLocked()
	c.mu.out.socketLost = wasOpen
	c.noteQuotaChangedLocked()
	if c.mu.err == nil {
		c.mu.err = err
	}
	if wasOpen {
		lost := c.mu.err
		if lost == nil {
			lost = &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
		}
		c.failStreamsLocked(lost)
	}
	c.wakeAllLocked()
	c.tasks.Add(1)
	go c.closeSocket(c.mu.linger != nil && c.mu.linger.inCloseWrite) // not with mu held, and not by the reader
}

// failStreamsLocked fails every open stream. It is called once, when the open phase has ended: from
// then on the table and the scheduler of core hold streams whose memory may belong to another
// connection already, and must not be used.
func (c *Conn) failStreamsLocked(err error) {
	if c.client != nil {
		c.client.quotaChanged = true
		c.client.signalSettingsLocked()
	}
	c.failPingsLocked(err)
	c.core.Streams(func(s *core.Stream) {
		st := s.Owner.(*Stream)
		st.failLocked(err)
		st.closed = true
	})
	c.core.Abandon()
}

// wakeAllLocked wakes every goroutine that waits for the connection as a whole.
func (c *Conn) wakeAllLocked() {
	c.mu.out.taken.Broadcast()
	c.mu.out.backpressure.wakeFlusherLocked()
	if c.client != nil {
		c.client.lease.serveCond.Signal()
		c.client.lease.wakeCaughtUpLocked()
	}
}

// closeSocket runs in a goroutine of its own, for which Serve waits: Close of a TLS connection may
// write an alert. If one is being written already, inCloseWrite is set, and the socket below TLS is
// closed.
func (c *Conn) closeSocket(inCloseWrite bool) {
	defer c.tasks.Done()
	defer func() { _ = recover() }() // the connection is over already
	tc, ok := c.nc.(*tls.Conn)
	if ok && inCloseWrite {
		_ = tc.NetConn().Close()
		return
	}
	if ok && !c.interruptible {
		// The alert has 5 s, by a write deadline, which may do nothing here.
		late := time.AfterFunc(closeGrace, func() {
			defer func() { _ = recover() }() // the connection is over already
			_ = tc.NetConn().Close()
		})
		defer late.Stop()
	}
	_ = c.nc.Close()
}

// finishServe ends a connection that is read no more.
func (c *Conn) finishServe() {
	defer c.callOnServed()
	defer c.closeDone()
	defer c.traceEnd()
	defer c.shutdownIO()
	defer func() { _ = recover() }() // for a Read that panics: the connection is over already
	c.readLingering()
}

// shutdownIO closes the socket, waits for the goroutines of the connection, and gives its memory
// back.
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

// callOnServed calls the function that Start was given.
func (c *Conn) callOnServed() {
	end := c.onServed
	if end == nil {
		return
	}
	c.mu.Lock()
	err := c.mu.err
	c.mu.Unlock()
	defer func() { _ = recover() }() // the connection is over already
	end(err)
}
