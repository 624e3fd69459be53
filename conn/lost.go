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

// readFailed ends the connection for an error of the socket, which a read has returned.
func (c *Conn) readFailed(err error) {
	c.mu.Lock()
	defer c.unlockAndNotify()
	if c.mu.phase != phaseOpen {
		return // the connection has ended already
	}
	if err != io.EOF { //nolint:errorlint // FIN is this very value
		if late := c.overdueLocked(err); netconn.IsTimeout(late) && !netconn.IsTimeout(err) {
			err = c.writeTimedOut(late)
		}
		c.closeLocked(c.lostErrLocked(err))
		return
	}
	if c.role == core.Server && c.mu.out.err == nil &&
		(c.mu.out.flushing || c.core.OutputLen() > 0 || c.core.Sendable()) {
		c.closeAfterOutputLocked()
		return
	}
	c.closeLocked(c.eofErrLocked())
}

// keepReadingTime is how long a connection is still read after a write has failed.
const keepReadingTime = time.Second

// keepReadingLocked reports whether the connection is still read after a write has failed with err.
// A server that has closed it may have said with GOAWAY before which requests it has not processed,
// and have answered others; a client may have sent requests before it closed the connection, which
// are to be handled.
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

// lostErrLocked returns why the connection ends when its socket has failed with err.
func (c *Conn) lostErrLocked(err error) error {
	if c.mu.out.err != nil {
		err = c.mu.out.err
		if c.role == core.Server {
			return c.writeLostErrLocked(err)
		}
	}
	if g := c.mu.goAway; g != nil && g.Code != frame.NoError {
		err = g // the reason that the peer has given
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: err}
}

// writeLostErrLocked returns why the connection ends when a write has failed with err: nil where it
// was being shut down and no stream is left.
func (c *Conn) writeLostErrLocked(err error) error {
	if c.core.State().Draining && c.core.NumStreams() == 0 {
		return nil
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection lost", Cause: c.writeTimedOut(err)}
}

// eofErrLocked returns why the connection ends when the peer has sent FIN: nil where no stream is
// open.
func (c *Conn) eofErrLocked() error {
	if c.core.NumStreams() == 0 {
		return nil
	}
	return c.lostErrLocked(io.EOF)
}

// endErrLocked returns the error of calls that come after the open phase.
func (c *Conn) endErrLocked() error {
	if c.mu.err != nil {
		return c.mu.err
	}
	return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
}

// writeTimedOut wraps err, where that is a timeout, with the setting whose time is over.
func (c *Conn) writeTimedOut(err error) error {
	if !netconn.IsTimeout(err) {
		return err
	}
	te := &core.TimeoutError{Timer: "WriteByteTimeout", After: c.opts.writeTimeout}
	if !errors.Is(err, os.ErrDeadlineExceeded) { // a timeout error of the net.Conn itself
		return fmt.Errorf("%w: %w: %w", te, os.ErrDeadlineExceeded, err)
	}
	return fmt.Errorf("%w: %w", te, err)
}

// noteGoAwayLocked keeps what the peer has said with GOAWAY. Of several, the last stream is that of
// the last one. Debug data and an error code are those of the first that has any: a server that
// says why it closes the connection often says so once (RFC 9113 §6.8).
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

// Err returns why the connection takes no more streams, nil while it does.
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
	case c.mu.phase != phaseOpen || c.core.State().Draining:
		return &frame.ConnError{Code: frame.NoError, Reason: "connection closed", Cause: errClosed}
	case c.core.CanOpen() == core.ErrNoMoreStreams: //nolint:errorlint // this very value
		return core.ErrNoMoreStreams
	}
	return nil
}

// GoAway returns what the peer has said with GOAWAY, nil if there was none: the last stream of the
// last one, and of all the first code other than NO_ERROR and the first debug data.
func (c *Conn) GoAway() *frame.ConnError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.goAway
}
