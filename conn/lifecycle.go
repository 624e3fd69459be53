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
//     failLocked, with the GOAWAY of an error; by closeAfterOutputLocked, where a client has sent FIN.
//     In these cases beginCloseLocked opens phaseClosing: what is in the output is still written.
//  4. The flusher that has written it ends our direction of the socket and opens phaseLingering
//     (linger.go), in which what the peer sends is read and dropped.
//  5. closeLocked closes the socket and opens phaseClosed: after lingering, by Close, when the socket
//     fails (lost.go) or after a panic (panic.go).
//  6. finishServe waits for the last goroutines and gives the memory back; Serve returns.

// phase is how far a connection has come.
type phase uint8

const (
	phaseOpen      phase = iota
	phaseClosing         // the last frames are to be sent, then the socket is half-closed; no stream is left
	phaseLingering       // what still comes is thrown away until what was written has arrived, see linger
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

// fail ends the connection with GOAWAY for err, which is a *frame.ConnError.
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

// closeGrace bounds the time for the frames that say why the connection ends. A write that is under
// way may wait for a peer that reads no more.
const closeGrace = 5 * time.Second

// beginCloseLocked begins the end: what is in the output is still written.
func (c *Conn) beginCloseLocked() {
	c.mu.phase = phaseClosing
	c.resumeReaderLocked()
	c.mu.closeBy = time.Now().Add(closeGrace)
	c.mu.timer.setLocked(c.mu.closeBy)
	c.wakeAllLocked()
}

// closeAfterOutputLocked ends a server's connection whose client sends nothing more, and may have
// closed its direction only: it reads on. What is written is sent before the socket is closed,
// responses that are complete among it, for which there is as much time as a lingering connection
// may take without progress. Streams that are open fail.
func (c *Conn) closeAfterOutputLocked() {
	c.ensureOutputLocked()
	c.core.SetBackpressure(false)
	c.core.Fill(c.core.OutputLen() + fillLimit)
	c.handleEventsLocked()
	if c.checkSchedulerLocked(); c.mu.phase != phaseOpen {
		return
	}
	c.beginCloseLocked()
	c.mu.closeBy = time.Now().Add(max(closeGrace, c.lingerLimit()))
	if c.mu.err == nil {
		c.mu.err = c.eofErrLocked()
	}
	c.failStreamsLocked(c.endErrLocked())
	c.flushSoonLocked()
}

// closeLocked closes the socket. It is called with mu held; err is why the connection ended, if
// that is not known already.
func (c *Conn) closeLocked(err error) {
	if c.mu.phase == phaseClosed {
		return
	}
	wasAlive := c.mu.phase == phaseOpen
	c.mu.phase = phaseClosed
	c.resumeReaderLocked()
	c.mu.out.socketLost = wasAlive
	c.noteQuotaChangedLocked()
	if c.mu.err == nil {
		c.mu.err = err
	}
	if wasAlive {
		lost := c.mu.err
		if lost == nil {
			lost = &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
		}
		c.failStreamsLocked(lost)
	}
	c.wakeAllLocked()
	c.tasks.Add(1)
	go c.closeSocket(c.mu.linger != nil && c.mu.linger.inCloseWrite) // not under mu, nor in the reader's way
}

// failStreamsLocked fails every stream that is open. It is called once, when the connection is no
// longer alive: from then on core's table and its scheduler hold streams whose memory may belong to
// another connection already, and must not be used.
func (c *Conn) failStreamsLocked(err error) {
	c.noteQuotaChangedLocked()
	c.signalSettingsLocked()
	c.failPingsLocked(err)
	c.core.Streams(func(s *core.Stream) {
		st := s.Owner.(*Stream)
		st.failLocked(err)
		st.closed = true
	})
	c.core.Abandon()
}

// wakeAllLocked wakes who waits for the connection.
func (c *Conn) wakeAllLocked() {
	c.mu.out.taken.Broadcast()
	c.mu.out.backpressure.wakeFlusherLocked()
	if c.client != nil {
		c.client.lease.serveCond.Signal()
		c.client.lease.wakeCaughtUpLocked()
	}
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

// finishServe ends the connection when nothing more is read.
func (c *Conn) finishServe() {
	defer c.callOnServed()
	defer c.closeDone()
	defer c.shutdownIO()
	defer func() { _ = recover() }() // of a Read that panics: nothing is left that it could end
	c.readLingering()
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
