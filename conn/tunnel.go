package conn

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/usecount"
)

// Tunnel is a stream as a net.Conn: what CONNECT (RFC 9113 §8.5) and extended CONNECT (RFC 8441)
// make of one. What is written goes out as DATA at once. END_STREAM stands for the end of a
// direction, as FIN does in TCP, and RST_STREAM for RST. Its methods may be called by any
// goroutines at the same time, and it starts none of its own; what the socket does not take at once
// is left to a goroutine of the connection.
//
// Read returns io.EOF when the peer has ended its direction. Read and Write return a
// *frame.StreamError after the stream was reset, a *frame.ConnError after the connection was lost,
// os.ErrDeadlineExceeded after a deadline, and net.ErrClosed after Close.
type Tunnel struct {
	st      *Stream // may be used by those that uses counts
	c       *Conn
	release func()

	uses    usecount.Count // of st: the calls that are under way, and the tunnel itself until Close
	inWrite bool           // a Write is under way; guarded by Conn.mu
	onEnd   func(error)    // set by OnEnd, nil once called; guarded by Conn.mu
}

var (
	_ net.Conn      = (*Tunnel)(nil)
	_ io.WriterTo   = (*Tunnel)(nil)
	_ io.ReaderFrom = (*Tunnel)(nil)
)

// NewTunnel makes a Tunnel of a stream on which the final head was sent, or has come. The stream is
// the tunnel's from then on, Release included, but for a server that gives release: that is called
// once when the tunnel is closed and no call on it is under way, and must have the stream released.
func NewTunnel(st *Stream, release func()) *Tunnel {
	t := &Tunnel{st: st, c: st.c, release: release}
	t.uses.Start(1)
	st.c.mu.Lock()
	st.tunnel = t
	st.c.mu.Unlock()
	return t
}

// Tunnel returns what NewTunnel has made of the stream, nil if nothing.
func (st *Stream) Tunnel() *Tunnel {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	return st.tunnel
}

// enter begins a use of the stream, and reports whether it is still there.
func (t *Tunnel) enter() bool { return t.uses.Enter() }

// leave ends what enter has begun. The last to leave a closed tunnel gives the stream back.
func (t *Tunnel) leave() {
	if t.uses.Leave() {
		t.end()
	}
}

func (t *Tunnel) end() {
	if t.release != nil {
		t.release()
		return
	}
	t.st.releaseTunnel()
}

// OnEnd sets a function that is called once if the stream is reset by the peer, or lost with the
// connection, before Close or Abort. It is for a goroutine that waits elsewhere, such as a relay
// that waits for the other side of the tunnel. f gets the reason, is called by the goroutine that
// found out, at once if that has happened already, and must not block.
func (t *Tunnel) OnEnd(f func(err error)) {
	if !t.enter() {
		return
	}
	c := t.c
	c.mu.Lock()
	t.onEnd = f
	if t.st.err != nil {
		t.queueOnEndLocked(t.st.err)
	}
	c.unlockAndNotify()
	t.leave()
}

// queueOnEndLocked has the function of OnEnd called: the stream has died.
func (t *Tunnel) queueOnEndLocked(err error) {
	if f := t.onEnd; f != nil && !t.uses.Closed() {
		t.onEnd = nil
		t.c.mu.pending = append(t.c.mu.pending, callback{f: f, err: err})
	}
}

// Conn returns the HTTP/2 connection that the tunnel is a stream of.
func (t *Tunnel) Conn() *Conn { return t.c }

// StreamID returns the identifier of the stream, 0 once the tunnel is closed.
func (t *Tunnel) StreamID() uint32 {
	if !t.enter() {
		return 0
	}
	defer t.leave()
	return t.st.ID()
}

// LocalAddr returns that of the connection beneath.
func (t *Tunnel) LocalAddr() net.Addr { return t.c.nc.LocalAddr() }

// RemoteAddr returns that of the connection beneath: on a client the address of the proxy, not that
// of the host behind it.
func (t *Tunnel) RemoteAddr() net.Addr { return t.c.nc.RemoteAddr() }

