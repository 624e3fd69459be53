package client

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// smallBody is the largest body that is sent with the head, without a goroutine; conn sends as much
// without waiting.
const smallBody = 16 << 10

// upload sends the body of one attempt, in a goroutine of its own.
type upload struct {
	x      *exchange
	r      bodyReader // of the request's body
	length int64      // of the body, by Content-Length; -1: not known

	continue100 chan struct{} // gets a value at 100 (Continue); nil without "Expect: 100-continue"
	streamDone  chan struct{} // closed when the stream has ended, or the server needs no more of the body
	doneOnce    sync.Once     // closes streamDone once
}

// uploadChunk is how much of a body is read and sent at a time, in octets.
const uploadChunk = 32 << 10

var uploadBuffers = sync.Pool{New: func() any { return new([uploadChunk]byte) }}

// run sends the body. It returns when that is done, when the stream has ended, or, where it waits
// in a Read of the user's body, when that returns.
func (u *upload) run() {
	x := u.x
	err := errReadExited // stays so where Read panics or ends its goroutine
	defer func() {
		if err != nil {
			x.uploadFailed(err)
		}
		u.closeBody(err)
		x.uploadDone()
		x.leave()
	}()
	if u.continue100 != nil && !u.awaitContinue() {
		err = errSuperseded
	} else {
		err = u.send()
	}
	x.wroteRequest(err)
}

// closeBody closes the body when the upload is over, unless the request may be sent again.
func (u *upload) closeBody(err error) {
	x := u.x
	x.mu.Lock()
	final := err == nil || x.mu.final
	x.mu.Unlock()
	if final {
		u.r.body.closeAttempt(u.r.attempt, false)
	}
}

// stop ends an upload of which the server needs no more, and closes the body.
func (u *upload) stop() {
	u.r.body.supersede(u.r.attempt)
	if x := u.x; x.enter() {
		_ = x.stream.SetWriteDeadline(time.Unix(1, 0)) // ends a Write that waits; fails only on a stream that has ended
		x.leave()
	}
	u.r.body.close(true)
	u.markDone()
}

// awaitContinue waits for 100 (Continue), for Transport.ExpectContinueTimeout or for the end of the
// stream (RFC 9110 §10.1.1). It reports whether to send the body.
func (u *upload) awaitContinue() bool {
	timer := time.NewTimer(u.x.cc.t.expectContinueTimeout())
	defer timer.Stop()
	select {
	case <-u.continue100:
		return true
	case <-timer.C:
		return true
	case <-u.streamDone:
		return false
	}
}

// markDone says that no more of the body is to be sent.
func (u *upload) markDone() { u.doneOnce.Do(func() { close(u.streamDone) }) }

// signalContinue ends the wait of awaitContinue.
func (u *upload) signalContinue() {
	if u.continue100 == nil {
		return
	}
	select {
	case u.continue100 <- struct{}{}:
	default: // a value is there already
	}
}

// send reads the body to its end and sends it.
func (u *upload) send() error {
	buf := uploadBuffers.Get().(*[uploadChunk]byte)
	defer uploadBuffers.Put(buf)
	s := u.x.stream
	for {
		n, err := u.r.Read(buf[:])
		if err == nil && int64(u.r.pos) == u.length {
			// The last of a body of known length should carry the end, so look for it.
			var more [1]byte
			_, err = u.r.Read(more[:])
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a Reader's end is this very value
			return u.finish(s, buf[:n])
		case err != nil:
			if died := s.Err(); died != nil {
				return died // the body was closed because of that
			}
			return &bodyReadError{err}
		case !u.r.current():
			return &bodyReadError{errSuperseded}
		}
		if _, err := s.Write(buf[:n]); err != nil {
			return err
		}
		s.Conn().FlushNoWait()
	}
}

// finish sends the last octets of the body, and the trailers.
func (u *upload) finish(s *conn.Stream, p []byte) error {
	if u.length >= 0 && int64(u.r.pos) != u.length {
		return &bodyReadError{errBodyTooShort}
	}
	if err := s.Err(); err != nil {
		return err // the caller may use the request again, so Trailer is not looked at
	}
	var trailers []header.Field
	if t := u.x.req.Trailer; len(t) > 0 {
		var err error
		if trailers, err = trailerFields(t); err != nil {
			return &bodyReadError{err}
		}
	}
	err := s.Finish(p, trailers)
	s.Conn().FlushNoWait()
	return err
}

// bodyReadError is an error of the user's body, as against one of the stream.
type bodyReadError struct{ err error }

func (e *bodyReadError) Error() string { return e.err.Error() }
func (e *bodyReadError) Unwrap() error { return e.err }

// uploadFailed ends the request when its body cannot be read. Where the stream has failed, the
// reader of the response gets the error.
func (x *exchange) uploadFailed(err error) {
	var be *bodyReadError
	if err == errReadExited { //nolint:errorlint // it is this very value
		be = &bodyReadError{err}
	}
	if be == nil && !errors.As(err, &be) {
		return
	}
	if errors.Is(be.err, errSuperseded) || errors.Is(be.err, errBodyClosed) {
		return // the request has ended, or is sent again
	}
	x.cancel(be.err, frame.Cancel)
}
