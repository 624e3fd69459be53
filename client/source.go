package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// source is the body of a request, over all attempts to send it. It closes the body exactly once,
// and does not touch it after that. Each attempt has a number, and only the newest one reads: an
// upload that was given up may still be about to read, or in a Read that it cannot leave, while the
// next attempt begins.
type source struct {
	mu   sync.Mutex
	cond sync.Cond

	body    io.ReadCloser
	getBody func() (io.ReadCloser, error)
	left    int64 // octets that the body must still give; -1: not known

	attempt int    // the one that may read
	kept    []byte // all that was read, for another attempt; more than keep by one Read where that came late
	keep    int    // how much may be kept; -1: too much was read already
	touched bool   // a Read was begun
	reading bool   // a call of body.Read runs
	closed  bool   // or given to another owner, who closes it
	err     error  // that ended reading, io.EOF included
}

// Errors of reads of the source, beside those of the user's body.
var (
	errSuperseded = errors.New("http2: read of a request body by an attempt that was given up")
	errBodyClosed = errors.New("http2: read of a request body that was closed")
	errBodyLost   = errors.New("http2: part of the request body was read by an attempt that was given up")
	errBadCount   = errors.New("http2: Request.Body.Read returned an invalid count")
	errReadExited = errors.New("http2: Request.Body.Read ended its goroutine")
	errNilGetBody = errors.New("http2: Request.GetBody returned neither a body nor an error")
	errNotKept    = errors.New("more of the body was read than Transport.ReplayBuffer keeps")
	errNotWhole   = errors.New("a part of the body was read, its length is not known, and net/http has to dial")
)

// newSource returns nil for a request without a body.
func newSource(req *http.Request, keep int) *source {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	s := &source{body: req.Body, getBody: req.GetBody, left: bodyLength(req), keep: keep}
	s.cond.L = &s.mu
	if req.GetBody != nil || s.left > int64(keep) {
		s.keep = -1
	}
	return s
}

// bodyLength is how long a request's body is, -1 where that is not known.
func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// inMemory tells whether all of the body can be had at once, without waiting for anybody, and is at
// most n octets long.
func (s *source) inMemory(n int) bool {
	s.mu.Lock() // a Read of a former attempt may be under way
	small := s.left > 0 && s.left <= int64(n) && !s.touched
	s.mu.Unlock()
	return small && isInMemory(s.body)
}

var (
	nopCloserType         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterToType = reflect.TypeOf(io.NopCloser(struct {
		io.Reader
		io.WriterTo
	}{}))
)

// isInMemory knows the readers that http.NewRequest knows, and its way to make bodies of them.
func isInMemory(body io.ReadCloser) bool {
	if t := reflect.TypeOf(body); t != nopCloserType && t != nopCloserWriterToType {
		return false
	}
	switch reflect.ValueOf(body).Field(0).Interface().(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return false
}

// bodyReader is the way of one attempt through a source.
type bodyReader struct {
	src     *source
	attempt int
	pos     int // octets read
}

// reader returns the way of the newest attempt.
func (s *source) reader() bodyReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bodyReader{src: s, attempt: s.attempt}
}

// Read waits while a Read of an attempt that was given up is still under way. It fails when the
// attempt is given up.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.src.read(r.attempt, r.pos, p)
	r.pos += n
	return n, err
}

// Close closes the body, unless a newer attempt reads it.
func (r *bodyReader) Close() error {
	r.src.closeFor(r.attempt, false)
	return nil
}

// current reports whether the attempt may read.
func (r *bodyReader) current() bool {
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	return r.attempt == r.src.attempt
}

// read reads at position pos for an attempt.
func (s *source) read(attempt, pos int, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case attempt != s.attempt:
			return 0, errSuperseded
		case pos < len(s.kept):
			n := copy(p, s.kept[pos:])
			if pos+n == len(s.kept) && !s.reading {
				return n, s.err
			}
			return n, nil
		case s.err != nil:
			return 0, s.err
		case s.closed:
			return 0, errBodyClosed
		case !s.reading:
			return s.readBody(attempt, p)
		}
		s.cond.Wait()
	}
}

// readBody reads from the body itself. It lets go of mu.
func (s *source) readBody(attempt int, p []byte) (n int, err error) {
	s.touched, s.reading = true, true
	err = errReadExited // a Read that panics, or ends its goroutine, does not come back here
	defer func() {
		s.mu.Lock()
		n, err = s.took(attempt, p, n, err)
	}()
	s.mu.Unlock()
	n, err = s.body.Read(p)
	return n, err
}