// Read reads what the peer has sent.
func (t *Tunnel) Read(p []byte) (int, error) {
	if !t.enter() {
		return 0, net.ErrClosed
	}
	n, err := t.st.Read(p)
	if err != nil {
		err = t.explain(err)
	}
	t.leave()
	return n, err
}

// Write sends p. It returns when all of it is in the output or with the socket, and until then
// waits for the peer's windows. After CloseWrite the error is core.ErrClosed.
func (t *Tunnel) Write(p []byte) (int, error) {
	if !t.enter() {
		return 0, net.ErrClosed
	}
	defer t.leave()
	n, err := t.write(p)
	if err != nil {
		err = t.explain(err)
	}
	return n, err
}

func (t *Tunnel) write(p []byte) (n int, err error) {
	c := t.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	err = t.awaitOtherWriteLocked()
	if err == nil {
		err = t.st.writeErrLocked()
	}
	if err == nil && len(p) > 0 {
		t.inWrite = true
		n, err = t.st.queueLocked(p, nil, false)
		t.inWrite = false
		t.st.canWrite.Broadcast()
		c.flushNoWaitLocked()
	}
	return n, t.st.awaitOnEndLocked(err)
}

// awaitOtherWriteLocked waits while another goroutine is in Write.
func (t *Tunnel) awaitOtherWriteLocked() error {
	for t.inWrite {
		if err := t.st.writeErrLocked(); err != nil {
			return err
		}
		t.st.canWrite.Wait()
	}
	return nil
}

// CloseWrite ends our direction with END_STREAM, after what another goroutine may be writing. The
// peer's goes on.
func (t *Tunnel) CloseWrite() error {
	if !t.enter() {
		return net.ErrClosed
	}
	defer t.leave()
	err := t.closeWrite()
	if err != nil {
		err = t.explain(err)
	}
	return err
}

func (t *Tunnel) closeWrite() error {
	c := t.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	err := t.awaitOtherWriteLocked()
	if err == nil {
		err = t.endWriteLocked()
	}
	c.flushNoWaitLocked()
	return t.st.awaitOnEndLocked(err)
}

// endWriteLocked sends END_STREAM unless that was done. It does not wait if no other goroutine is
// in Write.
func (t *Tunnel) endWriteLocked() error {
	st := t.st
	switch {
	case st.err != nil:
		return st.err
	case st.c.mu.phase != phaseOpen:
		return st.c.endErrLocked()
	case st.send.finished:
		return nil
	}
	_, err := st.queueLocked(nil, nil, true)
	return err
}

// CloseRead gives up what the peer still sends: it is dropped, and credit for it given back. The
// peer is told to stop when our direction has ended. A Read that waits returns ErrReadClosed, and
// so do those that follow.
func (t *Tunnel) CloseRead() error {
	if !t.enter() {
		return net.ErrClosed
	}
	t.st.CloseRead()
	t.leave()
	return nil
}

// Close ends the tunnel; calls that wait return net.ErrClosed. What was written still arrives: our
// direction is ended with END_STREAM, unless a Write is cut off, which resets the stream with
// CANCEL. What the peer has sent is dropped. If the peer's direction is still open, a server tells
// it to stop with RST_STREAM(NO_ERROR), as after a complete response (RFC 9113 §8.1). A client,
// whose RST_STREAM might have the server drop what was written, gives the peer
// Config.TunnelCloseTimeout to end its direction by itself, and resets the stream with CANCEL after
// that or when something more comes. The first call counts; the error is nil.
func (t *Tunnel) Close() error {
	t.close(func(c *Conn) {
		st := t.st
		switch {
		case t.inWrite:
			c.core.Reset(&st.cs, frame.Cancel)
		case t.endWriteLocked() == nil && c.role == core.Server:
			c.core.StopRecv(&st.cs)
		}
	})
	return nil
}

