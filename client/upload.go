package client

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// smallBody is the largest body that is sent with the head, without a goroutine; conn sends as much without waiting.
const smallBody = 16 << 10

// upload sends the body of one attempt, in a goroutine of its own.
type upload struct {
	x   *exchange
	src *source
	pos int // octets read of src

	goAhead chan bool     // with "Expect: 100-continue": whether to send the body; nil otherwise
	gone    chan struct{} // closed when the stream has died
	once    sync.Once     // of gone
}

const uploadSize = 32 << 10

var uploadBuffers = sync.Pool{New: func() any { return new([uploadSize]byte) }}

// run ends when the body is sent or the stream has died, or, where it waits in the user's Read, when that returns.
func (u *upload) run() {
	x := u.x
	sent := true
	if u.goAhead != nil {
		sent = u.awaitGoAhead()
	}
	var err error
	if sent {
		err = u.send()
		x.wroteRequest(err)
	}
	if err != nil {
		x.uploadFailed(err)
	}
	u.src.closeAfter(x, err)
	x.uploadDone()
	x.leave()
}

// closeAfter closes the body when an upload is over, unless the request may be sent again.
func (s *source) closeAfter(x *exchange, err error) {
	x.mu.Lock()
	final := err == nil || x.returned
	x.mu.Unlock()
	if final {
		s.close(false)
	}
}

// awaitGoAhead waits for 100 (Continue), for the end of patience or for an answer (RFC 9110 §10.1.1).
func (u *upload) awaitGoAhead() bool {
	timer := time.NewTimer(u.x.cc.t.expectContinueTimeout())
	defer timer.Stop()
	select {
	case yes := <-u.goAhead:
		return yes
	case <-timer.C:
		return true
	case <-u.gone:
		return false
	}
}

// end tells that the stream has died.
func (u *upload) end() { u.once.Do(func() { close(u.gone) }) }

// decide tells an upload that waits whether to go on.
func (u *upload) decide(yes bool) {
	if u.goAhead == nil {
		return
	}
	select {
	case u.goAhead <- yes:
	default: // it was told before
	}
}

func (u *upload) send() error {
	buf := uploadBuffers.Get().(*[uploadSize]byte)
	defer uploadBuffers.Put(buf)
	s := u.x.s
	for {
		n, err := u.src.read(u.pos, buf[:])
		u.pos += n
		if err == nil && u.src.exhausted() {
			// The last of a body of known length should carry the end, so look for it.
			var more [1]byte
			_, err = u.src.read(u.pos, more[:])
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a Reader's end is this very value
			return u.finish(s, buf[:n])
		case err != nil:
			if died := s.Err(); died != nil {
				return died // the body was closed for that
			}
			return &bodyReadError{err}
		}
		if _, err := s.Write(buf[:n]); err != nil {
			return err
		}
		s.Conn().FlushNoWait()
	}
}

func (u *upload) finish(s *conn.Stream, p []byte) error {
	var trailers []core.Field
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

// exhausted tells that a body of known length has given all of it.
func (s *source) exhausted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0
}

// bodyReadError is an error of the user's body, not of the stream.
type bodyReadError struct{ err error }

func (e *bodyReadError) Error() string { return e.err.Error() }
func (e *bodyReadError) Unwrap() error { return e.err }

// uploadFailed ends the request when its body cannot be read. That the stream has died is told to whoever reads the
// response.
func (x *exchange) uploadFailed(err error) {
	var be *bodyReadError
	if errors.As(err, &be) && !errors.Is(be.err, http.ErrBodyReadAfterClose) {
		x.cancel(be.err, frame.Cancel)
	}
}
