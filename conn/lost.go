package conn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
)

// How a connection ends that has lost its socket or its peer.
//
//  1. A read fails (readFailed): the connection is closed, but for FIN of a client, after which the
//     output of a server is still written.
//  2. A write fails (afterWriteAndLock): what the peer has sent before is read for keepReadingTime,
//     since GOAWAY may be in it, and responses.
//  3. The error of the streams is that of the socket, or the peer's GOAWAY if that has a reason.

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

// keepReadingTime is how long a connection is read on after a write has failed.
const keepReadingTime = time.Second

// keepReadingLocked reports, when a write has failed with err, whether the connection is still
// read. A server that has closed it may have said with GOAWAY before which requests it has not
// processed, and have answered others; a client may have sent requests before it left, which are to
// be carried out. What has arrived of that is worth as much as ever. It is called with mu held.
func (c *Conn) keepReadingLocked(err error) bool {
	if c.mu.phase != phaseOpen || netconn.IsTimeout(err) {
		return false
	}
	if c.mu.out.err != nil {
		return true
	}
	c.mu.out.err = err
	c.noteQuotaChangedLocked()
	c.closeInLocked(keepReadingTime)
	return true
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

// writeLostErrLocked is why the connection has ended when the socket has failed with err: nil where
// the end was agreed on, and nothing is lost. It is called with mu held.
func (c *Conn) writeLostErrLocked(err error) error {
	if c.core.Draining() && c.core.NumStreams() == 0 {
		return nil
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.writeTimedOut(err)}
}

// eofErrLocked is why a connection whose peer sends nothing more is over: nil where nothing is
// lost.
func (c *Conn) eofErrLocked() error {
	if c.core.NumStreams() == 0 {
		return nil
	}
	return c.lostErrLocked(io.EOF)
}

// endErrLocked is why a connection that is not alive has ended.
func (c *Conn) endErrLocked() error {
	if c.mu.err != nil {
		return c.mu.err
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
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

// noteGoAwayLocked takes what the peer has said with GOAWAY. Of several, each with a lower last
// stream, the first debug data and the first code that tells of a fault are kept: a server that
// says why it goes often says so once (RFC 9113 §6.8).
func (c *Conn) noteGoAwayLocked(err error) {
	var said *frame.ConnError
	if !errors.As(err, &said) {
		return
	}
	if first := c.mu.goAway; first != nil {
		if first.Debug != "" {
			said.Debug = first.Debug
		}
		if first.Code != frame.NoError {
			said.Code = first.Code
		}
	}
	c.mu.goAway = said
	c.noteQuotaChangedLocked()
}

// Err tells why the connection takes no more streams, nil while it does.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.err != nil:
		return c.mu.err
	case c.mu.goAway != nil:
		return c.mu.goAway
	case c.mu.out.err != nil:
		return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.mu.out.err}
	case c.mu.phase != phaseOpen || c.core.Draining():
		return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
	case c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	}
	return nil
}

// GoAway returns what the peer has said with GOAWAY, nil if there was none: the last stream of the
// last, and of all the first code other than NO_ERROR and the first debug data.
func (c *Conn) GoAway() *frame.ConnError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.goAway
}