// Abort ends the tunnel at once with RST_STREAM; calls that wait return net.ErrClosed, and what was
// written may be lost. The code frame.ConnectError says that the TCP connection to which the tunnel
// leads has failed (RFC 9113 §8.5). The first call of Close or Abort counts; the error is nil.
func (t *Tunnel) Abort(code frame.Code) error {
	t.close(func(c *Conn) { c.core.Reset(&t.st.cs, code) })
	return nil
}

// close closes the tunnel. last sends the peer its last frame: it is called with the lock held, and
// only while the stream is open.
func (t *Tunnel) close(last func(*Conn)) {
	if t.beginClose(last) {
		t.end()
	}
}

// beginClose reports whether nothing uses the stream any more. It does nothing, and returns false,
// where the tunnel is closed already.
func (t *Tunnel) beginClose(last func(*Conn)) (unused bool) {
	c := t.c
	c.mu.Lock()
	defer c.unlockAndNotify()
	if t.uses.Closed() {
		return false
	}
	unused = t.uses.CloseAndLeave() // with mu held, so that one call of Close or Abort alone does it
	st := t.st
	st.recv.closed = true
	st.dropBodyLocked()
	if !st.closed && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		last(c)
		c.handleEventsLocked()
	}
	st.canRead.Broadcast()
	st.canWrite.Broadcast()
	c.flushNoWaitLocked()
	c.dropOutputLocked()
	return unused
}

// releaseTunnel is Release for the stream of a closed tunnel. On a client that has ended its
// direction, the stream stays open until the server has ended its own, or TunnelCloseTimeout is
// over.
func (st *Stream) releaseTunnel() {
	c := st.c
	c.mu.Lock()
	linger := c.role == core.Client && !st.closed && c.mu.phase == phaseOpen && st.send.finished
	if linger {
		if st.recv.deadline.timer != nil {
			st.recv.deadline.stopLocked()
		}
		st.onEnd = nil
		st.released, st.recv.resetOnData = true, true
		d := &st.recv.deadline
		if limit := c.client.tunnelCloseTimeout; limit > 0 {
			d.startLocked(c, limit, st.endLingerLocked)
		}
	}
	c.unlockAndNotify()
	if !linger {
		st.Release()
		c.FlushNoWait()
	}
}

// endLingerLocked resets a stream whose tunnel was closed, and whose peer has not ended its
// direction.
func (st *Stream) endLingerLocked() {
	c := st.c
	if !st.closed && c.mu.phase == phaseOpen {
		c.ensureOutputLocked()
		c.core.Reset(&st.cs, frame.Cancel)
		c.handleEventsLocked() // recycles st
		c.flushSoonLocked()
	}
}

// SetDeadline sets both deadlines.
func (t *Tunnel) SetDeadline(d time.Time) error {
	if err := t.SetReadDeadline(d); err != nil {
		return err
	}
	return t.SetWriteDeadline(d)
}

// SetReadDeadline sets the time after which Read fails with os.ErrDeadlineExceeded; the zero time
// means never.
func (t *Tunnel) SetReadDeadline(d time.Time) error {
	return t.setDeadline(d, (*Stream).SetReadDeadline)
}

// SetWriteDeadline sets the time after which Write fails with os.ErrDeadlineExceeded; the zero time
// means never. The number that such a Write returns is right, so that the rest may be sent later.
func (t *Tunnel) SetWriteDeadline(d time.Time) error {
	return t.setDeadline(d, (*Stream).SetWriteDeadline)
}

func (t *Tunnel) setDeadline(d time.Time, set func(*Stream, time.Time) error) error {
	if !t.enter() {
		return net.ErrClosed
	}
	err := set(t.st, d)
	t.leave()
	return err
}

// explain returns an error of the stream in the form that users of a net.Conn expect.
func (t *Tunnel) explain(err error) error {
	if t.uses.Closed() {
		return net.ErrClosed
	}
	var ce *frame.ConnError
	ended := err == io.EOF //nolint:errorlint // the peer's END_STREAM is this very value
	if !ended && errors.Is(err, io.EOF) && errors.As(err, &ce) {
		lost := *ce // the end of the connection is not to be taken for that of the tunnel
		lost.Cause = io.ErrUnexpectedEOF
		return &lost
	}
	return err
}