// took notes what a Read of the body has given.
func (s *source) took(attempt int, p []byte, n int, err error) (int, error) {
	s.reading = false
	s.cond.Broadcast()
	if n < 0 || n > len(p) {
		n, err = 0, errBadCount
	}
	if s.left >= 0 {
		if s.left -= int64(n); s.left < 0 {
			n, err = 0, errBodyTooLong
		} else if isEOF(err) && s.left > 0 {
			err = errBodyTooShort
		}
	}
	stale := attempt != s.attempt
	switch {
	case s.keep >= 0 && (stale || len(s.kept)+n <= s.keep):
		s.kept = append(s.kept, p[:n]...) // of a stale attempt the next one has need, however much it is
	case stale:
		if n > 0 && !s.closed {
			err = errBodyLost
		}
	default:
		s.kept, s.keep = nil, -1 // the attempt that reads has had all that was kept
	}
	s.err = err
	if stale {
		return 0, errSuperseded
	}
	return n, err
}

// isTouched reports whether the body was read or closed.
func (s *source) isTouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touched || s.closed
}

// isWhole reports whether all of the body was read and is kept.
func (s *source) isWhole() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keep >= 0 && isEOF(s.err)
}

// supersede gives up an attempt, if it is the newest: its reads fail from now on.
func (s *source) supersede(attempt int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if attempt == s.attempt {
		s.supersedeLocked()
	}
}

// supersedeLocked gives up all attempts so far.
func (s *source) supersedeLocked() {
	s.attempt++
	s.cond.Broadcast()
}

// rewind makes the source begin anew, for the next attempt, and reports whether it can.
func (s *source) rewind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.supersedeLocked()
	switch {
	case !s.touched && !s.closed:
		return true
	case s.getBody != nil:
		return false
	}
	return s.keep >= 0 && (!s.closed || isEOF(s.err)) // then all of it is kept
}

// again returns the source for another attempt. No earlier attempt reads any more, nor the body
// that it was reading.
func (s *source) again(req *http.Request) (*source, error) {
	if s.rewind() {
		return s, nil
	}
	if s.getBody == nil {
		return nil, errNotKept
	}
	s.close(true)
	if err := s.awaitRead(req); err != nil {
		return nil, err // the new body may be the old one, rewound
	}
	body, err := s.getBody()
	switch {
	case err != nil:
		return nil, fmt.Errorf("http2: Request.GetBody: %w", err)
	case body == nil:
		return nil, errNilGetBody
	}
	next := &source{body: body, getBody: s.getBody, left: bodyLength(req), keep: -1}
	next.cond.L = &next.mu
	return next, nil
}

// awaitRead waits until no Read is under way, at most until the request is cancelled.
func (s *source) awaitRead(req *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reading {
		return nil
	}
	ended := make(chan struct{})
	defer close(ended)
	var gaveUp error
	go func() { // ends with the wait
		var err error
		select {
		case <-ended:
			return
		case <-req.Context().Done():
			err = req.Context().Err()
		case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
			err = errRequestCanceled
		}
		s.mu.Lock()
		gaveUp = err
		s.cond.Broadcast()
		s.mu.Unlock()
	}()
	for s.reading && gaveUp == nil {
		s.cond.Wait()
	}
	return gaveUp
}

// handOver gives the body of another attempt to an owner who closes it.
func (s *source) handOver(req *http.Request) (io.ReadCloser, error) {
	next, err := s.again(req)
	if err != nil {
		return nil, err
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	if !next.touched && !next.closed {
		next.closed = true
		next.supersedeLocked()
		return next.body, nil
	}
	return &bodyReader{src: next, attempt: next.attempt}, nil
}

// replayWhole reports whether all of the body is kept, so that it can be had again when it is
// closed. What is left of a body that says how long it is, and is short enough, is read for that.
func (s *source) replayWhole(ctx context.Context) bool {
	if s.getBody != nil {
		return false // which is asked
	}
	s.mu.Lock()
	small := s.keep >= 0 && s.left >= 0 && !s.closed
	s.mu.Unlock()
	if small && s.rewind() {
		stop := context.AfterFunc(ctx, func() { s.close(true) })
		defer stop()
		r := s.reader()
		_, _ = io.Copy(io.Discard, &r) // whether all has come is seen below
	}
	return s.isWhole()
}

// replayed returns what is kept of a whole body. It is a Request.GetBody.
func (s *source) replayed() (io.ReadCloser, error) {
	if !s.rewind() {
		return nil, errNotKept
	}
	r := s.reader()
	return &r, nil
}

// close closes the body, once. Where a Read is under way, and with async, a goroutine does so,
// since what a user's body does is not known: to close it is the way to end a Read that waits.
func (s *source) close(async bool) {
	s.mu.Lock()
	s.closeLocked(async)
}

// closeFor closes the body for an attempt, unless there is a newer one.
func (s *source) closeFor(attempt int, async bool) {
	s.mu.Lock()
	if attempt != s.attempt {
		s.mu.Unlock()
		return
	}
	s.closeLocked(async)
}

// closeLocked lets go of mu.
func (s *source) closeLocked(async bool) {
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	async = async || s.reading
	s.cond.Broadcast()
	s.mu.Unlock()
	if async {
		go func() { _ = s.body.Close() }() // ends when the user's Close returns; nobody waits for it, as in net/http
		return
	}
	_ = s.body.Close() // as net/http: what it says does not concern the request
}
